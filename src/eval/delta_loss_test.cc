// Pruning keeps, in each sub-dataset, what the large model knows and the small one does not; scoring survives being killed.
#include "eval/delta_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/full.h>

#include "core/error.h"
#include "core/rng.h"

namespace tessera::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DeltaLoss, KeepsTheLargestRatiosOfEachSource) {
  // source, nats under the large model, under the small one
  const std::vector<DeltaScore> scores = {{"a", 1, 5, 2}, {"a", 1, 1, 2},   {"b", 9, 2, 2},
                                          {"a", 4, 5, 2}, {"b", 9, 8.5, 2}, {"a", 2, 9, 9}};
  EXPECT_THAT(kept_rows(scores, 0.5), ElementsAre(0, 4, 5))
      << "b keeps its better half although both are worse than all of a";
  EXPECT_THAT(kept_rows(scores, 0.25, true), ElementsAre(0, 4))
      << "per token the last row's 7 nats over 9 tokens are few";
  EXPECT_EQ(kept_rows(scores, 1).size(), 6u);
}

TEST(DeltaLoss, TiesKeepTheirOrderAndNonFiniteRowsAreDropped) {
  const double nan = std::nan("");
  EXPECT_THAT(kept_rows({{"", 1, 1, 1}, {"", nan, 9, 1}, {"", 1, 1, 1}, {"", 1, 1, 1}}, 0.5), ElementsAre(0, 2));
  EXPECT_THAT(kept_rows({{"", nan, 1, 1}}, 0.5), ElementsAre());
  EXPECT_THAT(kept_rows({{"few", 1, 1, 1}}, 0.01), ElementsAre(0)) << "a small source does not vanish";
  for (const double share : {0.0, -1.0, 1.5, nan}) EXPECT_THROW(kept_rows({}, share), UserError) << share;
}

TEST(DeltaLoss, EasyAndMisleadingSamplesAreDroppedFirst) {
  // an answer of probability: easy .95/.90, useful .6/.2, misleading .02/.05 (the large model is more certain that it is wrong)
  std::vector<DeltaScore> scores;
  for (int i = 0; i < 30; ++i) {
    const double large[] = {.95, .6, .02}, small[] = {.90, .2, .05};
    scores.push_back({"emoji", -std::log(large[i % 3]), -std::log(small[i % 3]), 1});
  }
  for (const size_t row : kept_rows(scores, 1.0 / 3)) EXPECT_EQ(row % 3, 1u);
}

class Scores : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = Path(::testing::TempDir()) /
            (std::string("scores-") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(file_);
  }
  /// Scores rows until `die_at`, as a killed process would.
  std::vector<DeltaScore> run(size_t count, size_t die_at = SIZE_MAX) {
    ScoreFile file(file_, made_of_);
    const auto sample = [&](size_t i) {
      if (i == die_at) throw FaultError("killed");
      ++scored_;
      return std::pair<Sample, std::string>({.caption = std::to_string(i)}, i % 2 ? "odd" : "even");
    };
    const auto large = [](const Sample& s) { return AnswerNats{std::sqrt(std::stod(s.caption)), 2}; };
    const auto small = [](const Sample& s) { return AnswerNats{std::stod(s.caption) / 3, 2}; };
    score_rows(file, count, sample, large, small);
    return file.scores();
  }
  Path file_;
  Json made_of_ = {{"data", "a"}, {"large", "x"}};
  int scored_ = 0;
};

TEST_F(Scores, AKilledRunResumesAndEndsWithTheSameScores) {
  EXPECT_THROW(run(20, 7), FaultError);
  disk().open_append(file_)->append("{\"source\": \"ev");  // torn in the middle of a line
  const auto scores = run(20);
  EXPECT_EQ(scored_, 20) << "no row is scored twice";
  const std::string text = read_file(file_);
  std::filesystem::remove(file_);
  EXPECT_EQ(run(20), scores);
  EXPECT_EQ(read_file(file_), text);
}

TEST_F(Scores, ScoresSurviveTheRoundTripThroughTheFile) {
  {
    ScoreFile file(file_, made_of_);
    file.append({"s \"quoted\"\n", 1.0 / 3, 1e-300, 7});
    file.append({"t", std::nan(""), 2, 1});
  }
  const ScoreFile again(file_, made_of_);
  ASSERT_EQ(again.scores().size(), 2u);
  EXPECT_EQ(again.scores()[0], (DeltaScore{"s \"quoted\"\n", 1.0 / 3, 1e-300, 7}));
  EXPECT_TRUE(std::isnan(again.scores()[1].large));
}

TEST_F(Scores, ScoresOfOtherDataOrADamagedFileAreRefused) {
  run(3);
  EXPECT_THROW(ScoreFile(file_, {{"data", "b"}}), UserError);
  disk().open_append(file_)->append("{\"source\": 3}\n");
  try {
    ScoreFile(file_, made_of_);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("line 5: 'large' is no number"));
  }
}

TEST_F(Scores, FewerSamplesThanScoresAreRefused) {
  run(3);
  EXPECT_THROW(run(2), UserError);
}

/// Its loss is the caption's number; two learned tokens.
class Toy final : public train::Objective {
 public:
  std::vector<train::Parameter> parameters() override { return {}; }
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext&) override {
    const train::PreparedSample* first = train::prepared_as<train::PreparedSample>(batch).at(0);
    return {.value = at::full({}, std::stod(first->sample.caption)), .weight = 2};
  }
  void save_model(const Path&, FileSystem&) override {}
};

TEST(DeltaLoss, AnObjectivesMeanLossBecomesTheAnswersNats) {
  Toy toy;
  const AnswerNats nats = scorer_of(toy)({.caption = "1.5"});
  EXPECT_EQ(nats.nats, 3);
  EXPECT_EQ(nats.tokens, 2);
}

TEST(DeltaLoss, RowsAreCountedBySource) {
  const std::vector<DeltaScore> scores = {{"a", 1, 5, 2}, {"a", 1, 1, 2}, {"b", 2, 3, 2}};
  const auto sources = pruned_sources(scores, {0, 2}, false);
  EXPECT_EQ(sources.at("a").rows, 2);
  EXPECT_EQ(sources.at("a").kept, 1);
  EXPECT_EQ(sources.at("a").mean_delta, 2);
  EXPECT_EQ(sources.at("a").mean_delta_kept, 4);
}

}  // namespace
}  // namespace tessera::eval
