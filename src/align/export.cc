// Ranked answers to rows, and rows to a file that appears when it is whole.
#include "align/export.h"

#include <algorithm>

#include "align/inputs.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_rows.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr size_t written_at_once = size_t{1} << 20;

/// Lines of a file, a megabyte at a time.
class Lines {
 public:
  explicit Lines(WritableFile& out) : out_(out) {}
  void add(const std::string& line) {
    waiting_ += line;
    ++count_;
    if (waiting_.size() >= written_at_once) flush();
  }
  void flush() {
    out_.append(waiting_);
    waiting_.clear();
  }
  int64_t count() const { return count_; }

 private:
  WritableFile& out_;
  std::string waiting_;
  int64_t count_ = 0;
};

int64_t write_lines(const Path& file, FileSystem& files, const std::function<void(Lines&)>& work) {
  int64_t count = 0;
  write_file_atomically(
      file,
      [&](WritableFile& out) {
        Lines lines(out);
        work(lines);
        lines.flush();
        count = lines.count();
      },
      files);
  return count;
}

std::string line_of(const StoredRow& row) {
  Json line = {{"prompt_id", row.prompt.id},
               {"prompt", row.prompt.text},
               {"origin", row.prompt.origin},
               {"cluster", row.prompt.cluster}};
  if (row.answer.id != 0) {
    line["round"] = row.answer.round;
    line["model"] = row.answer.model;
    line["number"] = row.answer.number;
    line["answer"] = row.answer.text;
    line["finished"] = row.answer.finished;
  }
  if (!row.score.judge.empty()) {
    line["judge"] = row.score.judge;
    line["score"] = row.score.score;
    line["likeliest"] = row.score.likeliest;
    line["mass"] = row.score.mass;
  }
  return json_row(line);
}
}  // namespace

int64_t best_of(const std::vector<ScoredAnswer>& answers) {
  const auto usable = std::ranges::find_if(
      answers, [](const ScoredAnswer& a) { return a.answer.finished && !a.answer.text.empty() && a.mass > 0; });
  return usable == answers.end() ? -1 : usable - answers.begin();
}

std::string best_row(const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers, BestForm form,
                     uint64_t seed) {
  const int64_t best = best_of(answers);
  if (best < 0) return "";
  const std::string& chosen = answers[static_cast<size_t>(best)].answer.text;
  if (form == BestForm::conversations) return row_of(prompt.text, chosen);
  std::vector<const std::string*> worse;
  for (size_t i = static_cast<size_t>(best) + 1; i < answers.size(); ++i) {
    const std::string& text = answers[i].answer.text;
    if (!text.empty() && text != chosen && answers[i].mass > 0) worse.push_back(&text);
  }
  if (worse.empty()) return "";
  Rng rng = Rng(seed).split(static_cast<uint64_t>(prompt.id));
  const Json row = {{"prompt", prompt.text}, {"chosen", chosen}, {"rejected", *worse[rng.below(worse.size())]}};
  return json_row(row);
}

void each_best_row(const Store& store, int64_t round, std::string_view judge, BestForm form, uint64_t seed,
                   const std::function<void(const std::string& row)>& visit) {
  store.each_scored(round, judge, [&](const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers) {
    if (const std::string row = best_row(prompt, answers, form, seed); !row.empty()) visit(row);
  });
}

AlignRecipe recipe_of(const Store& store) {
  const std::string stored = store.note("recipe");
  if (stored.empty()) throw UserError("[align] this run has not begun: its seeds are not in the store yet");
  AlignRecipe recipe;
  from_json(parse_json(stored, "the run's recipe"), recipe, "the run's recipe");
  return recipe;
}

int64_t export_all(const Store& store, const Path& file, FileSystem& files) {
  return write_lines(file, files,
                     [&](Lines& lines) { store.each_row([&](const StoredRow& row) { lines.add(line_of(row)); }); });
}

int64_t export_best(const Store& store, BestForm form, const Path& file, FileSystem& files) {
  const AlignRecipe recipe = recipe_of(store);
  return write_lines(file, files, [&](Lines& lines) {
    for (int64_t round = 1; store.count_answers(round) > 0; ++round)
      each_best_row(store, round, judge_name(recipe), form, static_cast<uint64_t>(recipe.seed),
                    [&](const std::string& row) { lines.add(row); });
  });
}

}  // namespace tessera::align
