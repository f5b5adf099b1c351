// Drawing with an Infinity model: prompts in, pictures out, scale by scale.
#pragma once

#include <memory>

#include "generate/scale_loop.h"
#include "models/capabilities.h"
#include "models/infinity/model_files.h"

namespace tessera::infinity {

/// Choices of one batch, already checked. Lists hold one number per scale.
struct DrawPlan {
  Schedule schedule;
  std::vector<double> cfg, tau;
  double top_p = 0.97;
  uint64_t seed = 0;
  uint64_t first_picture = 0;
  std::vector<Tensor> given;  // bits of the first scales, [B, d, h, w] each
  bool use_cache = true;
  std::function<void(size_t scale, const Tensor& sum)> on_scale;
};

/// A drawn batch before it is decoded.
struct DrawnCodes {
  generate::ScaleLoopResult codes;
  std::vector<Tensor> logits;  // per scale, guided, before temperature [B, tokens, bits per token, 2]
};

/// Draws one picture for each text state.
DrawnCodes draw_codes(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan);

class DrawingInfinity final : public LoadedModel, public Draws {
 public:
  explicit DrawingInfinity(Bundle bundle);
  std::string model_type() const override { return infinity::model_type; }
  const Draws* draws() const override { return this; }
  std::vector<Image> draw(const DrawRequest& request) const override;
  const Bundle& bundle() const { return bundle_; }

 private:
  /// `states`: of all prompts where a PromptEncoder made them.
  std::vector<Image> draw_batch(const DrawRequest& request, const std::vector<Tensor>& states, DrawPlan plan,
                                size_t begin, size_t end) const;
  Bundle bundle_;
};

}  // namespace tessera::infinity
