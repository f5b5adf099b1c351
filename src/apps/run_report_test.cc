// The page about a run, and what the verb says where there is no run to draw.
#include <gmock/gmock.h>

#include "apps/inspect.h"
#include "core/error.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RunReport : public ::testing::Test {
 protected:
  RunReport() {
    write_file_atomically(run_ / "recipe.toml", "[train]\nsteps = 9000\n[data]\nkind = \"<b>folder</b>\"\n");
    std::string lines;
    for (int step = 10; step <= 9000; step += 10)
      lines += fmt::format("{{\"step\":{},\"samples\":{},\"bit_acc\":0.5,\"loss\":{}}}\n", step, step, 9000.0 / step);
    write_file_atomically(run_ / "metrics.jsonl", lines + "{\"step\":9000,\"psnr\":24.8}\n");
  }
  testing::Finished inspect(std::vector<std::string> words, const std::vector<std::string>& environment = {}) const {
    words.insert(words.begin(), {"inspect", run_.path().string()});
    return testing::tessera(words, environment);
  }
  const testing::ScratchFolder run_;
};

TEST_F(RunReport, ThePageHoldsFiguresValuesAndTheRecipe) {
  const auto finished = inspect({"--report", (run_ / "run.html").string()});
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("the report is in"));
  const std::string page = read_file(run_ / "run.html");
  EXPECT_THAT(page,
              AllOf(HasSubstr("psnr"), HasSubstr("Logged beside it"), HasSubstr("bit_acc"), HasSubstr("train.steps")));
  EXPECT_THAT(page, HasSubstr("The mean of about 2 logged values each"));
  EXPECT_THAT(page, AllOf(HasSubstr("&lt;b&gt;folder"), Not(HasSubstr("<b>folder"))));
  EXPECT_THAT(finished.out, HasSubstr("recipe"));  // beside the page it reports as ever
}

TEST_F(RunReport, ThePlotIsDrawnInTheCharactersOfTheLocale) {
  const auto utf8 = inspect({"--plot"}, {"LC_ALL=C.UTF-8", "COLUMNS=70"});
  EXPECT_EQ(utf8.status, 0) << utf8.err;
  EXPECT_THAT(utf8.out,
              AllOf(HasSubstr("loss 1 at step 9000 (1 to 900) (log)"), HasSubstr("┤"), HasSubstr("psnr 24.8")));
  EXPECT_THAT(utf8.out, AllOf(Not(HasSubstr("bit_acc")), Not(HasSubstr("\033"))));
  const auto ascii = inspect({"--metric", "bit_acc"}, {"LC_ALL=C", "COLUMNS=70"});
  EXPECT_THAT(ascii.out, AllOf(HasSubstr("bit_acc 0.5 at step 9000"), HasSubstr("****")));
  EXPECT_TRUE(std::all_of(ascii.out.begin(), ascii.out.end(), [](char c) { return (c & 0x80) == 0; }));
  const Json series = parse_json(inspect({"--plot", "--json"}).out, "output")["series"];
  EXPECT_EQ(series["psnr"], (Json{{"steps", {9000.0}}, {"values", {24.8}}}));
}

TEST_F(RunReport, WithoutARunOrMetricsThereIsNothingToDraw) {
  std::filesystem::remove(run_ / "metrics.jsonl");
  const auto empty = inspect({"--plot"});
  EXPECT_EQ(empty.status, 2);
  EXPECT_THAT(empty.err, HasSubstr("has no metrics yet"));
  const std::string model = std::string(TESSERA_SOURCE_DIR) + "/models/books-lm";
  const auto no_run = testing::tessera({"inspect", model, "--plot"});
  EXPECT_EQ(no_run.status, 2);
  EXPECT_THAT(no_run.err, HasSubstr("is not one"));
}

}  // namespace
}  // namespace tessera::apps
