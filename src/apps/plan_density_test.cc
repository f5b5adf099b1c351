// `tessera plan density` as a person meets it: tables, one JSON object, one line for what is wrong.
#include "apps/plan_density.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class PlanDensity : public ::testing::Test {
 protected:
  PlanDensity() {
    write_file_atomically(home_ / "reference.csv",
                          "name,family,n_params,tokens,mmlu\nA1,A,1e9,1e12,0.31\nA3,A,3e9,1e12,0.39\n"
                          "A7,A,7e9,1e12,0.46\nA30,A,3e10,1.4e12,0.58\nA70,A,7e10,1.4e12,0.64\n");
    write_file_atomically(home_ / "models.csv",
                          "name,n_params,released,mmlu\nold,7e9,2023-02-24,0.40\nmid,7e9,2023-09-01,0.50\n"
                          "new,7e9,2024-03,0.58\nlost,7e9,2024-03,0.1\n");
    write_file_atomically(home_ / "mine.json", "{\"name\": \"mine\", \"n_params\": 2e9, \"mmlu\": 0.44}\n");
  }

  testing::Finished density(const std::string& models, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "plan", "density", "--models", (home_ / models).string(), "--reference", (home_ / "reference.csv").string()};
    words.insert(words.end(), more.begin(), more.end());
    return testing::tessera(words);
  }

  tessera::testing::ScratchFolder home_;
};

TEST_F(PlanDensity, TheTableNamesModelsDensitiesAndWhyThereIsNone) {
  const auto finished = density("models.csv", {"--trend"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("Reference A on mmlu, sizes at 1e12 tokens\n"));
  EXPECT_THAT(finished.out, HasSubstr("undefined: mmlu of 0.100 is at or below the curve's floor"));
  EXPECT_THAT(finished.out, HasSubstr("the paper: 3.3 months"));
  EXPECT_THAT(finished.out, HasSubstr("halves every 2.6 months"));
}

TEST_F(PlanDensity, JsonIsOneObjectAndIncludesOwnModels) {
  const auto finished = density("models.csv", {"--models", (home_ / "mine.json").string(), "--json", "--trend"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, EndsWith("}\n"));
  const Json result = parse_json(finished.out.substr(finished.out.rfind('\n', finished.out.size() - 2) + 1), "output");
  ASSERT_EQ(result["models"].size(), 5u);
  EXPECT_EQ(result["models"][4]["name"], "mine");
  EXPECT_GT(result["models"][4]["density"].get<double>(), 1);
  EXPECT_TRUE(result["models"][3]["density"].is_null());
  EXPECT_GT(result["trend"]["doubling_months"].get<double>(), 0);
}

TEST_F(PlanDensity, TheReportContainsTrendDensitiesAndReferenceCurves) {
  EXPECT_EQ(density("models.csv", {"--trend", "--leave-one-out", "--report", (home_ / "page.html").string()}).status,
            0);
  const std::string page = read_file(home_ / "page.html");
  for (const char* text : {"Density over time", "densest so far", "What the trend hangs on", "Leave one out", "lost"})
    EXPECT_THAT(page, HasSubstr(text));
}

TEST_F(PlanDensity, ErrorsAreOneLineWithStatusTwo) {
  write_file_atomically(home_ / "percent.csv", "name,n_params,mmlu\nx,1e9,44\n");
  const auto percent = density("percent.csv");
  EXPECT_EQ(percent.status, 2);
  EXPECT_EQ(percent.out, "");
  EXPECT_EQ(percent.err, "tessera plan density: [plan] " + (home_ / "percent.csv").string() +
                             " line 2, column 'mmlu': got 44, want a fraction in [0, 1]; these look like percentages, "
                             "divide by 100\n");
  EXPECT_EQ(density("absent.csv").status, 2);
  EXPECT_THAT(density("models.csv", {"--tasks", "mmlu,bhb"}).err,
              HasSubstr("has no score 'bhb'; did you mean 'mmlu'?"));
  EXPECT_THAT(density("models.csv", {"--family", "B"}).err, HasSubstr("did you mean 'A'?"));
  EXPECT_EQ(density("models.csv", {"--report", "/proc/none/page.html"}).status, 2);
  const auto bare = testing::tessera({"plan", "density", "--models", (home_ / "models.csv").string()});
  EXPECT_EQ(bare.status, 2);
  EXPECT_THAT(bare.err, HasSubstr("--reference is missing"));
}

}  // namespace
}  // namespace tessera::apps
