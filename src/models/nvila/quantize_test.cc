// Packing a small NVILA from directory to directory: tower in 8 bits, language model in 4.
#include "models/nvila/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/nvila/model_files.h"
#include "models/nvila/testing.h"
#include "models/quantizable.h"
#include "models/registry.h"
#include "quant/awq.h"
#include "quant/smooth_quant.h"
#include "tests/support/scratch.h"

namespace tessera::nvila {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

double off(const Tensor& got, const Tensor& want) { return ((got - want).norm() / want.norm()).item<double>(); }

TEST(NvilaQuantize, SmoothingLeavesTheTowerAsItIsAndEveryLayerIsListedOnce) {
  const at::NoGradGuard no_grad;
  NvilaModel model = tiny_nvila();
  const Tensor pixels = at::rand({2, 3, 24, 24}) * 2 - 1, before = model.vision_tower.forward(pixels);
  size_t layers = 0;
  for (const auto& input : shared_inputs(model.vision_tower)) {
    layers += input.consumers.size();
    if (input.scalable()) quant::fold(input, at::rand({input.width()}) + 0.5);
  }
  EXPECT_EQ(layers, 6 * model.vision_tower.layers.size());
  EXPECT_LT(off(model.vision_tower.forward(pixels), before), 1e-5);
}

TEST(NvilaQuantize, APackedDirectoryLoadsAndAnswersNearlyAsTheModelItWasMadeFrom) {
  const at::NoGradGuard no_grad;
  const Path source = Path(TESSERA_SOURCE_DIR) / "tests/golden/data/nvila-flat";
  const tessera::testing::ScratchFolder scratch;
  const auto packing = load_quantizable(source, at::kCPU);
  const auto language = packing->language_inputs(), tower = packing->tower_inputs();
  const quant::Calibration on_language(language), on_tower(tower);
  const std::vector<Image> pictures{noise_picture(1, 60, 40), noise_picture(2, 30, 90)};
  EXPECT_GT(packing->calibrate({.texts = {}, .pictures = pictures}), 20);
  EXPECT_GT(on_tower.statistics()[0].rows(), 0);
  quant::awq(language, on_language.statistics(), {.group = 16});
  quant::smooth_quant(tower, on_tower.statistics());
  packing->save(scratch / "packed", {.group = 16});

  const NvilaModel plain = load_weights(source, at::kCPU);
  const NvilaModel packed = load_weights(scratch / "packed", at::kCPU, {.dtype = "auto", .writable = false});
  EXPECT_TRUE(packed.vision_tower.layers[0].mlp.fc1.packed && packed.vision_tower.layers[1].self_attn.q_proj.packed);
  EXPECT_EQ(packed.llm.layers[1].mlp.down_proj.packed->format(), "int4");
  EXPECT_EQ(packed.vision_tower.layers[0].mlp.fc1.packed->format(), "int8");
  const Tensor pixels = normalised({noise_picture(5, 56, 56)});
  EXPECT_LT(off(packed.features(pixels), plain.features(pixels)), 0.05);
  EXPECT_GT(off(packed.features(pixels), plain.features(pixels)), 0);
  EXPECT_THAT([&] { load_quantizable(scratch / "packed", at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("packed already")));
}

TEST(NvilaQuantize, NothingToCalibrateOnIsSaid) {
  const auto packing = load_quantizable(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/nvila-flat", at::kCPU);
  EXPECT_THAT([&] { packing->calibrate({}); }, ThrowsMessage<UserError>(HasSubstr("give pictures, texts or both")));
}

}  // namespace
}  // namespace tessera::nvila
