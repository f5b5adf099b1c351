// The tower while it is tuned: norms alone learn, and blocks may be computed again.
#include <gtest/gtest.h>

#include <ATen/ops/ones.h>

#include "models/nvila/testing.h"
#include "tensor/live_bytes.h"
#include "train/tune.h"

namespace tessera::nvila {
namespace {

struct Pass {
  Tensor features;
  std::vector<Tensor> gradients;
  int64_t peak = 0;
};

Pass pass(const VisionTower& tower, const std::vector<train::Parameter>& parameters, bool recompute) {
  const Tensor pixels = at::ones({6, 3, 24, 24}).cumsum(-1) / 24;
  Pass result;
  const LiveBytes bytes;
  const Tensor features = tower.forward(pixels, recompute);
  features.square().sum().backward();
  result.peak = bytes.peak();
  result.features = features.detach();
  for (const train::Parameter& p : parameters) {
    result.gradients.push_back(p.tensor.grad());
    p.tensor.mutable_grad() = Tensor();
  }
  return result;
}

TEST(NvilaTuning, OnlyNormsOfTheTowerAreTrained) {
  NvilaModel model = tiny_nvila();
  for (const train::Parameter& p : train::tuned_parameters(model.vision_tower, {.what = "norms"}))
    EXPECT_NE(p.name.find("layer_norm"), std::string::npos) << p.name;
  EXPECT_FALSE(model.vision_tower.positions.requires_grad());
}

TEST(NvilaTuning, RecomputedBlocksGiveTheSameGradientsInLessMemory) {
  for (const std::string what : {"norms", "full", "lora"}) {
    NvilaConfig config = tiny_config();
    config.vision.depth = 6;
    NvilaModel model = tiny_nvila(config);
    const auto parameters = train::tuned_parameters(model.vision_tower, {.what = what, .rank = 2});
    const Pass kept = pass(model.vision_tower, parameters, false), again = pass(model.vision_tower, parameters, true);
    EXPECT_TRUE(kept.features.equal(again.features)) << what;
    for (size_t i = 0; i < parameters.size(); ++i)
      EXPECT_TRUE(kept.gradients[i].equal(again.gradients[i])) << what << " " << parameters[i].name;
    EXPECT_LT(again.peak, kept.peak) << what;
  }
}

}  // namespace
}  // namespace tessera::nvila
