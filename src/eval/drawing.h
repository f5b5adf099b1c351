// Measurements of models that draw: does the picture show what the words named?
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/emoji_source.h"
#include "models/capabilities.h"

namespace tessera::eval {

/// What a drawing task draws and how. `request` carries seed, guidance and temperature; its prompts are set here.
struct DrawingTask {
  data::EmojiOptions emoji;     // which world, and which names count as trained on
  int64_t count = 200;          // pictures to draw; 0: one for every name
  uint64_t seed = 0;            // which names, and the drawing's own seed
  std::string words = "names";  // what is asked for: names, reworded (names in other words) or keywords
  DrawRequest request;
  std::function<void(int64_t done, int64_t total)> on_progress;
};

/// Shares from 0 to 1.
struct RetrievalResult {
  int64_t count = 0;
  double top1 = 0, top5 = 0;
  double variety =
      0;  // different nearest sprites over those of the names themselves: 1 when every name gives another sprite
  double pictures_per_second = 0;
  std::vector<std::string> missed;  // prompts whose own sprite was not nearest
};

/// Draws names (distinct, at random) and asks which base sprite each picture is nearest to (eval/sprite_matcher.h). Of keywords,
/// every sprite that has them all is right; those of emoji that have none are their names.
RetrievalResult measure_retrieval(const Draws& model, const DrawingTask& task);

struct SceneResult {
  int64_t count = 0;
  double score = 0;                     // mean over the kinds, as in GenEval
  std::map<std::string, double> kinds;  // share of right pictures of each kind
  double pictures_per_second = 0;
};

/// Draws scene captions, or the same in other words, and checks each claim (eval/scene_scorer.h).
SceneResult measure_scenes(const Draws& model, const DrawingTask& task);

}  // namespace tessera::eval
