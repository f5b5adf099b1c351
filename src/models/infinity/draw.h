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
  /// Where guidance mixes: 0 on the logits, -k on what leaves block depth - k (from 0), as the published cfg_insertion_layer.
  std::vector<int64_t> guided_layers{0};
  std::optional<nn::TextStates> negative;  // of one row or of all: what guidance leads away from; absent: "no prompt"
  std::vector<Tensor> exponentials;  // per scale [B, tokens, bits per token, 2]: see generate::BitSampling; or none
  at::ScalarType kept = at::kFloat;  // format of keys and values: fp32, bf16 or int8
  FastDrawing fast;                  // unguided scales are those of cfg 1; the others need the cache
  bool use_cache = true;
  std::function<void(size_t scale, const Tensor& sum)> on_scale;
};

/// A drawn batch before it is decoded.
struct DrawnCodes {
  generate::ScaleLoopResult codes;
  std::vector<Tensor> logits;  // per scale, guided, before temperature [B, tokens, bits per token, 2]
  int64_t cache_bytes = 0;     // of keys and values, at the most
};

/// Draws one picture for each text state. From the first scale on that no later one is guided (cfg of exactly 1), the unconditional rows
/// are left out.
DrawnCodes draw_codes(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan);

class DrawingInfinity final : public LoadedModel, public Draws {
 public:
  explicit DrawingInfinity(Bundle bundle);
  std::string model_type() const override { return infinity::model_type; }
  /// Of the transformer, of the codec, and of a text encoder that is in memory while it reads a prompt.
  int64_t weight_bytes() const override;
  const Draws* draws() const override { return this; }
  std::vector<Image> draw(const DrawRequest& request) const override;
  void check(const DrawRequest& request) const override;
  const Bundle& bundle() const { return bundle_; }

 private:
  DrawPlan plan_of(const DrawRequest& request) const;
  /// The bits of a picture's first scales, [1, d, h, w] each; it covers what is drawn, at its own proportions.
  std::vector<Tensor> kept_bits(const Image& picture, const Schedule& schedule, int64_t scales) const;
  /// As many pictures at once as were asked for, fewer where their keys and values are large.
  int64_t batch_for(const DrawRequest& request, const DrawPlan& plan) const;
  /// `begin`: the number of its first picture.
  std::vector<Image> draw_batch(const DrawRequest& request, const nn::TextStates& text, DrawPlan plan,
                                size_t begin) const;
  Bundle bundle_;
};

}  // namespace tessera::infinity
