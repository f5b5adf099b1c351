// Series out of a run's metrics.jsonl, whole or torn or not its own.
#include "apps/run_metrics.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<MetricSeries> read(const std::string& text) {
  const testing::ScratchFolder folder;
  write_file_atomically(folder / "metrics.jsonl", text);
  return read_metrics(folder / "metrics.jsonl");
}

std::vector<std::string> names(const std::vector<MetricSeries>& all) {
  std::vector<std::string> found;
  for (const MetricSeries& each : all) found.push_back(each.name);
  return found;
}

const char* const kRun =
    "{\"step\":10,\"samples\":320,\"bit_acc\":0.5,\"loss\":2.5,\"seconds\":1}\n"
    "{\"step\":20,\"samples\":640,\"bit_acc\":0.6,\"loss\":1.5,\"seconds\":2}\n"
    "{\"step\":20,\"psnr\":24}\n";

TEST(RunMetrics, TheLossComesFirstThenWhatWasMeasuredThenTheRest) {
  const auto all = read(kRun);
  ASSERT_THAT(names(all), ElementsAre("loss", "psnr", "bit_acc"));
  EXPECT_THAT(all[0].steps, ElementsAre(10, 20));
  EXPECT_THAT(all[0].values, ElementsAre(2.5, 1.5));
  EXPECT_TRUE(all[1].measured);
  EXPECT_FALSE(all[2].measured);
}

TEST(RunMetrics, ALineThatIsNotWholeYetAndWhatIsNoNumberAreLeftOut) {
  const auto all =
      read(std::string(kRun) +
           "{\"step\":30,\"samples\":1,\"loss\":null,\"note\":\"x\",\"gap\":1e301}\n"
           "{\"samples\":1,\"loss\":7}\n{\"step\":-5,\"loss\":7}\n[1]\nloss\n{\"step\":40,\"samples\":2,\"lo");
  ASSERT_THAT(names(all), ElementsAre("loss", "psnr", "bit_acc"));
  EXPECT_THAT(all[0].steps, ElementsAre(10, 20));
  EXPECT_THAT(read(""), IsEmpty());
}

TEST(RunMetrics, AStepThatWasRunAgainCountsOnce) {
  const auto all = read(
      "{\"step\":2,\"samples\":1,\"loss\":5}\n{\"step\":1,\"samples\":1,\"loss\":6}\n"
      "{\"step\":2,\"samples\":1,\"loss\":4}\n");
  EXPECT_THAT(all[0].steps, ElementsAre(1, 2));
  EXPECT_THAT(all[0].values, ElementsAre(6, 4));
}

TEST(RunMetrics, AreChosenByNameAndAMistypedOneNamesTheNearest) {
  const auto all = read(kRun);
  EXPECT_THAT(names(choose_metrics(all, {})), ElementsAre("loss", "psnr"));
  EXPECT_THAT(names(choose_metrics(all, {"bit_acc", "loss"})), ElementsAre("bit_acc", "loss"));
  try {
    choose_metrics(all, {"bit_ac"});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[inspect] this run has no metric 'bit_ac'; did you mean 'bit_acc'?");
  }
}

TEST(RunMetrics, ThinningKeepsMeansAndEnds) {
  const MetricSeries series{.name = "loss", .steps = {1, 2, 3, 4, 5}, .values = {1, 3, 2, 4, 9}};
  const ThinnedSeries two = thinned(series, 2);
  EXPECT_THAT(two.steps, ElementsAre(1.5, 4));
  EXPECT_THAT(two.mean, ElementsAre(2, 5));
  EXPECT_THAT(two.low, ElementsAre(1, 2));
  EXPECT_THAT(two.high, ElementsAre(3, 9));
  EXPECT_EQ(thinned(series, 100).mean, series.values);
}

}  // namespace
}  // namespace tessera::apps
