// Rewards, the loss against a sum written out by hand, and that rewards rise.
#include "models/infinity/grpo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "models/infinity/testing.h"
#include "tests/support/scratch.h"
#include "train/verifier.h"

namespace tessera::infinity {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<Sample> pictures_to_draw() {
  return {{.picture = noise_picture(1), .caption = "red apple"}, {.picture = noise_picture(2), .caption = "cat"}};
}

/// The two pictures, and a third that looks like the second.
class ThreePictures final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.picture = noise_picture(std::min<uint64_t>(index % 3 + 1, 2))}; }
  std::optional<uint64_t> pass_length() const override { return 3; }
};

class EndlessPictures final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.picture = noise_picture(index)}; }
};

PictureGrpoObjective grpo_objective(const PictureGrpo& training) {
  Beginning with{tiny_infinity(), tiny_codec(), {}, pictures_to_draw()};
  return PictureGrpoObjective(std::move(with), training, PictureReward(ThreePictures(), training.rule, at::kCPU),
                              at::kCPU);
}

Tensor as_tensor(const std::vector<Image>& pictures) { return codec::pictures_to_tensor(pictures, at::kCPU); }

TEST(PictureReward, RetrievalPaysWhereNoOtherPictureIsNearer) {
  const PictureReward reward(ThreePictures(), "retrieval", at::kCPU);
  const Tensor one = as_tensor({noise_picture(1)}), two = as_tensor({noise_picture(2)});
  const Tensor nearly_two = 0.9 * two + 0.1 * one;
  EXPECT_TRUE(at::equal(reward.of(at::cat({one, nearly_two, nearly_two}), at::cat({one, two, one})),
                        at::tensor({1.0F, 1.0F, 0.0F})));
}

TEST(PictureReward, LikenessIsMinusTheMeanSquaredDifference) {
  const PictureReward reward(EndlessPictures(), "likeness", at::kCPU);
  const Tensor grey = at::zeros({1, 3, 64, 64}), lighter = at::full({1, 3, 64, 64}, 0.5);
  EXPECT_NEAR(reward.of(lighter, grey).item<double>(), -0.25, 1e-6);
  EXPECT_EQ(reward.of(grey, grey).item<double>(), 0);
}

TEST(PictureReward, RefusesWhatItCannotCompareWith) {
  EXPECT_THAT([] { PictureReward(EndlessPictures(), "retrieval", at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("of which there are any number; want 2 to 20000")));
  EXPECT_THAT([] { PictureReward(ThreePictures(), "beauty", at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("loss.rule is 'beauty', want retrieval or likeness")));
}

/// The loss of a step, from the same drawings: every picture's bits under a softmax of two logits.
double loss_by_hand(const PictureGrpoObjective& objective, const PictureGrpo& training, uint64_t seed) {
  std::vector<std::string> captions;
  std::vector<Image> own;
  for (const Sample& sample : pictures_to_draw()) {
    for (int64_t i = 0; i < training.group; ++i) {
      captions.push_back(sample.caption);
      own.push_back(sample.picture);
    }
  }
  const Infinity& model = objective.model();
  const Schedule schedule = schedule_for(model.config);
  const at::NoGradGuard no_grad;
  const nn::TextStates states = model.encode(captions);
  const DrawnCodes drawn = draw_codes(model, states,
                                      {.schedule = schedule,
                                       .cfg = {1, 1, 1},
                                       .tau = std::vector<double>(3, training.temperature),
                                       .top_p = 1,
                                       .seed = seed});
  const Tensor pictures = objective.codec().decode(drawn.codes.sum).clamp(-1, 1);
  const Tensor rewards =
      PictureReward(ThreePictures(), training.rule, at::kCPU).of(pictures, as_tensor(own)).to(at::kDouble);
  const double* values = rewards.const_data_ptr<double>();
  const std::vector<double> worth =
      train::group_advantages({values, values + rewards.numel()}, training.group, training.scaled);

  double loss = 0;
  for (int64_t i = 0; i < rewards.numel(); ++i) {
    double nats = 0, bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      const Tensor log_p = (drawn.logits[k][i].to(at::kDouble) / training.temperature).log_softmax(-1);
      const Tensor bit = drawn.codes.bits[k][i].flatten(1).t().to(at::kLong).unsqueeze(-1);
      nats += log_p.gather(-1, bit).sum().item<double>();
      bits += static_cast<double>(bit.numel());
    }
    loss -= worth[static_cast<size_t>(i)] * nats / bits / static_cast<double>(rewards.numel());
  }
  return loss;
}

TEST(PictureGrpo, TheLossIsTheWeighedLogProbabilityOfItsOwnPictures) {
  for (const PictureGrpo& training : {PictureGrpo{.group = 4, .temperature = 1, .rule = "likeness"},
                                      PictureGrpo{.group = 3, .temperature = 0.5, .scaled = false, .rule = "likeness"},
                                      PictureGrpo{.group = 6, .temperature = 2, .rule = "retrieval"}}) {
    PictureGrpoObjective objective = grpo_objective(training);
    const train::StepContext context{.rng = Rng(11)};
    Rng rng = context.rng;
    const double want = loss_by_hand(objective, training, rng.next());
    const train::Loss loss = objective.loss(pictures_to_draw(), context);
    EXPECT_NEAR(loss.value.item<double>(), want, 1e-5) << training.rule << " " << training.group;
    EXPECT_EQ(loss.metrics.at("undecided") == 1, want == 0);
  }
}

TEST(PictureGrpo, RewardsRise) {
  PictureGrpoObjective objective = grpo_objective({.group = 8, .rule = "likeness"});
  const std::vector<train::Parameter> parameters = objective.parameters();
  double early = 0, late = 0;
  for (int64_t step = 1; step <= 60; ++step) {
    const train::Loss loss =
        objective.loss(pictures_to_draw(), {.step = step, .rng = Rng(9, static_cast<uint64_t>(step))});
    if (step <= 10) early += loss.metrics.at("reward") / 10;
    if (step > 50) late += loss.metrics.at("reward") / 10;
    loss.value.backward();
    const at::NoGradGuard no_grad;
    for (const train::Parameter& p : parameters) {
      Tensor tensor = p.tensor;
      if (tensor.grad().defined()) tensor.sub_(0.003 * tensor.grad().sign());
      tensor.mutable_grad().reset();
    }
  }
  EXPECT_GT(late, early + 0.01);
}

TEST(PictureGrpo, RefusesSettingsThatTeachNothing) {
  EXPECT_THAT([] { grpo_objective({.group = 1}); },
              ThrowsMessage<UserError>(HasSubstr("loss.group is 1, want at least 2")));
  EXPECT_THAT([] { grpo_objective({.temperature = 0}); }, ThrowsMessage<UserError>(HasSubstr("loss.temperature is 0")));
  train::Recipe recipe;
  EXPECT_THAT([&] { make_picture_grpo_objective(recipe, ThreePictures(), at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("model.from is missing")));
}

}  // namespace
}  // namespace tessera::infinity
