// A recipe is run by one call, several times in one process, and leaves all that a person needs to go on with it.
#include "tune/run_recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file_lock.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "tests/support/scratch.h"

namespace tessera::tune {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class RunRecipe : public ::testing::Test {
 protected:
  RunRecipe() {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    disk().create_directories(folder_ / "tokenizer");
    data::testing::write_byte_tokenizer(folder_ / "tokenizer");
    disk().create_directories(folder_ / "books");
    std::string words;
    for (int i = 0; i < 600; ++i) words += static_cast<char>('a' + i % 7 + i % 3);
    write_file_atomically(folder_ / "books" / "one.txt", words);
  }
  train::Recipe recipe(const std::string& out) const {
    train::Recipe recipe{.objective = "lm", .out = (folder_ / out).string()};
    recipe.data.kind = "text";
    recipe.data.text = {.path = (folder_ / "books").string(),
                        .tokenizer = (folder_ / "tokenizer").string(),
                        .length = 16,
                        .heldout_share = 0.1,
                        .cache = "off"};
    recipe.model = {{"width", 16}, {"depth", 1}, {"heads", 2}, {"kv_heads", 2}, {"context", 32}};
    recipe.train.steps = 4;
    recipe.train.batch = 2;
    recipe.train.checkpoint_every = 2;
    recipe.train.schedule.kind = "constant";
    return recipe;
  }
  ScratchFolder folder_;
};

TEST_F(RunRecipe, TwoRunsOfOneProcessAreTheSameByteForByte) {
  const RecipeResult a = run_recipe(recipe("a")), b = run_recipe(recipe("b"));
  EXPECT_EQ(a.training.steps, 4);
  EXPECT_FALSE(a.training.interrupted);
  EXPECT_GT(a.training.metrics.at("heldout_loss"), 0);
  EXPECT_EQ(read_file(a.model / "model.safetensors"), read_file(b.model / "model.safetensors"));
}

TEST_F(RunRecipe, TheResolvedRecipeResumesAndItsLongerRunEqualsAWholeOne) {
  train::Recipe whole = recipe("whole"), part = recipe("part");
  whole.train.steps = 6;
  const RecipeResult wanted = run_recipe(whole);
  run_recipe(part);
  train::Recipe stored = train::read_recipe(folder_ / "part" / "recipe.toml", {"train.steps=6"});
  EXPECT_NE(stored.edition, "");
  EXPECT_EQ(stored.model["depth"], 1);
  const RecipeResult resumed = run_recipe(stored, {.resume = true});
  EXPECT_EQ(resumed.training.steps, 6);
  EXPECT_EQ(read_file(resumed.model / "model.safetensors"), read_file(wanted.model / "model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(resumed.model / "recipe.toml"));
}

TEST_F(RunRecipe, AResumeThatDoesNotFitLeavesTheRunAsItWas) {
  run_recipe(recipe("run"));
  const Path file = folder_ / "run" / "recipe.toml";
  const std::string before = read_file(file);
  const train::Recipe wider = train::read_recipe(file, {"model.width=32", "train.steps=6"});
  EXPECT_THROW(run_recipe(wider, {.resume = true}), UserError);
  EXPECT_EQ(read_file(file), before);
  EXPECT_EQ(run_recipe(train::read_recipe(file, {"train.steps=6"}), {.resume = true}).training.steps, 6);
}

TEST_F(RunRecipe, AFinishedRunKeepsWhatItWasMadeWith) {
  const RecipeResult made = run_recipe(recipe("run"));
  const Path file = folder_ / "run" / "recipe.toml";
  const std::string before = read_file(file);
  const RecipeResult again = run_recipe(train::read_recipe(file, {"train.batch=1", "train.seed=9"}), {.resume = true});
  EXPECT_FALSE(again.training.trained);
  EXPECT_EQ(read_file(file), before);
  EXPECT_EQ(read_file(made.model / "recipe.toml"), before);
  EXPECT_THAT([&] { run_recipe(train::read_recipe(file, {"train.steps=3"}), {.resume = true}); },
              ThrowsMessage<UserError>(HasSubstr("has done 4 steps already, train.steps is 3")));
}

TEST_F(RunRecipe, OneProcessAtATimeRunsInADirectory) {
  run_recipe(recipe("run"));
  const train::Recipe stored = train::read_recipe(folder_ / "run" / "recipe.toml", {"train.steps=6"});
  {
    const FileLock other(folder_ / "run" / "running", "train", "the run");
    EXPECT_THAT([&] { run_recipe(stored, {.resume = true}); },
                ThrowsMessage<UserError>(HasSubstr("is in use by process")));
  }
  run_recipe(stored, {.resume = true});
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "running"));
}

TEST_F(RunRecipe, AModelAndAnEmptyFolderAreNoRuns) {
  train::Recipe model = recipe("run/model"), nothing = recipe("nothing");
  run_recipe(recipe("run"));
  EXPECT_THAT([&] { run_recipe(model, {.resume = true}); },
              ThrowsMessage<UserError>(HasSubstr("is a model that a run has made; the run is")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "model" / "metrics.jsonl"));
  EXPECT_THAT([&] { run_recipe(nothing, {.resume = true}); },
              ThrowsMessage<UserError>(HasSubstr("holds no run to go on with")));
}

TEST_F(RunRecipe, CtrlCLeavesTheModelSoFarAndTheRunGoesOnAllTheSame) {
  const RecipeResult wanted = run_recipe(recipe("whole"));
  RecipeResult stopped;
  {
    const InterruptGuard outer;
    InterruptGuard::raise();
    stopped = run_recipe(recipe("part"));
  }
  EXPECT_TRUE(stopped.training.interrupted);
  EXPECT_EQ(stopped.training.steps, 1);
  EXPECT_TRUE(std::filesystem::exists(stopped.model / "model.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(stopped.model / "recipe.toml"));
  const RecipeResult resumed = run_recipe(train::read_recipe(folder_ / "part" / "recipe.toml"), {.resume = true});
  EXPECT_FALSE(resumed.training.interrupted);
  EXPECT_EQ(read_file(resumed.model / "model.safetensors"), read_file(wanted.model / "model.safetensors"));
}

TEST_F(RunRecipe, ARunIsNeitherOverwrittenNorGoneOnWithOnOtherData) {
  run_recipe(recipe("run"));
  EXPECT_THAT([&] { run_recipe(recipe("run")); }, ThrowsMessage<UserError>(HasSubstr("already holds a run")));
  const train::Recipe stored = train::read_recipe(folder_ / "run" / "recipe.toml");
  write_file_atomically(folder_ / "books" / "two.txt", "another book that was not there before");
  EXPECT_THAT([&] { run_recipe(stored, {.resume = true}); },
              ThrowsMessage<UserError>(HasSubstr("the run's data were")));
  EXPECT_THAT([&] { run_recipe(train::Recipe{.objective = "lm"}); },
              ThrowsMessage<UserError>(HasSubstr("no run directory")));
}

}  // namespace
}  // namespace tessera::tune
