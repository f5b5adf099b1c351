// The VQ codec's objective: where gradients go, what revives codes, and that training is the same when resumed.
#include "codec/vq/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"
#include "train/loop.h"

namespace tessera::vq {
namespace {

using Scratch = tessera::testing::ScratchFolder;

VqConfig small_config() {
  return {.name = "small",
          .picture_size = 8,
          .patch = 2,
          .channels = 8,
          .multipliers = {1, 1},
          .encoder_blocks = 1,
          .decoder_blocks = 1,
          .norm_groups = 4,
          .latent_channels = 6,
          .code_width = 4,
          .codes = 24};
}

/// Pictures of one colour each, another for every index.
class Colours final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    Rng rng = Rng(9).split(index % 64);
    Sample sample{.picture = Image(8, 8, 3)};
    const uint64_t colour[3] = {rng.below(256), rng.below(256), rng.below(256)};
    for (size_t i = 0; i < sample.picture.pixels.size(); ++i)
      sample.picture.pixels[i] = static_cast<uint8_t>(colour[i % 3]);
    return sample;
  }
  std::optional<uint64_t> pass_length() const override { return 64; }
};

const Colours colours;

std::unique_ptr<VqObjective> objective_of(const VqTraining& training) {
  VqObjective::Parts parts{.codec = VqCodec(small_config()), .training = training, .source = &colours, .seed = 5};
  initialise(parts.codec, 5);
  for (uint64_t i = 0; i < 8; ++i) parts.fixed.push_back(colours.at(i).picture);
  return std::make_unique<VqObjective>(std::move(parts));
}

TEST(VqObjective, TheEncoderGetsTheDecodersGradientStraightThrough) {
  const auto objective = objective_of({.l1 = 0, .mse = 1, .commitment = 0, .codebook = 0, .revive_every = 0});
  const VqCodec& codec = objective->codec();
  for (const auto& p : objective->parameters()) p.tensor.requires_grad_(true);
  const std::vector<Sample> batch{colours.at(1), colours.at(2)};
  objective->loss(batch, {}).value.backward();
  const Tensor got = codec.quant_conv.weight.grad().clone();
  EXPECT_FALSE(codec.codebook.grad().defined() && codec.codebook.grad().abs().max().item<double>() > 0);

  const Tensor pictures = pictures_to_tensor({batch[0].picture, batch[1].picture}, at::kCPU);
  const Tensor rows = codec.rows_of(codec.encode(pictures)).detach().requires_grad_(true);
  (codec.decode_features(rows) - pictures).square().mean().backward();
  codec.quant_conv.weight.mutable_grad().reset();
  codec.features(pictures).backward(rows.grad());
  const Tensor want = codec.quant_conv.weight.grad();
  EXPECT_GT(want.abs().max().item<double>(), 0);
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-4 * want.abs().max().item<double>());
}

TEST(VqObjective, CommitmentMovesFeaturesAndTheCodebookTermCodes) {
  const auto gradients = [](double commitment, double codebook) {
    const auto objective =
        objective_of({.l1 = 0, .mse = 0, .commitment = commitment, .codebook = codebook, .revive_every = 0});
    for (const auto& p : objective->parameters()) p.tensor.requires_grad_(true);
    objective->loss({colours.at(1), colours.at(2)}, {}).value.backward();
    const auto size = [](const Tensor& t) { return t.grad().defined() ? t.grad().abs().max().item<double>() : 0.0; };
    return std::pair(size(objective->codec().quant_conv.weight), size(objective->codec().codebook));
  };
  const auto [features_by_commitment, codes_by_commitment] = gradients(1, 0);
  const auto [features_by_codebook, codes_by_codebook] = gradients(0, 1);
  EXPECT_GT(features_by_commitment, 0);
  EXPECT_EQ(codes_by_commitment, 0);
  EXPECT_EQ(features_by_codebook, 0);
  EXPECT_GT(codes_by_codebook, 0);
}

TEST(CodeUsage, PerplexityIsTheNumberOfCodesThatAreUsedAlike) {
  const CodeUsage alike = usage_of(at::arange(8) % 4, 16);
  EXPECT_DOUBLE_EQ(alike.share, 0.25);
  EXPECT_NEAR(alike.perplexity, 4, 1e-9);
  const CodeUsage uneven = usage_of(at::tensor({0, 0, 0, 1}, at::kLong), 2);
  EXPECT_NEAR(uneven.perplexity, std::exp(-(0.75 * std::log(0.75) + 0.25 * std::log(0.25))), 1e-9);
}

TEST(ReviveCodes, UnusedCodesMoveOntoRowsFarFromAllCodesAndUsedOnesStay) {
  Tensor codebook = at::tensor({0.0f, 0.0f, 100.0f, 100.0f, -100.0f, 50.0f}).view({3, 2});
  const Tensor before = codebook.clone();
  const Tensor rows = at::tensor({0.0f, 0.0f, 0.0f, 0.0f, 8.0f, 0.0f}).view({3, 2});  // only the last is far
  EXPECT_EQ(revive_codes(rows, codebook, Rng(1)), 2);
  EXPECT_TRUE(at::equal(codebook[0], before[0]));
  for (const int64_t moved : {1, 2}) EXPECT_TRUE(at::equal(codebook[moved], rows[2])) << moved;
  EXPECT_EQ(revive_codes(at::cat({rows, codebook}), at::cat({codebook.narrow(0, 0, 2)}), Rng(1)), 0);
}

TEST(VqObjective, RevivalBringsCodesIntoUse) {
  const auto used_after = [](int64_t revive_every) {
    const auto objective = objective_of({.revive_every = revive_every, .revive_pictures = 64});
    Tensor codebook = objective->codec().codebook;  // a handle
    codebook.fill_(100);                            // far from everything
    std::vector<Sample> batch;
    for (uint64_t i = 0; i < 32; ++i) batch.push_back(colours.at(i));
    for (int64_t step = 0; step < 4; ++step) objective->loss(batch, {.step = step, .total_steps = 10});
    return objective->evaluate().at("code_usage");
  };
  EXPECT_GT(used_after(1), used_after(0) + 0.1);
}

TEST(VqObjective, AResumedRunEndsWithTheSameBytesAsOneThatWasNotStopped) {
  const Scratch scratch;
  const auto run = [&](const std::string& name, int64_t steps, bool resume) {
    const auto objective = objective_of({.revive_every = 4, .revive_pictures = 16, .revive_until = 1});
    train::TrainConfig config{.steps = steps, .batch = 4, .log_every = 1, .evaluate_every = 0, .checkpoint_every = 3};
    config.schedule = {.kind = "constant", .warmup_steps = 1};
    train::train(*objective, colours, config, {.directory = scratch / name, .resume = resume});
    return read_file(scratch / name / "checkpoints" / fmt::format("step-{}", steps) / "state.safetensors");
  };
  const std::string whole = run("whole", 10, false);
  run("parts", 6, false);
  EXPECT_EQ(run("parts", 10, true), whole);
}

/// The colours, twice as large.
class LargeColours final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    const Image small = colours.at(index).picture;
    Sample sample{.picture = Image(16, 16, 3), .picture_id = index % 64};
    for (size_t i = 0; i < sample.picture.pixels.size(); ++i) sample.picture.pixels[i] = small.pixels[i % 3];
    return sample;
  }
  std::optional<uint64_t> pass_length() const override { return 64; }
};

TEST(VqObjective, ADecoderOfAnotherSizeLearnsOnCodesThatStay) {
  const Scratch scratch;
  VqCodec small(small_config());
  initialise(small, 5);
  save_vq(small, scratch / "start", StoredAs::f32);

  VqConfig large = small_config();
  large.picture_size = 16, large.upscale = 2, large.decoder_channels = 16, large.decoder_blocks = 2;
  large.decoder_multipliers = {1, 2};
  train::Recipe recipe;
  recipe.model = to_json(large);
  recipe.loss =
      to_json(VqTraining{.start = (scratch / "start").string(), .freeze_encoder = true, .replace_codes = 0.25});
  const LargeColours source;
  const auto objective = make_vq_objective(recipe, source, at::kCPU);
  const VqCodec& codec = dynamic_cast<const VqObjective&>(*objective).codec();
  const Tensor seen = pictures_to_tensor({colours.at(3).picture, colours.at(4).picture}, at::kCPU);
  const Tensor pictures = pictures_to_tensor({source.at(3).picture, source.at(4).picture}, at::kCPU);

  const auto parameters = objective->parameters();
  for (const auto& p : parameters) p.tensor.requires_grad_(true);
  const train::StepContext context{.step = 1, .total_steps = 2, .rng = Rng(3)};
  const train::Loss first = objective->loss({source.at(3), source.at(4)}, context);
  first.value.backward();
  {
    const at::NoGradGuard no_grad;
    for (const auto& p : parameters) p.tensor.sub_(p.tensor.grad(), 1e-2);
  }
  EXPECT_LT(objective->loss({source.at(3), source.at(4)}, context).value.item<double>(), first.value.item<double>());
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::equal(codec.encode(pictures), small.encode(seen)));
  EXPECT_EQ(fingerprint(codec), fingerprint(small));
  EXPECT_EQ(codec.decode(codec.encode(pictures)).sizes(), at::IntArrayRef({2, 3, 16, 16}));

  recipe.loss["freeze_encoder"] = false;
  recipe.loss["replace_codes"] = 0;
  EXPECT_THAT(
      [&] { make_vq_objective(recipe, source, at::kCPU); },
      ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("with freeze_encoder their decoders may differ")));
}

TEST(VqObjective, APictureOfAnotherSizeIsRefused) {
  const auto objective = objective_of({});
  EXPECT_THAT([&] { objective->prepare({.picture = Image(16, 8, 3)}); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("is 16 x 8, want 8 x 8")));
}

}  // namespace
}  // namespace tessera::vq
