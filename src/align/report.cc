// Store to figures and tables; the page itself is that of tessera plan.
#include "align/report.h"

#include <algorithm>
#include <cmath>

#include "align/export.h"
#include "align/run_state.h"
#include "core/error.h"
#include "core/progress.h"
#include "plan/report/report.h"

namespace tessera::align {

namespace {
using Kind = plan::Series::Kind;

/// An answer on the page.
struct Shown {
  double score = 0;
  int64_t round = 0;
  std::string model, prompt, answer;
};

/// What a page says of one round.
struct RoundScores {
  int64_t round = 0, prompts = 0, unfinished = 0;
  int64_t silent = 0;                         // answers that the judge gave no score
  std::vector<double> scores;                 // of the others, rising
  std::vector<double> best;                   // of each prompt
  std::map<std::string, int64_t> wrote, won;  // answers of each model, and those of them that were the best

  int64_t answers() const { return std::ssize(scores) + silent; }
  double quantile(double share) const {
    const auto last = static_cast<double>(scores.size() - 1);
    return scores[static_cast<size_t>(std::llround(share * last))];
  }
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double each : values) sum += each;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// The `most` extreme answers of all rounds; `better` says which of two scores is more so.
class Extremes {
 public:
  Extremes(int64_t most, bool high) : most_(static_cast<size_t>(most)), high_(high) {}
  void add(Shown shown) {
    const auto before = [&](const Shown& a, const Shown& b) { return high_ ? a.score > b.score : a.score < b.score; };
    if (list_.size() == most_ && (most_ == 0 || !before(shown, list_.back()))) return;
    list_.insert(std::ranges::upper_bound(list_, shown, before), std::move(shown));
    if (list_.size() > most_) list_.pop_back();
  }
  const std::vector<Shown>& list() const { return list_; }

 private:
  size_t most_;
  bool high_;
  std::vector<Shown> list_;
};

/// The beginning of a text, cut between characters.
std::string beginning(const std::string& text, int64_t letters) {
  size_t end = 0;
  for (int64_t i = 0; i < letters && end < text.size(); ++i) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  }
  return end < text.size() ? text.substr(0, end) + " …" : text;
}

struct Gathered {
  std::vector<RoundScores> rounds;  // that have scores
  Extremes best, worst;
  int64_t judged = 0, silent = 0;  // answers of all rounds
};

/// Whether the judge gave a score; where it gave none, the number that is stored says nothing.
bool has_score(const ScoredAnswer& answer) { return answer.mass > 0; }

/// Takes the answers to one prompt.
void add_prompt(RoundScores& own, const std::vector<ScoredAnswer>& answers) {
  ++own.prompts;
  const int64_t first = best_of(answers);
  if (first >= 0) own.best.push_back(answers[static_cast<size_t>(first)].score);
  for (size_t i = 0; i < answers.size(); ++i) {
    const StoredAnswer& answer = answers[i].answer;
    if (has_score(answers[i])) own.scores.push_back(answers[i].score);
    else ++own.silent;
    own.unfinished += answer.finished ? 0 : 1;
    ++own.wrote[answer.model];
    own.won[answer.model] += static_cast<int64_t>(i) == first ? 1 : 0;
  }
}

Gathered gathered(const Store& store, const AlignRecipe& recipe, const ReportOptions& options) {
  Gathered all{.rounds = {}, .best = {options.examples, true}, .worst = {options.examples, false}};
  for (int64_t round = 1; store.count_answers(round) > 0; ++round) {
    RoundScores own{.round = round};
    store.each_scored(round, judge_name(recipe),
                      [&](const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers) {
                        add_prompt(own, answers);
                        const auto show = [&](const ScoredAnswer& each) -> Shown {
                          return {each.score, round, each.answer.model, beginning(prompt.text, options.letters),
                                  beginning(each.answer.text, options.letters)};
                        };
                        if (const int64_t first = best_of(answers); first >= 0)
                          all.best.add(show(answers[static_cast<size_t>(first)]));
                        const auto last = std::ranges::find_if(answers.rbegin(), answers.rend(), has_score);
                        if (last != answers.rend()) all.worst.add(show(*last));
                      });
    all.judged += own.answers();
    all.silent += own.silent;
    if (own.scores.empty()) break;
    std::ranges::sort(own.scores);
    all.rounds.push_back(std::move(own));
  }
  return all;
}

plan::Figure score_figure(const std::vector<RoundScores>& rounds, const Scale& scale) {
  plan::Figure figure{.title = "Judge's score by round",
                      .caption =
                          "The mean of all answers, of the best answer to each prompt, and the middle half of all "
                          "answers. The judge is the same in all rounds; whether it is right, it cannot say."};
  figure.x = {.label = "round"};
  figure.y = {.label = "score", .low = static_cast<double>(scale.low), .high = static_cast<double>(scale.high)};
  plan::Series all{.kind = Kind::line, .name = "all answers", .colour = 0}, best = all, half = all;
  best.name = "best of each prompt";
  best.colour = 1;
  half.kind = Kind::band;
  half.name = "middle half of all";
  for (const RoundScores& each : rounds) {
    const auto place = static_cast<double>(figure.x.names.size());
    figure.x.names.push_back(std::to_string(each.round));
    all.x.push_back(place);
    all.y.push_back(mean(each.scores));
    best.x.push_back(place);
    best.y.push_back(mean(each.best));
    half.x.push_back(place);
    half.low.push_back(each.quantile(0.25));
    half.high.push_back(each.quantile(0.75));
  }
  figure.series = {half, all, best};
  for (plan::Series points : {all, best}) {
    points.kind = Kind::points;
    for (size_t i = 0; i < points.x.size(); ++i)
      points.tips.push_back(fmt::format("{}, round {}: {:.2f}", points.name, figure.x.names[i], points.y[i]));
    figure.series.push_back(std::move(points));
  }
  return figure;
}

/// Shares of answers in twenty equal parts of the scale, as steps.
plan::Figure histogram(const RoundScores& round, const Scale& scale) {
  constexpr int parts = 20;
  const auto low = static_cast<double>(scale.low), wide = static_cast<double>(scale.high - scale.low) / parts;
  std::vector<double> counts(parts);
  for (const double score : round.scores)
    ++counts[static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>((score - low) / wide), 0, parts - 1))];
  plan::Figure figure{.title = fmt::format("Round {}: {} answers", round.round, round.scores.size())};
  if (round.silent > 0) figure.title += fmt::format(", {} more without a score", round.silent);
  figure.x = {.label = "score", .low = low, .high = static_cast<double>(scale.high)};
  figure.y = {.label = "share of answers", .percent = true, .low = 0.0};
  plan::Series steps{.kind = Kind::band};
  for (int i = 0; i < parts; ++i) {
    for (const double edge : {low + i * wide, low + (i + 1) * wide}) {
      steps.x.push_back(edge);
      steps.low.push_back(0);
      steps.high.push_back(counts[static_cast<size_t>(i)] / static_cast<double>(round.scores.size()));
    }
  }
  figure.series = {steps};
  return figure;
}

plan::Figure cluster_figure(const std::vector<int64_t>& sizes) {
  plan::Figure figure{
      .title = "Prompts of each cluster",
      .caption =
          "Clusters by falling size. A round takes one unused prompt of each: where a few clusters hold "
          "most prompts, prompts at random would nearly all come from these."};
  figure.x = {.label = "cluster"};
  figure.y = {.label = "prompts", .low = 0.0};
  plan::Series line{.kind = Kind::line};
  for (size_t i = 0; i < sizes.size(); ++i) {
    line.x.push_back(static_cast<double>(i + 1));
    line.y.push_back(static_cast<double>(sizes[i]));
  }
  figure.series = {line};
  return figure;
}

plan::Table round_table(const std::vector<RoundScores>& rounds) {
  plan::Table table{
      .header = {"round", "prompts", "answers", "no score", "mean", "best of each", "cut off", "best answers by model"},
      .rows = {},
      .numeric = {true, true, true, true, true, true, true, false}};
  for (const RoundScores& each : rounds) {
    std::string models;
    for (const auto& [model, count] : each.wrote)
      models += fmt::format("{}{} {} of {}", models.empty() ? "" : ", ", model, each.won.at(model), count);
    table.rows.push_back(
        {std::to_string(each.round), std::to_string(each.prompts), std::to_string(each.answers()),
         std::to_string(each.silent), fmt::format("{:.2f}", mean(each.scores)), fmt::format("{:.2f}", mean(each.best)),
         plan::percent(static_cast<double>(each.unfinished) / static_cast<double>(each.answers())), models});
  }
  return table;
}

plan::Table answer_table(const std::vector<Shown>& shown) {
  plan::Table table{
      .header = {"score", "round", "by", "prompt", "answer"}, .rows = {}, .numeric = {true, true, false, false, false}};
  for (const Shown& each : shown)
    table.rows.push_back({fmt::format("{:.2f}", each.score), std::to_string(each.round), each.model, each.prompt,
                          each.answer.empty() ? "(empty)" : each.answer});
  table.wrapped = true;
  return table;
}

plan::Table cost_table(const std::vector<StoredStep>& steps) {
  plan::Table table{
      .header = {"step", "state", "time", "what came of it"}, .rows = {}, .numeric = {false, false, true, false}};
  for (const StoredStep& step : steps) {
    table.rows.push_back({step.name, step.state, format_duration(step.seconds), words_of(step)});
  }
  return table;
}

/// Seconds by kind of step: "answers", "scores", "training" and so on over all rounds.
plan::Figure cost_figure(const std::vector<StoredStep>& steps) {
  std::vector<std::pair<std::string, double>> sums;
  for (const StoredStep& step : steps) {
    const size_t colon = step.name.find(": ");
    const std::string part = step.name.starts_with("sft-") ? "sft"
                             : colon == std::string::npos  ? step.name
                                                           : "round: " + step.name.substr(colon + 2);
    const auto found = std::ranges::find(sums, part, &std::pair<std::string, double>::first);
    if (found == sums.end()) sums.emplace_back(part, step.seconds);
    else found->second += step.seconds;
  }
  plan::Figure figure{.title = "Minutes of work by kind of step", .caption = "Those of the rounds over all rounds."};
  figure.x = {.label = "step"};
  figure.y = {.label = "minutes", .low = 0.0};
  plan::Series bars{.kind = Kind::interval}, tops{.kind = Kind::points};
  for (const auto& [part, seconds] : sums) {
    bars.x.push_back(static_cast<double>(figure.x.names.size()));
    bars.y.push_back(seconds / 60);
    bars.low.push_back(0);
    bars.high.push_back(seconds / 60);
    figure.x.names.push_back(part);
  }
  tops.x = bars.x;
  tops.y = bars.y;
  figure.series = {bars, tops};
  return figure;
}

void add_facts(plan::Report& page, const Store& store, const Gathered& all, const std::vector<StoredStep>& steps) {
  const std::vector<RoundScores>& rounds = all.rounds;
  double seconds = 0;
  for (const StoredStep& step : steps) seconds += step.seconds;
  std::vector<std::pair<std::string, std::string>> facts = {
      {"seed prompts", std::to_string(store.count_prompts("seed"))},
      {"synthetic prompts", std::to_string(store.count_prompts("synthetic"))},
      {"rounds scored", std::to_string(rounds.size())},
      {"answers judged", std::to_string(all.judged)},
      {"work", format_duration(seconds)}};
  if (!rounds.empty())
    facts.push_back({"mean score, first to last round",
                     fmt::format("{:.2f} to {:.2f}", mean(rounds.front().scores), mean(rounds.back().scores))});
  page.facts(facts);
}
}  // namespace

void write_align_report(const Store& store, const Path& file, const ReportOptions& options) {
  const AlignRecipe recipe = recipe_of(store);
  const std::vector<StoredStep> steps = store.steps();
  const Gathered all = gathered(store, recipe, options);
  plan::Report page(fmt::format("Alignment run {}", options.name),
                    fmt::format("from {} by {}", recipe.base, recipe.method == "dpo" ? "DPO" : "the best of N answers"),
                    "tessera align");
  add_facts(page, store, all, steps);
  if (std::ranges::any_of(steps, [](const StoredStep& step) { return step.state != "done"; }))
    page.note("This run is not at its end: the page says what its store held when it was written.");
  if (all.silent > 0)
    page.note(
        fmt::format("The judge gave no score to {} of {} answers; means, spreads and worst answers leave them out.",
                    all.silent, all.judged));
  if (!all.rounds.empty()) {
    page.section("Scores");
    page.figures({score_figure(all.rounds, recipe.judge.scale)});
    page.table(round_table(all.rounds));
    page.section("How the scores of each round spread");
    std::vector<plan::Figure> histograms;
    for (const RoundScores& each : all.rounds) histograms.push_back(histogram(each, recipe.judge.scale));
    page.figures(histograms);
    page.section("Best answers");
    page.table(answer_table(all.best.list()));
    page.section("Worst answers");
    page.table(answer_table(all.worst.list()));
  }
  if (const std::vector<int64_t> sizes = store.cluster_sizes(); sizes.size() > 1) {
    page.section("Clusters");
    page.figures({cluster_figure(sizes)});
  }
  page.section("What each step cost");
  page.figures({cost_figure(steps)});
  page.table(cost_table(steps));
  plan::write_report(page, file);
}

}  // namespace tessera::align
