// Learning from pictures that the model draws itself, by what they are worth (GRPO over bits).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/infinity/recipe.h"

namespace tessera::infinity {

/// A recipe's `[loss]` table for the objective "infinity-grpo".
struct PictureGrpo {
  int64_t group = 8;
  double temperature = 1;
  bool scaled = true;
  std::string rule = "retrieval";
  bool half = true;
  std::vector<std::string> sample_prompts;
  bool operator==(const PictureGrpo&) const = default;
};
template <class V> void fields(V& v, PictureGrpo& t) {
  v("group", t.group, "pictures drawn to each prompt");
  v("temperature", t.temperature, "at which they are drawn, without guidance, above 0");
  v("scaled", t.scaled, "divide a group's advantages by their spread");
  v("rule", t.rule,
    "retrieval (1 where of all pictures of the data the prompt's own is the nearest) or likeness (minus the mean "
    "squared "
    "difference from it)");
  v("half", t.half, "save weights as f16");
  v("sample_prompts", t.sample_prompts,
    "prompts drawn into every sample grid; none: captions of held-out samples, below their pictures");
}

/// What drawings are worth beside the pictures of the data. The distance is that of `tessera eval --task sprite-retrieval` (docs/infinity.md)
/// but for rounding: areas averaged to 32 x 32, squared differences.
class PictureReward {
 public:
  static constexpr int64_t edge = 32;
  static constexpr uint64_t most_pictures = 20'000;  // 12 KB each

  /// Throws UserError for another rule; for retrieval from a source without an end, of one picture or of more than `most_pictures`.
  PictureReward(const SampleSource& source, const std::string& rule, at::Device device);
  /// drawn, own [n, 3, H, W] in [-1, 1] -> [n]. For retrieval pictures that look the same at this size count as one.
  Tensor of(const Tensor& drawn, const Tensor& own) const;

 private:
  Tensor pictures_;  // [3 * edge * edge, pictures]; absent for likeness
  Tensor squares_;   // [pictures]
};

/// Group relative policy optimisation (arXiv 2402.03300) where an answer is a picture: its bits become more likely or less by its reward
/// beside that of the other pictures of its prompt. What is drawn is learned from at once, so there is no ratio to an older policy, no
/// critic and no copy of the model.
class PictureGrpoObjective final : public InfinityObjective {
 public:
  /// Throws UserError for settings out of range and a model with an index head.
  PictureGrpoObjective(Beginning with, PictureGrpo training, PictureReward reward, at::Device device);

  /// -mean over pictures of advantage x log probability of a bit, on average over the picture's bits. Metrics: reward, undecided (share of
  /// groups whose pictures are all worth the same: they teach nothing and do not go through the model again).
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  /// Rewards of one picture to each prompt that is measured: `reward_as_saved`, drawn by the model's own settings, and `reward_unguided`, as in
  /// training.
  std::map<std::string, double> evaluate() override;

 private:
  struct Drawn {
    std::vector<Tensor> bits;  // per scale, [n, d, h, w]
    Tensor pictures;           // [n, 3, H, W]
  };
  /// One picture to each caption, without guidance.
  Drawn draw(const std::vector<std::string>& captions, uint64_t seed);
  /// Mean log probability of each picture's bits, [n].
  Tensor log_probabilities(const std::vector<std::string>& captions, const std::vector<Tensor>& bits);

  PictureGrpo settings_;
  PictureReward reward_;
};

/// Completes the recipe's `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_picture_grpo_objective(train::Recipe& recipe, const SampleSource& source,
                                                              at::Device device);

}  // namespace tessera::infinity
