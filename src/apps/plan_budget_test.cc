// `tessera plan budget` as a person meets it.
#include <gmock/gmock.h>

#include <algorithm>

#include "core/json.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using testing::Finished;
using ::testing::HasSubstr;

Finished budget(std::vector<std::string> words) {
  words.insert(words.begin(),
               {"plan", "budget", "--runs", std::string(TESSERA_SOURCE_DIR) + "/examples/ladder/ladder_checkpoints.csv",
                "--resamples", "20", "--quiet"});
  return testing::tessera(words);
}

TEST(PlanBudgetVerb, PrintsTheBestTheTasksAndTheSmallestLadder) {
  const Finished done = budget({"--flops", "1e22"});
  EXPECT_EQ(done.status, 0) << done.err;
  for (const char* part : {"best", "smallest as good", "mmlu", "ladder: 6.988e21 FLOPs"})
    EXPECT_THAT(done.out, HasSubstr(part));
}

TEST(PlanBudgetVerb, JsonIsOneObjectAndAReportIsAPage) {
  const tessera::testing::ScratchFolder scratch;
  const std::string page = (scratch / "out.html").string();
  const Finished done = budget({"--flops", "1e22", "--json", "--report", page});
  ASSERT_EQ(done.status, 0) << done.err;
  const Json result = parse_json(done.out, "output");
  EXPECT_GT(result["best"]["params"].get<double>(), 1e9);
  EXPECT_EQ(result["predictions"].size(), 8u);
  EXPECT_TRUE(std::filesystem::exists(page));
}

TEST(PlanBudgetVerb, ErrorsAreOneLineWithStatusTwo) {
  const std::vector<std::vector<std::string>> mistakes = {{"--flops", "0"},
                                                          {"--flops", "-1e22"},
                                                          {"--flops", "lots"},
                                                          {"--flops", "inf"},
                                                          {},
                                                          {"--flops", "1e22", "--inference-tokens", "-2T"},
                                                          {"--flops", "1e22", "--max-params", "big"},
                                                          {"--flops", "1e22", "--tasks", "mmlu,,piqa"},
                                                          {"--flops", "1e22", "--tasks", "mmmlu"},
                                                          {"--flops", "1e22", "--method", "better"},
                                                          {"--flops", "1e22", "--tolerance", "-1"},
                                                          {"--flops", "1e22", "--report", "/proc/nowhere/out.html"}};
  for (const auto& words : mistakes) {
    const Finished wrong = budget(words);
    EXPECT_EQ(wrong.status, 2) << wrong.err << ::testing::PrintToString(words);
    EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 1) << wrong.err;
    EXPECT_EQ(wrong.out, "");
  }
}

}  // namespace
}  // namespace tessera
