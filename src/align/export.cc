// Rows of the store to lines of a file that appears when it is whole.
#include "align/export.h"

#include "core/error.h"
#include "core/json.h"

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
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}
}  // namespace

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
