// The Infinity transformer against its Python twin (tools/golden/infinity_twin.py): tokens, text states, logits on square
// and wide grids, self-corrected inputs and labels, gradients and ten losses.
#include <gtest/gtest.h>

#include "core/json.h"
#include "models/infinity/objective.h"
#include "tests/golden/fixture.h"

namespace tessera::infinity {
namespace {

using golden::expect_close;
using golden::Fixture;

constexpr double tolerance = 1e-4;

struct Twin {
  Fixture fixture{"infinity"};
  Infinity model{fixture.config<InfinityConfig>("config")};
  std::vector<std::string> prompts = fixture.config<std::vector<std::string>>("prompts");

  Twin() { fixture.fill(named_tensors(model)); }
  Lesson lesson() const {
    return make_lesson(fixture["latents"], schedule_for(model.config), /*patchify=*/false, "requantise",
                       fixture.list("flips"));
  }
  Tensor logits(const Tensor& inputs, const Schedule& schedule) const {
    return model.forward(inputs, model.condition(model.encode(prompts)),
                         positions_of(model.config, schedule, at::kCPU));
  }
};

codec::Codec golden_codec() {
  const Fixture fixture("codec");
  codec::Codec codec(fixture.config<codec::CodecConfig>("config"));
  fixture.fill(named_tensors(codec));
  return codec;
}

TEST(InfinityGolden, TextStatesEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Twin twin;
  const nn::ByteTokens tokens = nn::byte_tokens(twin.prompts, twin.model.config.text_length, at::kCPU);
  const nn::TextStates text = twin.model.encode(twin.prompts);
  for (int64_t b = 0; b < static_cast<int64_t>(twin.prompts.size()); ++b) {
    const Tensor& ids = twin.fixture["tokens." + std::to_string(b)];
    ASSERT_EQ(text.lengths[b].item<int64_t>(), ids.size(0)) << twin.prompts[b];
    EXPECT_TRUE(tokens.ids[b].slice(0, 0, ids.size(0)).equal(ids)) << twin.prompts[b];
    expect_close(text.states[b].slice(0, 0, ids.size(0)), twin.fixture["states." + std::to_string(b)], tolerance,
                 "text states");
  }
}

TEST(InfinityGolden, LogitsEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Twin twin;
  expect_close(twin.logits(twin.fixture["inputs"], schedule_for(twin.model.config)), twin.fixture["logits"], tolerance,
               "logits");
}

TEST(InfinityGolden, LogitsOnWideGridsEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Twin twin;
  Schedule schedule{.span = {7, 11}};
  for (const Tensor& scale : twin.fixture["wide.scales"].unbind(0)) {
    schedule.scales.push_back({scale[0].item<int64_t>(), scale[1].item<int64_t>()});
  }
  expect_close(twin.logits(twin.fixture["wide.inputs"], schedule), twin.fixture["wide.logits"], tolerance,
               "logits on wide grids");
}

TEST(InfinityGolden, SelfCorrectedInputsAndLabelsEqualTheTwins) {
  const Twin twin;
  const Lesson lesson = twin.lesson();
  expect_close(lesson.features, twin.fixture["inputs"], 1e-6, "inputs");
  EXPECT_TRUE(lesson.labels.equal(twin.fixture["labels"])) << "labels of the residual against the flipped sum";
}

TEST(InfinityGolden, LossAndGradientsEqualTheTwins) {
  const Twin twin;
  InfinityObjective objective(twin.model, golden_codec(), {}, {}, at::kCPU);
  const std::vector<train::Parameter> parameters = objective.parameters();
  const Lesson lesson = twin.lesson();
  const Schedule schedule = schedule_for(twin.model.config);
  const nn::TextStates text = twin.model.without_prompt(twin.model.encode(twin.prompts), twin.fixture["dropped"]);
  const Tensor logits = twin.model.forward(lesson.features, twin.model.condition(text),
                                           positions_of(twin.model.config, schedule, at::kCPU));
  const Graded graded = grade(logits, lesson.labels, position_weights(schedule, at::kCPU), twin.model.config);
  expect_close(graded.loss, twin.fixture["loss"], tolerance, "loss");
  graded.loss.backward();
  twin.fixture.expect_gradients(parameters, tolerance);
}

TEST(InfinityGolden, TenTrainingLossesEqualTheTwins) {
  const Twin twin;
  InfinityObjective objective(twin.model, golden_codec(), twin.fixture.config<InfinityTraining>("training"), {},
                              at::kCPU);
  std::vector<Sample> batch = golden::samples(Fixture("codec")["pictures"]);
  for (size_t b = 0; b < batch.size(); ++b) batch[b].caption = twin.prompts[b];
  expect_close(golden::ten_losses(objective, batch, 7), twin.fixture["losses"], tolerance, "losses");
}

}  // namespace
}  // namespace tessera::infinity
