// Preferences: losses by a second way to compute them, what is graded, and the reference's log probabilities kept through a resumed run.
#include "models/lm/training/preference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"
#include "tests/support/user_error.h"
#include "train/grading.h"
#include "train/loop.h"

namespace tessera::lm {
namespace {

using tessera::testing::user_error;
using ::testing::HasSubstr;

Sample pair_of(const std::string& prompt, const std::string& chosen, const std::string& rejected) {
  return {.messages = {{"user", prompt}, {"assistant", chosen}},
          .rejected = {{"user", prompt}, {"assistant", rejected}}};
}

/// Pairs in a list.
class Pairs final : public SampleSource {
 public:
  explicit Pairs(std::vector<Sample> pairs) : pairs_(std::move(pairs)) {}
  Sample at(uint64_t index) const override { return pairs_[index % pairs_.size()]; }
  std::optional<uint64_t> pass_length() const override { return pairs_.size(); }

 private:
  std::vector<Sample> pairs_;
};

class Preference : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    data::testing::write_byte_tokenizer(scratch_ / "tokenizer");
    tokenizer_ = text::load_tokenizer(scratch_ / "tokenizer");
  }
  DecoderLm model() const {
    LmConfig config = tiny_config("llama");
    config.vocabulary = data::testing::byte_vocabulary;
    config.context = 96;
    return tiny_lm(config);
  }
  PreferenceObjective objective(const DecoderLm& model, PreferenceTraining training = {}) const {
    return PreferenceObjective({.model = model,
                                .tokenizer = tokenizer_,
                                .chat = text::ChatTemplate::named("chatml"),
                                .tokenizer_directory = scratch_ / "tokenizer",
                                .heldout = {pair_of("held", "out", "in")}},
                               training, 5, at::kCPU);
  }
  /// Log probability and number of the graded tokens, the plain way.
  std::pair<Tensor, double> by_hand(const DecoderLm& model, const train::Sequence& sequence) const {
    const Tensor ids = at::tensor(sequence.ids).to(at::kLong).unsqueeze(0);
    const Tensor targets = at::tensor(sequence.targets).to(at::kLong);
    const Tensor nats =
        at::cross_entropy_loss(full_logits(model, ids)[0], targets.clamp_min(0), {}, at::Reduction::None);
    const Tensor graded = (targets >= 0).to(at::kFloat);
    return {-(nats * graded).sum(), graded.sum().item<double>()};
  }
  PreferencePair sequences(const Sample& sample, int64_t room = 96) const {
    return preference_pair(sample, *tokenizer_, text::ChatTemplate::named("chatml"), room);
  }
  /// A run on pairs in a file, from a model in a directory.
  train::Recipe recipe(const std::string& out) const {
    train::Recipe r;
    r.objective = "preference";
    r.out = (scratch_ / out).string();
    r.data.kind = "chat";
    r.data.chat.path = (scratch_ / "pairs.jsonl").string();
    r.model = {{"from", (scratch_ / "start").string()}, {"chat_template", "chatml"}};
    r.train.batch = 4;
    r.train.log_every = 1;
    r.train.evaluate_every = 0;
    r.train.checkpoint_every = 5;
    r.train.schedule = {.kind = "constant", .learning_rate = 1e-3, .warmup_steps = 0};
    return r;
  }
  void write_start_and_pairs() const {
    LmObjective start({.model = model(),
                       .tokenizer = tokenizer_,
                       .chat = text::ChatTemplate::named("chatml"),
                       .tokenizer_directory = scratch_ / "tokenizer",
                       .training = {.stored = "f32"}},
                      5, at::kCPU);
    start.save_model(scratch_ / "start", disk());
    std::string rows;
    for (int i = 0; i < 8; ++i)
      rows += fmt::format("{{\"prompt\":\"say {}\",\"chosen\":\"yes\",\"rejected\":\"no {}\"}}\n", i, i % 3);
    write_file_atomically(scratch_ / "pairs.jsonl", rows);
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  const std::vector<Sample> batch_ = {pair_of("a", "yes", "no way"), pair_of("what?", "three words here", "x"),
                                      pair_of("b", "1", "2")};
};

TEST_F(Preference, LossesAndGradientsAreThoseOfThePlainFormulas) {
  for (const PreferenceTraining& training :
       {PreferenceTraining{}, PreferenceTraining{.beta = 0.5, .smoothing = 0.2, .rows = {.pack = false}},
        PreferenceTraining{.kind = "ipo", .beta = 0.3}, PreferenceTraining{.sft = 0.7, .rows = {.recompute = true}}}) {
    DecoderLm policy = model();
    PreferenceObjective o = objective(policy, training);
    std::vector<double> reference;
    for (const Sample& each : batch_) {
      const PreferencePair pair = sequences(each);
      reference.push_back(by_hand(policy, pair.chosen).first.item<double>());
      reference.push_back(by_hand(policy, pair.rejected).first.item<double>());
    }
    o.measure_reference(Pairs(batch_), scratch_ / (training.kind + std::to_string(training.sft)));
    const std::vector<train::Parameter> parameters = o.parameters();
    {
      const at::NoGradGuard no_grad;  // the policy has moved
      for (const train::Parameter& p : parameters) p.tensor.mul_(1.03);
    }
    Tensor want = at::zeros({});
    double better = 0;
    for (size_t i = 0; i < batch_.size(); ++i) {
      const PreferencePair pair = sequences(batch_[i]);
      const auto [chosen, chosen_tokens] = by_hand(o.model(), pair.chosen);
      const auto [rejected, rejected_tokens] = by_hand(o.model(), pair.rejected);
      const Tensor up = chosen - reference[2 * i], down = rejected - reference[2 * i + 1];
      better += (up > down).item<bool>() ? 1 : 0;
      if (training.kind == "ipo") {
        want = want + (up / chosen_tokens - down / rejected_tokens - 1 / (2 * training.beta)).square();
      } else {
        const Tensor right = (training.beta * (up - down)).sigmoid();
        want = want - (1 - training.smoothing) * right.log() - training.smoothing * (1 - right).log();
      }
      want = want - training.sft * chosen / chosen_tokens;
    }
    want = want / static_cast<double>(batch_.size());
    const train::Loss got = o.loss(batch_, {});
    EXPECT_NEAR(got.value.item<double>(), want.item<double>(), 1e-4) << training.kind;
    EXPECT_NEAR(got.metrics.at("accuracy"), better / 3, 1e-9);
    want.backward();
    std::vector<Tensor> gradients;
    for (const train::Parameter& p : parameters) {
      gradients.push_back(p.tensor.grad().clone());
      p.tensor.mutable_grad().zero_();
    }
    o.loss(batch_, {}).value.backward();
    for (size_t i = 0; i < parameters.size(); ++i)
      EXPECT_TRUE(at::allclose(parameters[i].tensor.grad(), gradients[i], 1e-3, 1e-5)) << parameters[i].name;
  }
}

TEST_F(Preference, AtTheStartEveryPairIsUndecided) {
  PreferenceObjective o = objective(model());
  o.measure_reference(Pairs(batch_), scratch_ / "reference");
  const train::Loss loss = o.loss(batch_, {});
  EXPECT_NEAR(loss.value.item<double>(), std::log(2.0), 1e-6);
  EXPECT_NEAR(loss.metrics.at("margin"), 0, 1e-6);
  EXPECT_NEAR(o.evaluate().at("heldout_loss"), std::log(2.0), 1e-6);
}

TEST_F(Preference, TurnsThatBothBeginWithAreNotGraded) {
  const std::vector<text::Message> shared = {{"user", "a"}, {"assistant", "the same"}, {"user", "b"}};
  Sample sample{.messages = shared, .rejected = shared};
  sample.messages.push_back({"assistant", "yes"});
  sample.rejected.push_back({"assistant", "nope"});
  const PreferencePair pair = sequences(sample);
  const auto graded = [](const train::Sequence& s) {
    return std::ranges::count_if(s.targets, [](int32_t target) { return target != train::not_graded; });
  };
  EXPECT_EQ(graded(pair.chosen), 4) << "yes and the end of the turn";
  EXPECT_EQ(graded(pair.rejected), 5);
  EXPECT_TRUE(pair.usable());
  EXPECT_FALSE(sequences(sample, 20).usable()) << "cut before the answers";
}

TEST_F(Preference, TheReferenceIsMeasuredOnceAndOfAnotherModelRefused) {
  const Path file = scratch_ / "reference";
  objective(model()).measure_reference(Pairs(batch_), file);
  const std::string stored = read_file(file);
  const auto before = std::filesystem::last_write_time(file);
  objective(model()).measure_reference(Pairs(batch_), file);
  EXPECT_EQ(std::filesystem::last_write_time(file), before) << "nothing was measured again";
  EXPECT_EQ(ReferenceScores::read(file).by_pair.size(), 4u) << "with the pair that is held out";

  std::vector<Sample> more = batch_;
  more.push_back(pair_of("new", "a", "b"));
  objective(model()).measure_reference(Pairs(more), file);
  EXPECT_EQ(ReferenceScores::read(file).by_pair.size(), 5u);
  EXPECT_NE(read_file(file), stored);

  DecoderLm other = model();
  other.norm.weight.mul_(1.5);
  EXPECT_THROW(objective(other).measure_reference(Pairs(batch_), file), UserError);
  write_file_atomically(scratch_ / "broken", "x");
  EXPECT_THROW(objective(model()).measure_reference(Pairs(batch_), scratch_ / "broken"), UserError);
}

TEST_F(Preference, PairsWithoutTwoAnswersTeachNothing) {
  const Sample cut = pair_of(std::string(90, 'x'), "a", "b");
  PreferenceObjective o = objective(model());
  o.parameters();
  EXPECT_THROW(o.measure_reference(Pairs({cut}), scratch_ / "none"), UserError);
  o.measure_reference(Pairs({cut, batch_[0]}), scratch_ / "some");
  const train::Loss nothing = o.loss({cut}, {});
  EXPECT_EQ(nothing.weight, 0);
  EXPECT_NO_THROW(nothing.value.backward());
  EXPECT_NEAR(o.loss({cut, batch_[0]}, {}).value.item<double>(), o.loss({batch_[0]}, {}).value.item<double>(), 1e-6);
  EXPECT_THROW(o.loss({{.messages = {{"user", "a"}, {"assistant", "b"}}, .where = "a.jsonl line 3"}}, {}), UserError);
}

TEST_F(Preference, PairsOfEqualAnswersTeachNothing) {
  const Sample equal = pair_of("a", "b", "b");
  PreferenceObjective o = objective(model());
  o.parameters();
  EXPECT_THROW(o.measure_reference(Pairs({equal}), scratch_ / "none"), UserError);
  o.measure_reference(Pairs({equal, batch_[0]}), scratch_ / "some");
  EXPECT_EQ(o.loss({equal}, {}).weight, 0);
  EXPECT_NEAR(o.loss({equal, batch_[0]}, {}).value.item<double>(), o.loss({batch_[0]}, {}).value.item<double>(), 1e-6);
}

TEST_F(Preference, ARecipeTrainsItAndAResumedRunEqualsAnUnbrokenOne) {
  write_start_and_pairs();
  const auto run = [&](const std::string& name, int64_t steps, bool resume) {
    train::Recipe r = recipe(name);
    const auto source = data::make_source(r.data);
    const auto o = make_preference_objective(r, *source, at::kCPU);
    r.train.steps = steps;
    train::train(*o, *source, r.train, {.directory = scratch_ / name, .resume = resume});
  };
  run("whole", 12, false);
  std::vector<double> losses;
  std::istringstream lines(read_file(scratch_ / "whole/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line);
    if (entry.contains("loss")) losses.push_back(entry["loss"].get<double>());
  }
  EXPECT_NEAR(losses.front(), std::log(2.0), 1e-5);
  EXPECT_LT(losses.back(), losses.front() - 0.1);
  run("parts", 5, false);
  run("parts", 12, true);
  EXPECT_EQ(read_file(scratch_ / "parts/model/model.safetensors"),
            read_file(scratch_ / "whole/model/model.safetensors"));
}

TEST_F(Preference, ErrorsAreReportedInOneLine) {
  EXPECT_THAT(user_error([&] { objective(model(), {.kind = "hinge"}); }),
              HasSubstr("loss.kind is 'hinge', want sigmoid or ipo"));
  EXPECT_THAT(user_error([&] { objective(model(), {.beta = 0}); }), HasSubstr("loss.beta is 0, want more than 0"));
  EXPECT_THAT(user_error([&] { objective(model(), {.smoothing = 0.5}); }), HasSubstr("loss.smoothing is 0.5"));
  EXPECT_THAT(user_error([&] { objective(model(), {.kind = "ipo", .smoothing = 0.1}); }), HasSubstr("belongs to"));
  EXPECT_THAT(user_error([&] {
                sequences({.messages = {{"user", "a"}, {"assistant", "b"}}, .where = "a.jsonl line 3"});
              }),
              HasSubstr("a.jsonl line 3 is no pair"));
}

}  // namespace
}  // namespace tessera::lm
