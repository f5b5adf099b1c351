// What an alignment run has made so far: every prompt, answer and score, in one SQLite file. What must stay true: a run that is killed at
// any point goes on without repeating or skipping work, and ends with the same data as one that was not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"

struct sqlite3;

namespace tessera::align {

/// A prompt of the pool.
struct StoredPrompt {
  int64_t id = 0;  // 0: new
  std::string text;
  std::string origin;    // "seed" or "synthetic"
  std::string model;     // that wrote it; empty for seeds
  uint64_t seed = 0;     // of its draws
  std::string shown;     // ids of the prompts that it was shown as examples, "3 17 4"
  int64_t cluster = -1;  // -1: none yet
  int64_t round = 0;     // in which it was used; 0: not yet
};

/// One answer of a model.
struct StoredAnswer {
  int64_t id = 0;
  int64_t prompt = 0;
  int64_t round = 0;
  std::string model;   // that wrote it
  int64_t number = 0;  // among those of this model to this prompt in this round
  uint64_t seed = 0;
  std::string text;
  int64_t tokens = 0;
  bool finished = false;  // ended by itself, not by the limit of tokens
};

/// What a judge thinks of an answer.
struct StoredScore {
  int64_t answer = 0;
  std::string judge;
  double score = 0;           // the mean over the scale, weighted by probability
  int64_t likeliest = 0;      // the integer form: the most probable score
  bool tied = false;          // whether another score is as probable as that
  double mass = 0;            // probability that the judge gives a score at all
  std::string probabilities;  // of each score, as a JSON list
};

/// An answer with what the judge says of it.
struct ScoredAnswer {
  StoredAnswer answer;
  double score = 0;
  double mass = 0;  // as StoredScore has it; 0: the judge gave no score
};

/// A prompt with one of its answers and one of that answer's scores, as far as there are any.
struct StoredRow {
  StoredPrompt prompt;
  StoredAnswer answer;  // id 0: none yet
  StoredScore score;    // an empty judge: none yet
};

/// A step of the pipeline.
struct StoredStep {
  std::string name;    // "round 3: answers"
  std::string state;   // "running", "done"
  double started = 0;  // seconds since 1970
  double seconds = 0;  // of work, over all processes that did it
  std::string detail;  // what it came to, as a JSON object
};

class Store {
 public:
  /// Opens the file, or begins one. Write-ahead log, so that readers (align status) see whole transactions while it is written. `writable`:
  /// false for a reader. Throws UserError for a file that is no store or of a newer form; FaultError for the disk.
  explicit Store(const Path& file, bool writable = true);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// A value by name; "" where there is none.
  std::string note(std::string_view key) const;
  void set_note(std::string_view key, std::string_view value);

  using Notes = std::vector<std::pair<std::string, std::string>>;
  /// Adds the prompts whose text is not there yet, in their order, and sets the notes; all or none. Returns how many were new.
  int64_t add_prompts(const std::vector<StoredPrompt>& prompts, const Notes& notes = {});
  int64_t count_prompts(std::string_view origin = {}) const;
  std::vector<StoredPrompt> prompts(std::string_view origin = {}) const;
  /// One after the other by id, without holding all; false ends it.
  void each_prompt(const std::function<bool(const StoredPrompt&)>& visit) const;
  /// Synthetic prompts of no round with their clusters, by id.
  std::vector<std::pair<int64_t, int64_t>> unused_prompts() const;
  /// Prompts of each cluster, the largest first.
  std::vector<int64_t> cluster_sizes() const;
  /// Clusters of prompts by id, all or none.
  void set_clusters(const std::vector<std::pair<int64_t, int64_t>>& clusters);
  /// Marks prompts as those of a round, all or none. Throws UserError when one has been used before.
  void use_prompts(const std::vector<int64_t>& ids, int64_t round);
  std::vector<StoredPrompt> prompts_of_round(int64_t round) const;

  /// Answers that are there already stay as they are.
  void add_answers(const std::vector<StoredAnswer>& answers);
  int64_t count_answers(int64_t round) const;
  /// Tokens of a round's answers.
  int64_t count_tokens(int64_t round) const;
  /// Whether an answer is there: by (prompt, model, number) of a round.
  bool has_answer(int64_t prompt, int64_t round, std::string_view model, int64_t number) const;
  /// Answers of a round that a judge has not scored, by id, from the first whose id is above `after`; at most `most`.
  std::vector<StoredAnswer> unscored(int64_t round, std::string_view judge, int64_t most, int64_t after = 0) const;
  void add_scores(const std::vector<StoredScore>& scores);
  int64_t count_scores(int64_t round, std::string_view judge) const;
  /// Scores whose integer form is shared by another score of the scale.
  int64_t count_ties(int64_t round, std::string_view judge) const;
  /// Scored answers of a round, prompt by prompt, each prompt's by falling score (of equals by model and number).
  void each_scored(int64_t round, std::string_view judge,
                   const std::function<void(const StoredPrompt&, const std::vector<ScoredAnswer>&)>& visit) const;
  /// Everything, row by row, by prompt, answer and judge, without holding it.
  void each_row(const std::function<void(const StoredRow&)>& visit) const;

  std::optional<StoredStep> step(std::string_view name) const;
  std::vector<StoredStep> steps() const;  // in the order in which they began
  void put_step(const StoredStep& step);

 private:
  class Statement;
  void run(const char* sql) const;
  [[noreturn]] void fail(std::string_view doing) const;
  /// All that `work` does, or nothing.
  void together(const std::function<void()>& work);

  Path file_;
  sqlite3* db_ = nullptr;
};

/// Which text two prompts have in common when they say the same: lower case, runs of blanks and signs made one blank.
std::string normalised_prompt(std::string_view text);

}  // namespace tessera::align
