// Questions about Emoji World for a model that sees: the answers are known exactly, so no judge is needed.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/emoji_source.h"
#include "eval/intervals.h"
#include "models/capabilities.h"

namespace tessera::eval {

struct QaTask {
  std::vector<data::EmojiOptions> sources;  // sprites, scenes, clips; asked in turn
  int64_t count = 4000;                     // questions in all, one to a picture, so that they are independent
  uint64_t seed = 0;                        // which question of a picture
  std::vector<std::string> kinds;           // kinds to ask; empty: all
  int64_t frames = 0;                       // of a clip; 0: as many as the model was made for
  int64_t batch = 16;                       // requests given to the model at once
  std::function<void(int64_t done)> on_progress;
};

struct QaOutcome {
  std::string source;  // "sprite", "scene" or "clip"
  uint64_t index = 0;  // of the sample
  std::string kind, question, answer, said;
  bool right = false;
};

struct QaShare {
  int64_t count = 0, right = 0;
  double accuracy() const { return static_cast<double>(right) / static_cast<double>(count); }
  Interval interval() const { return wilson(right, count); }
};

struct QaResult {
  std::vector<QaOutcome> outcomes;       // in the order of the questions, which depend on the task alone
  std::map<std::string, QaShare> kinds;  // "scene count", "clip order", ...
  QaShare all;
};

/// Greedy answers, compared by same_answer. Throws UserError when no picture has a question of one of `kinds`.
QaResult measure_emoji_qa(const Sees& model, const QaTask& task);

/// Equal but for case (ASCII), blanks around and a full stop at the end.
bool same_answer(std::string_view said, std::string_view answer);

}  // namespace tessera::eval
