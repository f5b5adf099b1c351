// The question, the numbers behind the answer, and how they agree with people.
#include "align/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "core/error.h"
#include "core/json_rows.h"
#include "core/log.h"
#include "core/text_file.h"

namespace tessera::align {

namespace {
/// A text of a row, under any of its names.
std::string text_of(const Json& row, const std::vector<const char*>& keys, const std::string& where) {
  for (const char* key : keys) {
    const auto found = row.find(key);
    if (found == row.end()) continue;
    if (!found->is_string()) throw UserError("[align] {}: '{}' is {}, want a text", where, key, found->dump());
    std::string text = found->get<std::string>();
    if (is_blank(text)) throw UserError("[align] {}: '{}' is empty", where, key);
    return text;
  }
  throw UserError("[align] {}: '{}' is missing", where, keys.front());
}

double rating_of(const Json& row, const Scale& scale, const std::string& where) {
  for (const char* key : {"score", "rating"}) {
    const auto found = row.find(key);
    if (found == row.end()) continue;
    if (!found->is_number()) throw UserError("[align] {}: '{}' is {}, want a number", where, key, found->dump());
    const double rating = found->get<double>();
    if (!(rating >= static_cast<double>(scale.low) && rating <= static_cast<double>(scale.high)))
      throw UserError("[align] {}: '{}' is {}, want {} to {}", where, key, rating, scale.low, scale.high);
    return rating;
  }
  throw UserError("[align] {}: 'score' is missing", where);
}
}  // namespace

std::string judge_question(std::string_view prompt, std::string_view answer, const Scale& scale) {
  return fmt::format(
      "Act as an impartial judge and rate how well the response answers the prompt. Consider whether it is helpful, "
      "relevant, accurate, "
      "deep, creative and detailed enough. Rate it on a scale from {} (unusable) to {} (outstanding), strictly in this "
      "form: "
      "\"Rating: [[{}]]\".\n\n# Prompt:\n{}\n\n# Response:\n{}",
      scale.low, scale.high, std::clamp<int64_t>(3, scale.low, scale.high), prompt, answer);
}

std::string judge_answer(int64_t score) { return fmt::format("Rating: [[{}]]", score); }

std::vector<text::Message> judge_lesson(const RatedAnswer& rated, const Scale& scale) {
  const auto score = std::clamp(static_cast<int64_t>(std::llround(rated.rating)), scale.low, scale.high);
  return {{.role = "user", .content = judge_question(rated.prompt, rated.answer, scale)},
          {.role = "assistant", .content = judge_answer(score)}};
}

Judgement judgement_of(const std::vector<double>& log_probabilities, const Scale& scale) {
  Judgement result;
  const double largest = *std::ranges::max_element(log_probabilities);
  double sum = 0;
  for (const double each : log_probabilities) {
    result.probabilities.push_back(std::exp(each - largest));
    sum += result.probabilities.back();
  }
  // 0 is what stands for no score at all
  result.mass = std::clamp(sum * std::exp(largest), std::numeric_limits<double>::min(), 1.0);
  double best = -1;
  for (int64_t i = 0; i < scale.count(); ++i) {
    double& probability = result.probabilities[static_cast<size_t>(i)];
    probability /= sum;
    result.score += static_cast<double>(scale.low + i) * probability;
    if (probability == best) result.tied = true;
    if (probability <= best) continue;
    best = probability;
    result.likeliest = scale.low + i;
    result.tied = false;
  }
  return result;
}

/// The ids of the question, of at most `room`: what is too long of the answer is left out.
std::vector<int32_t> Judge::question(const Request& request, int64_t room) const {
  std::string_view answer = request.answer;
  for (;;) {
    std::vector<int32_t> ids =
        model_->chat_prompt({{.role = "user", .content = judge_question(request.prompt, answer, scale_)}});
    if (std::ssize(ids) <= room) return ids;
    if (answer.empty())
      throw UserError("[align] the judge's question without an answer takes {} tokens, its context leaves {}",
                      ids.size(), room);
    answer = answer.substr(0, answer.size() - std::max<size_t>(1, answer.size() / 8));
    while (!answer.empty() && (static_cast<unsigned char>(answer.back()) & 0xC0) == 0x80) answer.remove_suffix(1);
    if (!answer.empty() && static_cast<unsigned char>(answer.back()) >= 0xC0) answer.remove_suffix(1);
  }
}

std::vector<Judgement> Judge::judge(const std::vector<Request>& requests) const {
  std::vector<std::vector<int32_t>> answers;  // of each score
  for (int64_t score = scale_.low; score <= scale_.high; ++score)
    answers.push_back(model_->tokenizer().encode(judge_answer(score), {.add_special = false, .parse_special = false}));
  size_t longest = 0;
  for (const std::vector<int32_t>& answer : answers) longest = std::max(longest, answer.size());
  std::vector<Writes::ScoreRequest> asked;
  for (const Request& each : requests) {
    const std::vector<int32_t> prompt = question(each, model_->context() - static_cast<int64_t>(longest));
    for (const std::vector<int32_t>& answer : answers) asked.push_back({.prompt = prompt, .continuation = answer});
  }
  const std::vector<std::vector<ScoredToken>> scored = model_->score(asked);
  std::vector<Judgement> judgements;
  for (size_t i = 0; i < requests.size(); ++i) {
    std::vector<double> sums;
    for (size_t s = 0; s < answers.size(); ++s) {
      double sum = 0;
      for (const ScoredToken& token : scored[i * answers.size() + s]) sum += token.log_probability;
      sums.push_back(sum);
    }
    judgements.push_back(judgement_of(sums, scale_));
  }
  return judgements;
}

Agreement agreement(const std::vector<int64_t>& groups, const std::vector<double>& ratings,
                    const std::vector<double>& scores) {
  std::map<int64_t, std::vector<size_t>> members;
  for (size_t i = 0; i < groups.size(); ++i) members[groups[i]].push_back(i);
  Agreement result;
  for (const auto& [group, indices] : members) {
    for (size_t a = 0; a < indices.size(); ++a) {
      for (size_t b = a + 1; b < indices.size(); ++b) {
        const double people = ratings[indices[a]] - ratings[indices[b]],
                     judge = scores[indices[a]] - scores[indices[b]];
        if (people == 0) continue;
        ++result.pairs;
        if (judge == 0) ++result.ties;
        result.right += judge == 0 ? 0.5 : (judge > 0) == (people > 0) ? 1 : 0;
      }
    }
  }
  return result;
}

bool says_one_thing(const std::vector<double>& scores, const Scale& scale) {
  if (scores.size() < 2) return false;
  const auto [least, most] = std::ranges::minmax_element(scores);
  return *most - *least <= 0.01 * static_cast<double>(scale.high - scale.low);
}

std::vector<RatedAnswer> read_ratings(const Path& file, const Scale& scale) {
  std::vector<RatedAnswer> rated;
  std::set<std::string> seen;
  int64_t number = 0, twice = 0;
  RowRepairs repairs;
  for (const std::string& line : read_text_lines(file, "align")) {
    const std::string where = fmt::format("{} row {}", file.string(), ++number);
    const Json row = parse_json_row(line, where, &repairs);
    if (!row.is_object()) throw UserError("[align] {}: want an object with prompt, response and score", where);
    RatedAnswer each{.prompt = text_of(row, {"prompt", "instruction"}, where),
                     .answer = text_of(row, {"response", "answer"}, where),
                     .rating = rating_of(row, scale, where)};
    if (!seen.insert(each.prompt + '\0' + each.answer).second) {
      ++twice;
      continue;
    }
    rated.push_back(std::move(each));
  }
  repairs.warn("align");
  if (rated.empty()) throw UserError("[align] {} holds no ratings", file.string());
  if (twice > 0)
    log_warning("[align] {} of {} rows of {} rate an answer that was rated before and are left out", twice, number,
                file.string());
  return rated;
}

}  // namespace tessera::align
