// A whole run on a model of a few thousand weights: what it makes, that it goes on where it was, and what it refuses.
#include "align/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "models/lm/testing.h"
#include "models/lm/training/objective.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

using ::testing::HasSubstr;

class AlignRun : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    data::testing::write_byte_tokenizer(scratch_ / "tokenizer");
    lm::LmConfig config = lm::tiny_config("llama");
    config.vocabulary = data::testing::byte_vocabulary;
    config.context = 1024;
    lm::LmObjective start({.model = lm::tiny_lm(config),
                           .tokenizer = text::load_tokenizer(scratch_ / "tokenizer"),
                           .chat = text::ChatTemplate::named("chatml"),
                           .tokenizer_directory = scratch_ / "tokenizer",
                           .given_chat = true,
                           .training = {.stored = "f32"}},
                          5, at::kCPU);
    start.save_model(scratch_ / "base", disk());
    std::string seeds, ratings;
    for (int i = 0; i < 6; ++i) {
      seeds += fmt::format(
          "{{\"messages\":[{{\"role\":\"user\",\"content\":\"ask "
          "{}\"}},{{\"role\":\"assistant\",\"content\":\"a{}\"}}]}}\n",
          i, i);
      ratings += fmt::format("{{\"prompt\":\"ask {}\",\"response\":\"a\",\"score\":{}}}\n", i, i);
    }
    write_file_atomically(scratch_ / "seeds.jsonl", seeds);
    write_file_atomically(scratch_ / "ratings.jsonl", ratings);
  }
  AlignRecipe recipe(const std::string& out) const {
    AlignRecipe r;
    r.out = (scratch_ / out).string();
    r.base = (scratch_ / "base").string();
    r.seeds = (scratch_ / "seeds.jsonl").string();
    r.ratings = (scratch_ / "ratings.jsonl").string();
    r.rounds = 2;
    r.prompts = {.pool = 14, .max_tokens = 12, .near = 1, .attempts = 40};
    r.answers = {.prompts = 4, .samples = 5, .max_tokens = 6, .at_once = 4};
    r.judge.distil = 4;
    const auto training = [](int64_t steps, double rate) -> Json {
      return {{"loss", {{"stored", "f32"}}},
              {"train",
               {{"batch", 6},
                {"steps", steps},
                {"checkpoint_every", 15},
                {"schedule", {{"kind", "constant"}, {"learning_rate", rate}, {"warmup_steps", 0}}}}}};
    };
    r.sft = training(40, 1e-2);  // until its answers end
    r.judge.training = training(2, 1e-3);
    r.dpo = training(2, 1e-3);
    return r;
  }
  /// Everything that a run has made but for times, ids and where it stands.
  std::string made(const std::string& out) const {
    const Store store(store_of(scratch_ / out), false);
    store.export_jsonl(scratch_ / "export.jsonl");
    std::vector<std::string> lines;
    std::istringstream rows(read_file(scratch_ / "export.jsonl"));
    for (std::string line; std::getline(rows, line);) lines.push_back(line);
    std::ranges::sort(lines);
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    for (const char* model : {"sft-1", "sft-2", "judge", "judge-distilled", "round-1", "round-2"})
      all += read_file(scratch_ / out / "models" / model / "model/model.safetensors");
    return all;
  }
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(AlignRun, MakesAModelARoundAndGoesOnToFurtherRounds) {
  const AlignResult result = run_align(recipe("whole"), at::kCPU);
  EXPECT_EQ(result.rounds, 2);
  EXPECT_TRUE(std::filesystem::exists(result.model / "model.safetensors"));
  {
    const Store store(store_of(scratch_ / "whole"), false);
    EXPECT_EQ(store.count_prompts("synthetic"), 14);
    for (int64_t round = 1; round <= 2; ++round) {
      EXPECT_EQ(store.prompts_of_round(round).size(), 4u);
      EXPECT_EQ(store.count_answers(round), 20);
      EXPECT_EQ(store.count_scores(round, "judge-distilled"), 20);
    }
    std::set<std::string> writers;
    for (const auto& [prompt, answers] : store.scored(2, "judge-distilled")) {
      for (const ScoredAnswer& each : answers) writers.insert(each.answer.model);
    }
    EXPECT_EQ(writers, (std::set<std::string>{"round-1", "sft-1", "sft-2"}));
    for (const StoredStep& step : store.steps()) EXPECT_EQ(step.state, "done") << step.name;
  }
  AlignRecipe shorter = recipe("parts");
  shorter.rounds = 1;
  run_align(shorter, at::kCPU);
  run_align(recipe("parts"), at::kCPU);
  EXPECT_EQ(made("parts"), made("whole"));
}

TEST_F(AlignRun, StoppedAnywhereItEndsWithTheSameData) {
  run_align(recipe("whole"), at::kCPU);
  for (int tries = 0;; ++tries) {
    ASSERT_LT(tries, 200) << "no try gets any further";
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 37 * tries));
      InterruptGuard::raise();
    });
    const AlignResult result = run_align(recipe("stopped"), at::kCPU);
    other.join();
    if (!result.interrupted) break;
  }
  EXPECT_EQ(made("stopped"), made("whole"));
}

TEST_F(AlignRun, PreferencesAreTheOtherWayToLearnFromScores) {
  AlignRecipe r = recipe("dpo");
  r.method = "dpo";
  r.rounds = 1;
  const AlignResult result = run_align(r, at::kCPU);
  EXPECT_EQ(result.rounds, 1);
  EXPECT_THAT(read_file(scratch_ / "dpo/data/round-1.jsonl"), HasSubstr("\"rejected\""));
}

TEST_F(AlignRun, WhatCannotBeIsToldBeforeAnythingIsTrained) {
  const auto fault = [&](auto&& change) -> std::string {
    AlignRecipe r = recipe("faulty");
    change(r);
    try {
      run_align(r, at::kCPU);
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  };
  run_align(recipe("faulty"), at::kCPU);
  EXPECT_THAT(fault([](AlignRecipe& r) { r.answers.samples = 7; }),
              HasSubstr("begun with another recipe: 'answers' was"));
  write_file_atomically(scratch_ / "empty.jsonl", "\n");
  EXPECT_THAT(fault([&](AlignRecipe& r) {
                r.out = (scratch_ / "other").string();
                r.seeds = (scratch_ / "empty.jsonl").string();
              }),
              HasSubstr("holds no conversation"));
  write_file_atomically(scratch_ / "run.toml", "base = \"x\"\nseeds = \"s\"\nratings = \"r\"\nrounds = 0\n");
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml"), UserError);
  EXPECT_EQ(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "answers.prompts=5"}).answers.prompts, 5);
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "answers.promts=5"}), UserError);
}

}  // namespace
}  // namespace tessera::align
