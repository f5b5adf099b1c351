// `tessera plan rank` as a person meets it.
#include <gmock/gmock.h>

#include <algorithm>

#include "core/files.h"
#include "core/json.h"
#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using testing::Finished;
using ::testing::HasSubstr;

/// Two ladders, the second of which scores 4 points more everywhere.
class PlanRank : public ::testing::Test {
 protected:
  PlanRank() {
    plan::LadderTable table = plan::testing::simulate_ladder(1, {.tasks = 2, .checkpoints = 8}).table;
    write("plain.csv", table);
    for (plan::LadderRun& run : table.runs) {
      for (plan::TaskSeries& task : run.tasks) {
        for (double& accuracy : task.acc) accuracy = std::min(1.0, accuracy + 0.04);
      }
    }
    write("better.csv", table);
  }

  void write(const std::string& name, const plan::LadderTable& table) {
    write_file_atomically(folder_ / name, plan::testing::csv_text(table));
  }

  Finished rank(std::vector<std::string> more) const {
    std::vector<std::string> words = {"plan", "rank", "--runs", (folder_ / "plain.csv").string(), "--resamples", "20"};
    words.insert(words.end(), more.begin(), more.end());
    return testing::tessera(words);
  }

  tessera::testing::ScratchFolder folder_;
};

TEST_F(PlanRank, NamesTheBetterRecipeWithItsProbability) {
  const std::string better = (folder_ / "better.csv").string();
  const Finished done = rank({"--runs", better, "--target", "2B=2e9:8e10", "--json"});
  ASSERT_EQ(done.status, 0) << done.err;
  const Json result = parse_json(done.out, "output");
  EXPECT_EQ(result["recipes"][0]["name"], "better");
  EXPECT_GT(result["pairs"][0]["probability"].get<double>(), 0.6);
  EXPECT_GT(result["pairs"][0]["difference"].get<double>(), 0.005);
  const Finished text = rank({"--runs", better, "--target", "2B=2e9:8e10"});
  for (const char* part : {"better over plain", "80% interval", "hindcasts decided right"}) {
    EXPECT_THAT(text.out, HasSubstr(part));
  }
}

TEST_F(PlanRank, MistakesAreOneLineWithStatusTwo) {
  const std::string better = (folder_ / "better.csv").string(), plain = (folder_ / "plain.csv").string();
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--target", "2B=2e9:8e10"},
                                             {"--runs", plain, "--target", "2B=2e9:8e10"},
                                             {"--runs", better, "--target", "2B"},
                                             {"--runs", better},
                                             {"--runs", better, "--target", "2B=2e9:8e10", "--tasks", "mmlu"},
                                             {"--runs", better, "--target", "2B=2e9:8e10", "--resamples", "0"},
                                             {"--runs", better, "--target", "2B=2e9:8e10", "--threads", "-1"},
                                             {"--runs", (folder_ / "none.csv").string(), "--target", "2B=2e9:8e10"}}) {
    const Finished wrong = rank(words);
    EXPECT_EQ(wrong.status, 2) << wrong.err << ::testing::PrintToString(words);
    EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 1) << wrong.err;
    EXPECT_EQ(wrong.out, "");
  }
}

}  // namespace
}  // namespace tessera
