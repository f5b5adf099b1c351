// The objective learns the assistant's words and nothing else, changes only the chosen parts, and saves what it trained.
#include "models/nvila/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>

#include "core/error.h"
#include "data/heldout.h"
#include "data/testing_tokenizer.h"
#include "models/nvila/model_files.h"
#include "models/nvila/testing.h"
#include "train/loop.h"

namespace tessera::nvila {
namespace {

/// Grey pictures whose answer is their shade in words.
class Shades final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    const bool light = index % 2 == 0;
    Sample sample;
    sample.picture = Image(24, 24, 3, light ? 230 : 20);
    sample.messages = {{"user", "which?", 1}, {"assistant", light ? "light" : "dark"}};
    sample.media = {{.frames = {sample.picture}}};
    return sample;
  }
};

class NvilaObjectiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_ / "tokenizer");
    data::testing::write_byte_tokenizer(directory_ / "tokenizer");
  }

  std::unique_ptr<NvilaObjective> objective(NvilaTraining training = {}) const {
    training.unseen = 0;
    return std::make_unique<NvilaObjective>(tiny_nvila(), directory_ / "tokenizer", training, 1,
                                            std::vector<Sample>{Shades().at(0), Shades().at(1)}, at::kCPU);
  }
  train::TrainConfig config(int64_t steps) const {
    train::TrainConfig config{.steps = steps, .batch = 2, .log_every = 1, .evaluate_every = 0};
    config.schedule.learning_rate = 1e-2;
    config.schedule.warmup_steps = 10;
    return config;
  }

  Path directory_;
};

std::vector<Sample> both() { return {Shades().at(0), Shades().at(1)}; }

TEST_F(NvilaObjectiveTest, OnlyTheAssistantsTokensCount) {
  const at::NoGradGuard no_grad;
  const auto made = objective();
  // The tokenizer's ids are bytes. A turn's end token is learnt too, the line break that the template puts after it is not.
  const auto answer_ids = [](const Sample& sample) {
    const std::string& answer = sample.messages[1].content;
    std::vector<int32_t> ids(answer.begin(), answer.end());
    ids.push_back(data::testing::turn_end_id);
    return ids;
  };
  const auto tokenizer = text::load_tokenizer(directory_ / "tokenizer");
  const NvilaModel model = made->model();
  const Prompter prompter(model.config, *tokenizer, directory_ / "tokenizer");
  double nats = 0, tokens = 0;
  for (const Sample& sample : both()) {  // the second way: all logits, and the ids that the answer must end with
    const std::vector<MediaPlan> plans = plans_of(model.config, sample.media);
    const PromptRow row = prompter.row(sample.messages, plans, /*add_generation_prompt=*/false);
    const std::vector<int32_t> answer = answer_ids(sample);
    const int64_t begin = std::ssize(row.ids) - 1 - std::ssize(answer);
    ASSERT_TRUE(std::equal(answer.begin(), answer.end(), row.ids.begin() + begin));
    const Tensor pixels = pixels_of(model.config, sample.media[0], plans[0]);
    const Tensor logits = model.logits(assemble({row}, {pixels}, plans, at::kCPU))[0].log_softmax(-1);
    for (int64_t t = 0; t < std::ssize(answer); ++t)
      nats -= logits[begin + t - 1][answer[static_cast<size_t>(t)]].item<double>();
    tokens += static_cast<double>(answer.size());
  }
  const train::Loss loss = made->loss(both(), {});
  EXPECT_EQ(loss.weight, tokens);
  EXPECT_NEAR(loss.value.item<double>(), nats / tokens, 1e-5);
}

TEST_F(NvilaObjectiveTest, AFewStepsTellLightFromDark) {
  const auto made = objective();
  const train::TrainResult result = train::train(*made, Shades(), config(200), {.directory = directory_ / "run"});
  EXPECT_EQ(result.metrics.at("unseen_answers"), 1);
  EXPECT_LT(result.metrics.at("unseen_loss"), 0.1);
}

TEST_F(NvilaObjectiveTest, PartsThatTuneNothingAreUnchanged) {
  NvilaTraining training;
  training.tower.tune.what = "nothing";
  training.llm.tune.what = "nothing";
  const auto made = objective(training);
  NvilaModel before = tiny_nvila(), after = made->model();
  train::train(*made, Shades(), config(2), {.directory = directory_ / "run"});
  std::map<std::string, Tensor> old;
  for_each_tensor(before, [&](const std::string& name, Tensor& t) { old.emplace(name, t); });
  for_each_tensor(after, [&](const std::string& name, Tensor& t) {
    if (!name.starts_with("mm_projector")) {
      EXPECT_TRUE(at::equal(t, old.at(name))) << name;
    } else if (name.ends_with("weight") && t.dim() == 2) {
      EXPECT_FALSE(at::equal(t, old.at(name))) << name;
    }
  });
}

TEST_F(NvilaObjectiveTest, AdaptersAreMergedIntoTheSavedModelAndNotIntoTheTrainedOne) {
  NvilaTraining training;
  training.half = false;
  training.tower.tune.what = "norms";
  training.llm.tune.what = "lora";
  const auto made = objective(training);
  train::train(*made, Shades(), config(3), {.directory = directory_ / "run"});
  const double trained = made->loss(both(), {}).value.item<double>();
  made->save_model(directory_ / "again", disk());
  EXPECT_EQ(made->loss(both(), {}).value.item<double>(), trained);
  NvilaObjective loaded(load_weights(directory_ / "run" / "model", at::kCPU), directory_ / "run" / "model", {}, 1, {},
                        at::kCPU);
  EXPECT_NEAR(loaded.loss(both(), {}).value.item<double>(), trained, 1e-5);
}

/// Its held-out samples are dark; at() gives light ones, and counts how often it is asked.
class LightTrains final : public SampleSource {
 public:
  Sample at(uint64_t) const override {
    ++asked;
    return Shades().at(0);
  }
  std::vector<Sample> heldout(uint64_t most) const override { return std::vector<Sample>(most, Shades().at(1)); }
  mutable int asked = 0;
};

TEST_F(NvilaObjectiveTest, WhatIsMeasuredIsHeldOutAndNeverComesFromTheTrainingSamples) {
  train::Recipe recipe{.objective = "nvila"};
  Json text = to_json(tiny_nvila().config.text);
  recipe.model = {{"tokenizer", (directory_ / "tokenizer").string()},
                  {"vision", to_json(tiny_nvila().config.vision)},
                  {"projector", tiny_nvila().config.projector},
                  {"tiles", to_json(tiny_nvila().config.tiles)},
                  {"text", text}};
  recipe.loss = {{"unseen", 3}};
  const LightTrains source;
  const auto made = make_nvila_objective(recipe, source, at::kCPU);
  EXPECT_EQ(source.asked, 0);
  EXPECT_NEAR(made->evaluate().at("unseen_loss"), made->loss({Shades().at(1)}, {}).value.item<double>(), 1e-5);
}

TEST_F(NvilaObjectiveTest, ARecipeThatMeasuresHoldsOutWhereItNamesNoShare) {
  train::Recipe measures{.objective = "nvila"}, does_not{.objective = "nvila"};
  measures.data.kind = does_not.data.kind = "chat";
  does_not.loss = {{"unseen", 0}};
  complete_nvila_data(measures);
  complete_nvila_data(does_not);
  EXPECT_EQ(measures.data.chat.heldout_share, data::default_heldout_share);
  EXPECT_EQ(does_not.data.chat.heldout_share, 0);
}

TEST_F(NvilaObjectiveTest, ASampleWithoutAConversationIsRefused) {
  Sample sample = Shades().at(0);
  sample.messages.clear();
  sample.caption = "grey";
  try {
    objective()->loss({sample}, {});
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("sample 'grey' has no conversation"));
  }
}

}  // namespace
}  // namespace tessera::nvila
