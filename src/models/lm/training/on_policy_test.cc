// Learning from own answers: weights by a second way, gradients of the plain formula, and a small task that is learned.
#include "models/lm/training/on_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"
#include "tests/support/user_error.h"
#include "train/loop.h"

namespace tessera::lm {
namespace {

using tessera::testing::user_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Sample question(const std::string& prompt, const std::string& answer) {
  return {.messages = {{"user", prompt}, {"assistant", answer}}};
}

class OnPolicy : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    data::testing::write_byte_tokenizer(scratch_ / "tokenizer");
    tokenizer_ = text::load_tokenizer(scratch_ / "tokenizer");
  }
  DecoderLm model(uint64_t seed = 7) const {
    LmConfig config = tiny_config("llama");
    config.vocabulary = data::testing::byte_vocabulary;
    config.context = 96;
    return tiny_lm(config, seed);
  }
  LmObjective::Parts parts(const DecoderLm& model, std::vector<Sample> heldout = {}) const {
    return {.model = model,
            .tokenizer = tokenizer_,
            .chat = text::ChatTemplate::named("chatml"),
            .tokenizer_directory = scratch_ / "tokenizer",
            .heldout = std::move(heldout)};
  }
  RolloutPrompt prompt(const Sample& sample) const {
    return rollout_prompt(sample, *tokenizer_, text::ChatTemplate::named("chatml"));
  }
  /// Sum of weight x log probability of a sequence's graded tokens, the plain way.
  static Tensor by_hand(const DecoderLm& model, const train::Sequence& sequence, const Tensor& weights) {
    const Tensor ids = at::tensor(sequence.ids).to(at::kLong).unsqueeze(0);
    const Tensor targets = at::tensor(sequence.targets).to(at::kLong);
    const Tensor graded = (targets >= 0).nonzero().squeeze(1);
    const Tensor logs = at::log_softmax(full_logits(model, ids)[0], -1).index_select(0, graded);
    return (logs.gather(1, targets.index_select(0, graded).unsqueeze(1)).squeeze(1) * weights).sum();
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

TEST_F(OnPolicy, APromptEndsWhereTheAnswerBeginsAndKnowsTheTokenThatEndsIt) {
  const RolloutPrompt got = prompt(question("2+2?", "4"));
  EXPECT_EQ(tokenizer_->decode(got.ids, false), "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(got.end, data::testing::turn_end_id);
  EXPECT_EQ(got.question, "2+2?");
  EXPECT_EQ(got.reference, "4");
  EXPECT_THROW(prompt({.caption = "a picture"}), UserError);
  EXPECT_THROW(prompt({.messages = {{"assistant", "no question"}}}), UserError);
}

TEST_F(OnPolicy, AnswersAreAFunctionOfTheSeedAndLieBesideEachOther) {
  const DecoderLm lm = model();
  const RolloutPrompt a = prompt(question("a", "x")), b = prompt(question("bb", "x"));
  const RolloutOptions options{.group = 3, .max_new_tokens = 9, .sampling = {.temperature = 1, .seed = 4}};
  const std::vector<Rollout> first = sample_rollouts(lm, *tokenizer_, {&a, &b}, options);
  RolloutOptions alone = options;
  alone.at_once = 1;
  const std::vector<Rollout> second = sample_rollouts(lm, *tokenizer_, {&a, &b}, alone);
  ASSERT_EQ(first.size(), 6u);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].prompt, i / 3);
    EXPECT_EQ(first[i].ids, second[i].ids) << i;
    const train::Sequence sequence = sequence_of(i < 3 ? a : b, first[i]);
    const auto graded = std::ranges::count_if(sequence.targets, [](int32_t target) { return target >= 0; });
    EXPECT_EQ(graded, std::ssize(first[i].ids) + (first[i].ended ? 1 : 0));
  }
  EXPECT_NE(first[0].ids, first[1].ids);
}

TEST_F(OnPolicy, TheLossOfGrpoIsTheWeighedLogProbabilityOfItsOwnAnswers) {
  const DecoderLm lm = model();
  GrpoObjective o(parts(lm), {.group = 4, .max_new_tokens = 6, .reward = {.rule = "contains"}}, 5, at::kCPU);
  const std::vector<train::Parameter> parameters = o.parameters();
  const std::vector<Sample> batch = {question("a", "e"), question("b", "t")};
  const train::StepContext context{.rng = Rng(11)};
  const train::Loss loss = o.loss(batch, context);

  const RolloutPrompt a = prompt(batch[0]), b = prompt(batch[1]);
  Rng rng = context.rng;
  const std::vector<Rollout> rollouts =
      sample_rollouts(o.model(), *tokenizer_, {&a, &b},
                      {.group = 4, .max_new_tokens = 6, .sampling = {.temperature = 1, .seed = rng.next()}});
  std::vector<double> rewards;
  for (const Rollout& each : rollouts) {
    std::string text = each.text;
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    rewards.push_back(text.find(each.prompt == 0 ? "e" : "t") != std::string::npos ? 1 : 0);
  }
  const std::vector<double> worth = train::group_advantages(rewards, 4, true);
  Tensor want = at::zeros({});
  double tokens = 0;
  for (size_t i = 0; i < rollouts.size(); ++i) {
    const train::Sequence sequence = sequence_of(i < 4 ? a : b, rollouts[i]);
    const auto count = std::ranges::count_if(sequence.targets, [](int32_t target) { return target >= 0; });
    want = want - by_hand(o.model(), sequence, at::full({count}, worth[i]));
    tokens += static_cast<double>(count);
  }
  EXPECT_NEAR(loss.value.item<double>(), want.item<double>() / tokens, 1e-4);
  EXPECT_EQ(loss.weight, tokens);
  (want / tokens).backward();
  std::vector<Tensor> gradients;
  for (const train::Parameter& p : parameters) {
    gradients.push_back(p.tensor.grad().clone());
    p.tensor.mutable_grad().zero_();
  }
  loss.value.backward();
  for (size_t i = 0; i < parameters.size(); ++i)
    EXPECT_TRUE(at::allclose(parameters[i].tensor.grad(), gradients[i], 1e-3, 1e-6)) << parameters[i].name;
}

TEST_F(OnPolicy, GroupsOfOneWorthAreNotReadAgainAndAStepOfThemAloneMovesNothing) {
  const DecoderLm lm = model();
  GrpoObjective o(parts(lm), {.group = 4, .max_new_tokens = 6, .reward = {.rule = "contains"}}, 5, at::kCPU);
  const Sample hopeless = question("a", "longer than six"), open = question("b", "t");
  const train::StepContext context{.rng = Rng(11)};
  const std::vector<train::Parameter> parameters = o.parameters();
  const train::Loss nothing = o.loss({hopeless}, context);
  EXPECT_EQ(nothing.metrics.at("undecided"), 1);
  EXPECT_EQ(nothing.value.item<double>(), 0);
  nothing.value.backward();
  for (const train::Parameter& p : parameters) EXPECT_EQ(p.tensor.grad().abs().max().item<double>(), 0) << p.name;

  uint64_t seed = 0;  // whose answers are with and without a t
  const auto undecided = [&] { return o.loss({open}, {.rng = Rng(seed)}).metrics.at("undecided") == 1; };
  while (undecided() && seed < 100) ++seed;
  const train::Loss mixed = o.loss({open, hopeless}, {.rng = Rng(seed)}), alone = o.loss({open}, {.rng = Rng(seed)});
  ASSERT_EQ(alone.metrics.at("undecided"), 0);
  EXPECT_EQ(mixed.metrics.at("undecided"), 0.5);
  EXPECT_NEAR(mixed.value.item<double>() * mixed.weight, alone.value.item<double>() * alone.weight, 1e-5)
      << "the tokens of the others only count";
}

TEST_F(OnPolicy, AStudentThatIsItsTeacherHasNothingToLearnAndAnotherComesCloser) {
  const Sample sample = question("say something", "x");
  DistillObjective same(parts(model()), model(), {.group = 2, .max_new_tokens = 8}, 5, at::kCPU);
  same.parameters();
  const train::Loss none = same.loss({sample}, {.rng = Rng(2)});
  EXPECT_NEAR(none.value.item<double>(), 0, 1e-4);
  EXPECT_NEAR(none.metrics.at("reverse_kl"), 0, 1e-4);
}

TEST_F(OnPolicy, DistillationFollowsTheGradientOfTheReverseDivergence) {
  const Sample sample = question("say something", "x");
  const DecoderLm teacher = model(9);
  DistillObjective o(parts(model()), teacher, {.group = 1500, .max_new_tokens = 1}, 5, at::kCPU);
  const std::vector<train::Parameter> parameters = o.parameters();
  // Of one token, KL(student, teacher) can be summed over the whole vocabulary.
  const Tensor ids = at::tensor(prompt(sample).ids).to(at::kLong).unsqueeze(0);
  const auto logs = [&](const DecoderLm& lm) { return at::log_softmax(full_logits(lm, ids)[0][-1], -1); };
  const Tensor own = logs(o.model());
  const Tensor divergence = (own.exp() * (own - logs(teacher).detach())).sum();
  divergence.backward();
  std::vector<Tensor> exact;
  for (const train::Parameter& p : parameters) {
    exact.push_back(p.tensor.grad().flatten().clone());
    p.tensor.mutable_grad().zero_();
  }
  const train::Loss loss = o.loss({sample}, {.rng = Rng(2)});
  EXPECT_NEAR(loss.metrics.at("reverse_kl"), divergence.item<double>(), 0.25);
  loss.value.backward();
  double product = 0, exact_square = 0, drawn_square = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor drawn = parameters[i].tensor.grad().flatten();
    product += drawn.dot(exact[i]).item<double>();
    exact_square += exact[i].dot(exact[i]).item<double>();
    drawn_square += drawn.dot(drawn).item<double>();
  }
  EXPECT_GT(product / std::sqrt(exact_square * drawn_square), 0.9);
}

/// Asks the same question over and over.
class OneQuestion final : public SampleSource {
 public:
  Sample at(uint64_t) const override { return question("letter?", "e"); }
};

TEST_F(OnPolicy, ARewardedLetterIsWrittenMoreOftenAndAResumedRunEqualsAnUnbrokenOne) {
  const auto run = [&](const std::string& name, int64_t steps, bool resume) {
    GrpoObjective o(parts(model()),
                    {.group = 16, .max_new_tokens = 4, .reward = {.rule = "contains"}, .rows = {.stored = "f32"}}, 5,
                    at::kCPU);
    train::TrainConfig config;
    config.steps = steps;
    config.batch = 2;
    config.log_every = 1;
    config.evaluate_every = 0;
    config.checkpoint_every = 6;
    config.schedule = {.kind = "constant", .learning_rate = 3e-3, .warmup_steps = 0};
    train::train(o, OneQuestion(), config, {.directory = scratch_ / name, .resume = resume});
  };
  run("whole", 16, false);
  std::vector<double> rewards;
  std::istringstream lines(read_file(scratch_ / "whole/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line);
    if (entry.contains("reward")) rewards.push_back(entry["reward"].get<double>());
  }
  ASSERT_GE(rewards.size(), 16u);
  EXPECT_GT(rewards.back() + rewards[14] + rewards[13], rewards[0] + rewards[1] + rewards[2] + 0.5);
  run("parts", 6, false);
  run("parts", 16, true);
  EXPECT_EQ(read_file(scratch_ / "parts/model/model.safetensors"),
            read_file(scratch_ / "whole/model/model.safetensors"));
}

TEST_F(OnPolicy, ErrorsAreReportedInOneLine) {
  const auto made = [&](const OnPolicyTraining& training) {
    return user_error([&] { GrpoObjective(parts(model()), training, 5, at::kCPU); });
  };
  EXPECT_THAT(made({.group = 1}), HasSubstr("loss.group is 1, want at least 2"));
  EXPECT_THAT(made({.max_new_tokens = 0}), HasSubstr("loss.max_new_tokens is 0"));
  EXPECT_THAT(made({.temperature = 0}), HasSubstr("loss.temperature is 0"));
  EXPECT_THAT(made({.reward = {.rule = "vibes"}}), HasSubstr("rule is 'vibes'"));
  GrpoObjective o(parts(model()), {}, 5, at::kCPU);
  EXPECT_THAT(user_error([&] { o.prepare(question(std::string(200, 'x'), "y")); }), HasSubstr("leaves no room"));
}

}  // namespace
}  // namespace tessera::lm
