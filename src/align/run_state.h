// What a run is doing, in files that a page can watch: state.json (the step under way, replaced as a whole every two seconds at most) and
// metrics.jsonl (a line for each step that is done, as `tessera serve --runs` and `tessera inspect` read them). What must stay true: both
// follow from the store, so that losing them loses nothing.
#pragma once

#include <chrono>
#include <string>

#include "align/store.h"
#include "core/json.h"
#include "core/progress.h"

namespace tessera::align {

inline Path state_of(const Path& run) { return run / "state.json"; }
/// What state.json says; an empty object where there is none.
Json read_state(const Path& run);
/// What a state says to people: "round 2: scores: 3 of 9 answers, 12s left", "round 2: scores: failed: " and the error. Empty where there is none.
std::string words_of_state(const Json& state);
/// `state`: running, done, stopped or failed. Adds the time.
void write_state(const Path& run, const std::string& step, const std::string& state, Json more = Json::object());

/// What came of a step, for people: "prompts 100, mean 5.21".
std::string words_of(const StoredStep& step);

/// Writes metrics.jsonl anew: numbers of the finished steps under "PART_NAME", as in scores_mean, by round; what comes before the rounds is
/// step 0.
void write_metrics(const Path& run, const Store& store);

/// A step's bar with rate and ETA, and the same in state.json.
class StepProgress {
 public:
  /// `start`: what earlier processes have done of it.
  StepProgress(const Path& run, std::string step, const std::string& label, int64_t total, const std::string& unit,
               int64_t start = 0);
  void update(int64_t done);
  void finish() { bar_.finish(); }

 private:
  using Clock = std::chrono::steady_clock;
  Path run_;
  std::string step_, unit_;
  int64_t total_, start_;
  Clock::time_point began_, written_;
  Progress bar_;
};

}  // namespace tessera::align
