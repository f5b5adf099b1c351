// Laws of the whole model that need no twin: what is computed together equals what is computed apart, and gradients reach all parts.
#include "models/nvila/module.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "models/nvila/testing.h"

namespace tessera::nvila {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A row of `words` words around the media's rows.
PromptRow row_of(const NvilaConfig& config, const std::vector<MediaPlan>& plans, int64_t words) {
  PromptRow row;
  for (int64_t i = 0; i < words; ++i) row.ids.push_back(static_cast<int32_t>(3 + i));
  for (const MediaPlan& plan : plans)
    for (const int64_t rows : block_rows(config, plan)) row.ids.insert(row.ids.begin() + 1, rows, media_row);
  row.learnt.assign(row.ids.size(), false);
  row.learnt.back() = true;
  return row;
}

Assembled batch_of(const NvilaConfig& config, const std::vector<std::vector<Media>>& conversations) {
  std::vector<PromptRow> rows;
  std::vector<Tensor> pixels;
  std::vector<MediaPlan> all;
  int64_t words = 3;
  for (const auto& media : conversations) {
    const std::vector<MediaPlan> plans = plans_of(config, media);
    rows.push_back(row_of(config, plans, ++words));
    for (size_t i = 0; i < media.size(); ++i) pixels.push_back(pixels_of(config, media[i], plans[i]));
    all.insert(all.end(), plans.begin(), plans.end());
  }
  return assemble(rows, pixels, all, at::kCPU);
}

void expect_close(const Tensor& a, const Tensor& b, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes());
  EXPECT_LE((a - b).abs().max().item<double>(), tolerance);
}

TEST(NvilaModel, MediaRowsOfAMixedBatchEqualThoseOfEachMediumAlone) {
  const at::NoGradGuard no_grad;
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    const NvilaModel model = tiny_nvila(tiny_config(mode));
    const std::vector<Media> media = {picture_of(1, 50, 24), clip_of(2, 4), picture_of(3, 60, 60)};
    std::vector<Tensor> pixels, apart;
    std::vector<MediaPlan> plans;
    for (const Media& each : media) {
      plans.push_back(plan_of(model.config, each, true));
      pixels.push_back(pixels_of(model.config, each, plans.back()));
      apart.push_back(model.media_rows(pixels.back(), {plans.back()}));
      int64_t rows = 0;
      for (const int64_t n : block_rows(model.config, plans.back())) rows += n;
      EXPECT_EQ(apart.back().size(0), rows) << mode;
    }
    expect_close(model.media_rows(at::cat(pixels), plans), at::cat(apart), 1e-5);
  }
}

TEST(NvilaModel, ManyTilesInPartsEqualAllAtOnce) {
  const NvilaModel model = tiny_nvila();
  const Tensor pixels = normalised(clip_of(5, 20).frames);
  const Tensor at_once = model.features(pixels);  // with gradients: one pass
  const at::NoGradGuard no_grad;
  expect_close(model.features(pixels), at_once.detach(), 1e-5);
}

TEST(NvilaModel, LogitsOfABatchEqualThoseOfItsRowsAlone) {
  const at::NoGradGuard no_grad;
  const NvilaModel model = tiny_nvila(tiny_config("dynamic"));
  const std::vector<std::vector<Media>> conversations = {{picture_of(1, 50, 24)}, {}, {clip_of(2, 4), picture_of(4)}};
  const Assembled together = batch_of(model.config, conversations);
  const Tensor logits = model.logits(together);
  int64_t words = 3;
  for (size_t b = 0; b < conversations.size(); ++b) {
    const std::vector<Media>& media = conversations[b];
    const std::vector<MediaPlan> plans = plans_of(model.config, media);
    std::vector<Tensor> pixels;
    for (size_t i = 0; i < media.size(); ++i) pixels.push_back(pixels_of(model.config, media[i], plans[i]));
    const Assembled alone = assemble({row_of(model.config, plans, ++words)}, pixels, plans, at::kCPU);
    const Tensor own = model.logits(alone)[0];
    expect_close(logits[static_cast<int64_t>(b)].slice(0, logits.size(1) - own.size(0)), own, 1e-4);
  }
}

TEST(NvilaModel, GradientsReachEveryTensor) {
  NvilaModel model = tiny_nvila(tiny_config("dynamic_s2", "mlp_downsample_3x3_fix"));
  for_each_tensor(model, [](const std::string&, Tensor& t) { t.requires_grad_(true); });
  const Assembled batch = batch_of(model.config, {{picture_of(1, 50, 24)}, {clip_of(2, 4)}});
  model.logits(batch).log_softmax(-1).select(-1, 7).sum().backward();
  for_each_tensor(model, [](const std::string& name, Tensor& t) {
    ASSERT_TRUE(t.grad().defined()) << name;
    if (!name.ends_with("k_proj.bias")) {  // softmax does not feel what all keys share
      EXPECT_GT(t.grad().abs().max().item<double>(), 0) << name;
    }
  });
}

TEST(NvilaModel, RecomputedBlocksGiveTheSameValuesAndGradients) {
  NvilaModel model = tiny_nvila(tiny_config("dynamic_s2"));
  for_each_tensor(model, [](const std::string&, Tensor& t) { t.requires_grad_(true); });
  const Assembled batch = batch_of(model.config, {{picture_of(1, 50, 24)}, {clip_of(2, 4)}});
  std::vector<Tensor> gradients;
  for (const bool recompute : {false, true}) {
    model.embed(batch, recompute).square().sum().backward();
    gradients.push_back(model.vision_tower.patch_weight.grad().clone());
    model.vision_tower.patch_weight.mutable_grad().reset();
  }
  expect_close(gradients[0], gradients[1], 1e-6);
}

TEST(NvilaModel, ImpossibleConfigsAreRefused) {
  const auto refused = [](auto change, const char* words) {
    NvilaConfig config = tiny_config("dynamic_s2");
    change(config);
    EXPECT_THAT([&] { NvilaModel model(config); }, ThrowsMessage<UserError>(HasSubstr(words)));
  };
  refused([](NvilaConfig& c) { c.projector = "resampler"; }, "projector type 'resampler' is not supported");
  refused([](NvilaConfig& c) { c.vision.heads = 3; }, "width 16 over 3 heads");
  refused([](NvilaConfig& c) { c.vision.select_layer = -3; }, "select_layer is -3");
  refused([](NvilaConfig& c) { c.vision.patch = 0; }, "patch 0");
  refused([](NvilaConfig& c) { c.tiles.mode = "anyres"; }, "scale mode is 'anyres'");
  refused([](NvilaConfig& c) { c.tiles.scales = {24, 50}; }, "rising multiples");
  refused([](NvilaConfig& c) { c.tiles.max_tiles = 8; }, "fewer than the 9 tiles");
  refused([](NvilaConfig& c) { c.video.pool = {3, 1, 1}; }, "does not divide 4 frames");
  refused([](NvilaConfig& c) { c.video.pool = {1, 1}; }, "three whole numbers");
}

}  // namespace
}  // namespace tessera::nvila
