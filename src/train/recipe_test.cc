// Recipes are read strictly and written back whole.
#include "train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera::train {
namespace {

Path recipe_file(const std::string& text) {
  const Path path = Path(::testing::TempDir()) / "recipe_test.toml";
  write_file_atomically(path, text);
  return path;
}

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    read_recipe(recipe_file(text), overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Recipe, AMistypedKeyNamesTheNearestOne) {
  EXPECT_THAT(error_of("objective = \"codec\"\n[train]\nstep = 3\n"),
              ::testing::HasSubstr("unknown key 'train.step'; did you mean 'steps'?"));
  EXPECT_THAT(error_of("objective = \"codec\"\n[train.schedule]\nlearning_rat = 3\n"),
              ::testing::HasSubstr("did you mean 'learning_rate'?"));
}

TEST(Recipe, AWrongTypeIsReportedWithItsKey) {
  EXPECT_THAT(error_of("objective = \"codec\"\n[train]\nsteps = \"many\"\n"),
              ::testing::HasSubstr("'train.steps' is \"many\", want a whole number"));
}

TEST(Recipe, BrokenTomlNamesTheLine) { EXPECT_THAT(error_of("objective = \n"), ::testing::HasSubstr("line 1")); }

TEST(Recipe, ARecipeWithoutAnObjectiveIsRefused) {
  EXPECT_THAT(error_of("out = \"x\"\n"), ::testing::HasSubstr("'objective' is missing"));
}

TEST(Recipe, OverridesAreAppliedBeforeReading) {
  const Recipe recipe = read_recipe(recipe_file("objective = \"codec\"\n[train]\nsteps = 5\n"),
                                    {"train.steps=7", "train.schedule.kind=wsd", "model.bits=9"});
  EXPECT_EQ(recipe.train.steps, 7);
  EXPECT_EQ(recipe.train.schedule.kind, "wsd");
  EXPECT_EQ(recipe.model["bits"], 9);
  EXPECT_THAT(error_of("objective = \"codec\"\n", {"train.steps"}), ::testing::HasSubstr("want KEY=VALUE"));
  EXPECT_THAT(error_of("objective = \"codec\"\n", {"train.stepz=3"}), ::testing::HasSubstr("did you mean 'steps'?"));
  EXPECT_THAT(error_of("objective = \"codec\"\n", {"train.steps=7\nbits = 9"}),
              ::testing::HasSubstr("several settings in one value"));
}

TEST(Recipe, OverridesReachIntoListsByNumber) {
  const std::string text = "objective = \"codec\"\n[data]\nkind = \"mixture\"\n[[data.mixture]]\n[[data.mixture]]\n";
  const Recipe recipe =
      read_recipe(recipe_file(text), {"data.mixture.1.weight=0.25", "data.mixture.0.text.path=words"});
  EXPECT_EQ(recipe.data.mixture.at(1).weight, 0.25);
  EXPECT_EQ(recipe.data.mixture.at(0).text.path, "words");
  for (const char* wrong : {"data.mixture.2.weight=1", "data.mixture.x.weight=1", "data.mixture.-1=1"})
    EXPECT_THAT(error_of(text, {wrong}), ::testing::HasSubstr("names no entry of a list of 2, want 0 to 1"));
}

TEST(Recipe, SurvivesTheRoundTripThroughToml) {
  Recipe recipe =
      read_recipe(recipe_file("objective = \"codec\"\n[model]\nbits = 9\nscales = [1, 2]\n[loss]\nl1 = 0.5\n"));
  recipe.train.schedule.learning_rate = 3e-4;
  const Recipe again = read_recipe(recipe_file(to_text(recipe)));
  EXPECT_EQ(to_json(again), to_json(recipe));
}

TEST(Recipe, AStartingModelThatIsNoTextIsRefusedByItsKey) {
  Recipe recipe;
  EXPECT_EQ(starting_model(recipe), "");
  recipe.model["from"] = "models/books-lm";
  EXPECT_EQ(starting_model(recipe), "models/books-lm");
  recipe.model["from"] = 7;
  EXPECT_THAT([&] { starting_model(recipe); }, ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("model.from")));
}

}  // namespace
}  // namespace tessera::train
