// The pool of prompts and the choice of a round's.
#include "align/synthesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

TEST(FewShot, ExamplesAreANumberedListThatBreaksOff) {
  const std::string text = few_shot_text({"Sing.", "Two\nlines"});
  EXPECT_TRUE(text.ends_with("1. Sing.\n2. Two lines\n3.")) << text;
}

TEST(FewShot, APromptIsTheLineThatWasWritten) {
  EXPECT_EQ(prompt_in("  Name a bird. \n4. Another"), "Name a bird.");
  EXPECT_EQ(prompt_in("Écris"), "Écris");
  EXPECT_EQ(prompt_in(" 12 ..."), "");
  EXPECT_EQ(prompt_in(""), "");
}

class RoundPrompts : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<StoredPrompt> prompts;
    std::vector<std::pair<int64_t, int64_t>> clusters;
    for (int64_t i = 0; i < 40; ++i) {
      prompts.push_back({.text = "prompt " + std::to_string(i), .origin = "synthetic"});
      clusters.emplace_back(i + 1, i < 30 ? 0 : i % 10);  // most are alike
    }
    prompts.push_back({.text = "a seed", .origin = "seed"});
    store_.add_prompts(prompts);
    store_.set_clusters(clusters);
  }
  std::set<int64_t> clusters_of(const std::vector<int64_t>& ids) const {
    std::set<int64_t> clusters;
    for (const StoredPrompt& prompt : store_.prompts()) {
      if (std::ranges::find(ids, prompt.id) != ids.end()) clusters.insert(prompt.cluster);
    }
    return clusters;
  }
  tessera::testing::ScratchFolder scratch_;
  Store store_{scratch_ / "store.sqlite"};
};

TEST_F(RoundPrompts, DiversifiedPromptsComeFromDifferentClusters) {
  const std::vector<int64_t> ids = choose_prompts(store_, 1, 10, true, 7);
  EXPECT_EQ(std::set<int64_t>(ids.begin(), ids.end()).size(), 10u);
  EXPECT_EQ(clusters_of(ids).size(), 10u);
  EXPECT_EQ(choose_prompts(store_, 1, 10, true, 7), ids);
  EXPECT_NE(choose_prompts(store_, 2, 10, true, 7), ids);
}

TEST_F(RoundPrompts, RandomPromptsFollowTheCrowd) {
  EXPECT_LT(clusters_of(choose_prompts(store_, 1, 10, false, 7)).size(), 10u);
}

TEST_F(RoundPrompts, NoPromptIsChosenTwiceOverRoundsUntilNoneIsLeft) {
  std::set<int64_t> all;
  for (int64_t round = 1; round <= 4; ++round) {
    const std::vector<int64_t> ids = choose_prompts(store_, round, 10, true, 7);
    store_.use_prompts(ids, round);
    all.insert(ids.begin(), ids.end());
  }
  EXPECT_EQ(all.size(), 40u) << "seeds are not among them";
  EXPECT_THROW(choose_prompts(store_, 5, 1, true, 7), UserError);
}

}  // namespace
}  // namespace tessera::align
