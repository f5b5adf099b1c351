// The objective's parts against sums written out by hand, and that it learns.
#include "models/infinity/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "media/compose.h"
#include "media/read_media.h"
#include "models/infinity/testing.h"
#include "tests/support/scratch.h"

namespace tessera::infinity {
namespace {

struct Pyramid {
  Schedule schedule = stretched_schedule({1, 2, 3}, 1);
  Tensor latents;
  std::vector<Tensor> flips;

  Pyramid() {
    at::manual_seed(3);
    latents = at::randn({2, 4, 3, 3});
    for (const ScaleShape s : schedule.scales) flips.push_back(at::rand({2, 4, s.height, s.width}) < 0.3);
  }
  Lesson lesson(std::string_view correction) const { return make_lesson(latents, schedule, false, correction, flips); }
};

TEST(Lesson, FeaturesAreTheSumsOfEarlierCodesResizedAndLabelsTheSignsOfTheirResidual) {
  const Pyramid p;
  const Lesson lesson = p.lesson("requantise");
  Tensor sum = at::zeros_like(p.latents);
  int64_t begin = 0;
  for (size_t k = 0; k < 3; ++k) {
    const int64_t edge = p.schedule.scales[k].height, count = edge * edge;
    if (k > 0) {
      const Tensor seen = at::upsample_bilinear2d(sum, {edge, edge}, false).flatten(2).transpose(1, 2);
      EXPECT_TRUE(at::allclose(lesson.features.slice(1, begin - 1, begin - 1 + count), seen, 1e-5, 1e-6));
    }
    const Tensor bits = at::adaptive_avg_pool2d(p.latents - sum, {edge, edge}) > 0;
    EXPECT_TRUE(at::equal(lesson.labels.slice(1, begin, begin + count), bits.flatten(2).transpose(1, 2)));
    const Tensor codes = at::where(bits.logical_xor(p.flips[k]), 0.5, -0.5).to(at::kFloat);  // 1 / sqrt(4)
    sum = sum + at::upsample_bilinear2d(codes, {3, 3}, false);
    begin += count;
  }
}

TEST(Lesson, FlipsOnlyKeepsTheCleanLabelsAndOffKeepsBoth) {
  const Pyramid p;
  const Lesson off = p.lesson("off"), flips = p.lesson("flips"), mended = p.lesson("requantise");
  EXPECT_TRUE(at::equal(flips.labels, off.labels));
  EXPECT_FALSE(at::equal(mended.labels, off.labels));
  EXPECT_FALSE(at::allclose(flips.features, off.features));
  EXPECT_TRUE(
      at::allclose(flips.features.slice(1, 0, 4), mended.features.slice(1, 0, 4)));  // the first scale's labels agree
}

TEST(Lesson, PatchesAreUnshuffledWithTheirFourPositionsBesideEachOther) {
  const Tensor grid = at::arange(2 * 4 * 6, at::kFloat).view({1, 2, 4, 6});
  const Tensor tokens = to_tokens(grid, true);
  EXPECT_EQ(tokens.sizes(), (std::vector<int64_t>{1, 6, 8}));
  EXPECT_EQ(tokens[0][4][5].item<float>(), grid[0][1][2][3].item<float>());  // token (1,1), channel 1, row 0, column 1
  EXPECT_TRUE(at::equal(to_grid(tokens, {2, 3}, true), grid));
  EXPECT_TRUE(at::equal(to_grid(to_tokens(grid, false), {4, 6}, false), grid));
}

TEST(Grade, WeighsPositionsByOneOverTheRootOfTheirScalesAreaAndCountsCrossEntropyPerBit) {
  const Pyramid p;
  const Tensor weights = position_weights(p.schedule, at::kCPU);
  EXPECT_NEAR(weights.sum().item<double>(), 1, 1e-6);
  EXPECT_NEAR((weights[0] / weights[13]).item<double>(), 3, 1e-5);
  EXPECT_NEAR((weights[1] / weights[13]).item<double>(), 1.5, 1e-5);

  const Tensor logits = at::randn({2, 14, 4, 2}), labels = at::rand({2, 14, 4}) < 0.5;
  const Tensor nats = -logits.log_softmax(-1).gather(-1, labels.to(at::kLong).unsqueeze(-1)).squeeze(-1);
  const Graded graded = grade(logits, labels, weights, tiny_config());
  EXPECT_NEAR(graded.loss.item<double>(), (nats.mean(-1).mean(0) * weights).sum().item<double>(), 1e-5);
  EXPECT_NEAR(graded.token_nats.item<double>(), nats.sum(-1).mean().item<double>(), 1e-5);
  EXPECT_TRUE(at::allclose(graded.correct, (logits.argmax(-1) == labels).to(at::kFloat).mean({0, 2})));
}

TEST(Grade, AnIndexHeadIsGradedOnCodewords) {
  InfinityConfig config = tiny_config();
  config.head = "index";
  const Tensor weights = position_weights(stretched_schedule({1, 2, 3}, 1), at::kCPU),
               labels = at::rand({2, 14, 4}) < 0.5;
  const Tensor right = at::one_hot(codewords(labels), 16).to(at::kFloat) * 50;
  const Graded graded = grade(right, labels, weights, config);
  EXPECT_NEAR(graded.loss.item<double>(), 0, 1e-6);
  EXPECT_EQ(graded.correct.min().item<double>(), 1);
  EXPECT_NEAR(grade(at::zeros({2, 14, 16}), labels, weights, config).token_nats.item<double>(), 4 * std::log(2.0),
              1e-5);
}

std::vector<Sample> two_samples() {
  return {{.picture = noise_picture(1), .caption = "red apple", .picture_id = 1},
          {.picture = noise_picture(2), .caption = "cat", .picture_id = 2}};
}

InfinityObjective tiny_objective(InfinityTraining training = {}, std::vector<Sample> fixed = two_samples()) {
  Infinity model(tiny_config());
  initialise(model, 3);
  return InfinityObjective(std::move(model), tiny_codec(), training, std::move(fixed), at::kCPU);
}

TEST(InfinityObjective, OverfitsTwoPictures) {
  InfinityObjective objective = tiny_objective();
  const std::vector<train::Parameter> parameters = objective.parameters();
  std::vector<Tensor> first(parameters.size()), second(parameters.size());
  double loss = 0;
  for (int64_t step = 1; step <= 150; ++step) {
    const train::Loss now = objective.loss(two_samples(), {.step = step, .rng = Rng(9, static_cast<uint64_t>(step))});
    if (step == 1) {
      EXPECT_NEAR(now.value.item<double>(), std::log(2.0), 0.01) << "an untrained head knows nothing";
    }
    loss = now.value.item<double>();
    now.value.backward();
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {  // Adam, written out
      Tensor p = parameters[i].tensor;
      if (!p.grad().defined()) continue;
      if (!first[i].defined()) {
        first[i] = at::zeros_like(p);
        second[i] = at::zeros_like(p);
      }
      first[i].lerp_(p.grad(), 0.1);
      second[i].lerp_(p.grad().square(), 0.03);
      const double a = 1 - std::pow(0.9, step), b = 1 - std::pow(0.97, step);
      p.sub_(0.005 * (first[i] / a) / ((second[i] / b).sqrt() + 1e-8));
      p.mutable_grad().reset();
    }
  }
  EXPECT_LT(loss, 0.25);
  EXPECT_GT(objective.evaluate().at("clean_bit_acc"), 0.9);
}

TEST(InfinityObjective, AStepDependsOnItsSeedAloneAndReportsEveryScale) {
  InfinityObjective a = tiny_objective(), b = tiny_objective();
  const train::Loss of_a = a.loss(two_samples(), {.rng = Rng(4)}), of_b = b.loss(two_samples(), {.rng = Rng(4)});
  EXPECT_EQ(of_a.value.item<double>(), of_b.value.item<double>());
  EXPECT_EQ(of_a.metrics, of_b.metrics);
  for (const char* name : {"bit_acc", "token_nats", "bit_acc_scale_1", "bit_acc_scale_2", "bit_acc_scale_3"}) {
    EXPECT_TRUE(of_a.metrics.contains(name)) << name;
  }
}

TEST(InfinityObjective, KeptLatentsGiveTheSameLossAsFreshOnes) {
  InfinityObjective objective = tiny_objective();
  const double fresh = objective.loss(two_samples(), {.rng = Rng(4)}).value.item<double>();
  EXPECT_EQ(objective.loss(two_samples(), {.rng = Rng(4)}).value.item<double>(), fresh);
  std::vector<Sample> wrong_pictures = two_samples();  // for known ids the pixels are not encoded again
  std::swap(wrong_pictures[0].picture, wrong_pictures[1].picture);
  EXPECT_EQ(objective.loss(wrong_pictures, {.rng = Rng(4)}).value.item<double>(), fresh);
}

TEST(InfinityObjective, WeightDecayAppliesToMatricesAlone) {
  std::map<std::string, bool> decays;
  for (const train::Parameter& p : tiny_objective().parameters()) decays[p.name] = p.decay;
  for (const char* name : {"blocks.0.sa.mat_qkv.weight", "blocks.1.ffn.fc2.weight", "head.weight", "word_embed.weight",
                           "text_encoder.blocks.0.attention.qkv.weight"}) {
    EXPECT_TRUE(decays.at(name)) << name;
  }
  for (const char* name :
       {"cfg_uncond", "pos_start", "lvl_embed.weight", "blocks.0.ada_gss", "blocks.0.sa.scale_mul_1H11", "head.bias",
        "blocks.0.ca_norm.weight", "text_proj_for_sos.ca.mat_q", "text_encoder.embedding"}) {
    EXPECT_FALSE(decays.at(name)) << name;
  }
  EXPECT_FALSE(decays.contains("blocks.0.sa.zero_k_bias"));
}

/// Any number of the two samples.
class TwoSamples final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return two_samples()[index % 2]; }
  std::optional<uint64_t> pass_length() const override { return 2; }
};

TEST(InfinityObjective, StartsFromAModelWithItsShapeItsCodecAndItsWeights) {
  const tessera::testing::ScratchFolder folder;
  tiny_objective({.half = false}).save_model(folder / "model", disk());
  train::Recipe recipe;
  recipe.model = {{"from", (folder / "model").string()}};
  const auto objective = make_infinity_objective(recipe, TwoSamples(), at::kCPU);
  EXPECT_EQ(recipe.model["width"], 32);
  const auto was = tiny_objective().parameters(), is = objective->parameters();
  ASSERT_EQ(is.size(), was.size());
  for (size_t i = 0; i < is.size(); ++i) EXPECT_TRUE(at::equal(is[i].tensor, was[i].tensor)) << is[i].name;
  const std::string before = read_file(folder / "model" / "model.safetensors");
  objective->loss(two_samples(), {.rng = Rng(4)}).value.backward();
  {
    const at::NoGradGuard no_grad;
    for (const train::Parameter& p : is) p.tensor.add_(1);
  }
  EXPECT_EQ(read_file(folder / "model" / "model.safetensors"), before) << "the model it began with stays as it is";
  train::Recipe again = recipe;  // what a resumed run reads
  EXPECT_NO_THROW(make_infinity_objective(again, TwoSamples(), at::kCPU));
}

TEST(InfinityObjective, AGrownModelDrawsWhatItDrewUntilItsNewBlocksLearn) {
  const tessera::testing::ScratchFolder folder;
  tiny_objective({.half = false}).save_model(folder / "model", disk());
  train::Recipe recipe, as_it_is;
  as_it_is.model = {{"from", (folder / "model").string()}};
  recipe.model = {{"from", (folder / "model").string()}, {"grow_to", 5}, {"grow_text_to", 40}};
  const auto grown = make_infinity_objective(recipe, TwoSamples(), at::kCPU);
  EXPECT_EQ(recipe.model["depth"], 5);
  EXPECT_EQ(recipe.model["text_length"], 40);
  const auto before = make_infinity_objective(as_it_is, TwoSamples(), at::kCPU);
  const auto learns = grown->parameters();
  const Tensor loss = grown->loss(two_samples(), {.rng = Rng(4)}).value;
  EXPECT_EQ(loss.item<double>(), before->loss(two_samples(), {.rng = Rng(4)}).value.item<double>());
  loss.backward();
  size_t learning = 0;
  for (const train::Parameter& p : learns)
    learning += p.name == "blocks.4.ffn.fc2.weight" && p.tensor.grad().abs().max().item<double>() > 0;
  EXPECT_EQ(learning, 1u);
  grown->save_model(folder / "grown", disk());
  recipe.model = {{"from", (folder / "grown").string()}, {"grow_to", 3}};
  EXPECT_THAT([&] { make_infinity_objective(recipe, TwoSamples(), at::kCPU); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("model.grow_to is 3, but")));
}

class LongCaptions final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return two_samples()[index % 2]; }
  size_t longest_caption() const override { return 24; }  // as long as what the tiny model reads, its end included
};

TEST(InfinityObjective, RefusesCaptionsThatItWouldCut) {
  const tessera::testing::ScratchFolder folder;
  tiny_objective({.half = false}).save_model(folder / "model", disk());
  train::Recipe recipe;
  recipe.model = {{"from", (folder / "model").string()}};
  EXPECT_THAT([&] { make_infinity_objective(recipe, LongCaptions(), at::kCPU); },
              ::testing::ThrowsMessage<UserError>(
                  ::testing::HasSubstr("the longest caption has 24 bytes, and the model reads 23")));
}

TEST(InfinityObjective, SamplesAreTheMeasuredPicturesAndBelowThemWhatTheirCaptionsDraw) {
  const tessera::testing::ScratchFolder folder;
  std::vector<Sample> fixed = two_samples();
  fixed.push_back({.picture = noise_picture(3), .caption = "cat"});                 // a caption that is there
  fixed.push_back({.picture = noise_picture(4), .caption = std::string(24, 'x')});  // one that drawing refuses
  fixed.push_back({.picture = noise_picture(5), .caption = " "});
  tiny_objective({}, fixed).save_samples(folder.path(), "step-1");
  EXPECT_EQ(read_file(folder / "step-1.txt"), "red apple\ncat\n");
  const Image sheet = media::read_image(folder / "step-1.png");
  const Image first = media::contact_sheet({fixed[0].picture, fixed[1].picture}, {.columns = 2});
  ASSERT_EQ(sheet.width, first.width);
  ASSERT_GT(sheet.height, first.height + 11);
  const size_t row = static_cast<size_t>(first.width) * 3, rows = 12;  // without the margin below
  const size_t margin = static_cast<size_t>(first.height - 12) / 2;
  EXPECT_EQ(
      std::vector(sheet.pixels.begin(), sheet.pixels.begin() + static_cast<std::ptrdiff_t>(row * (margin + rows))),
      std::vector(first.pixels.begin(), first.pixels.begin() + static_cast<std::ptrdiff_t>(row * (margin + rows))));
}

TEST(InfinityObjective, SamplesAreTheRecipesPromptsWhereItNamesSome) {
  const tessera::testing::ScratchFolder folder;
  tiny_objective({.sample_prompts = {"blue car"}}).save_samples(folder.path(), "step-1");
  EXPECT_EQ(read_file(folder / "step-1.txt"), "blue car\n");
  EXPECT_THROW(tiny_objective({.sample_prompts = {std::string(24, 'x')}}), UserError);
  tiny_objective({}, {}).save_samples(folder.path(), "step-2");
  EXPECT_FALSE(std::filesystem::exists(folder / "step-2.txt"));
}

TEST(InfinityObjective, RefusesAnUnknownCorrectionAndAnotherCodec) {
  EXPECT_THROW(tiny_objective({.correction = "requantize"}), UserError);
  EXPECT_THROW(tiny_objective({.flip_percent = 130}), UserError);
  InfinityConfig config = tiny_config();
  config.bits = 8;
  EXPECT_THROW(InfinityObjective(Infinity(config), tiny_codec(), {}, {}, at::kCPU), UserError);
}

}  // namespace
}  // namespace tessera::infinity
