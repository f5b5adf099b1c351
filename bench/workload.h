// The work that is timed: drawing, training steps and their simpler alternatives, on one model and one fixed batch.
#pragma once

#include <memory>
#include <string>

#include "models/infinity/draw.h"
#include "models/infinity/objective.h"
#include "train/optimizer.h"

namespace tessera::bench {

/// Writes a model directory with random weights, shaped like the model that ships.
void make_model(const Path& directory);
/// Writes latents, flips, dropped prompts and prompts of a training batch that suits a model, for both sides to read.
void make_batch(const Path& model, int64_t count, const Path& file);

class Workload {
 public:
  Workload(const Path& model, const Path& batch);

  /// Words to 8-bit pictures, as the verb draw makes them: in fp32 with `exact`, else in bf16 where the processor multiplies it.
  void draw(const std::string& prompt, int64_t count, bool cached, bool exact) const;
  /// The scale loop alone: one pass of the transformer for each scale.
  void next_scale(const std::string& prompt) const;
  /// The same transformer, one pass for each of `tokens` positions, as in raster order. Its level table is longer.
  void raster(const std::string& prompt, int64_t tokens);
  /// Loss of the batch; with `step`, also its gradients and an AdamW step.
  double loss(bool step);

 private:
  infinity::DrawingInfinity drawing_, in_bf16_;
  infinity::Infinity model_;  // trained apart from the one that draws
  std::optional<infinity::Infinity> raster_;
  std::optional<train::AdamW> optimizer_;
  Tensor latents_, dropped_;
  std::vector<Tensor> flips_;
  std::vector<std::string> prompts_;
  infinity::Positions positions_;
  Tensor weights_;
};

}  // namespace tessera::bench
