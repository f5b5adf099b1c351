// A ladder's page contains the forecasts of both methods, shows no NaN, and is safe to open.
#include "plan/ladder/ladder_report.h"

#include <gmock/gmock.h>

#include <regex>

#include "plan/ladder/ladder_figures.h"
#include "plan/ladder/testing.h"
#include "plan/report/assets.h"
#include "plan/report/figure_data.h"

namespace tessera::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const LadderTable& example() {
  static const LadderTable table =
      read_ladder_table(Path(TESSERA_SOURCE_DIR) / "examples/ladder/ladder_checkpoints.csv");
  return table;
}

LadderOptions best(std::vector<std::string> tasks = {"mmlu", "hellaswag"}) {
  return {.tasks = std::move(tasks), .resamples = 12, .threads = 2};
}
LadderOptions paper() { return {.method = LadderMethod::paper, .threads = 2}; }

std::string page_of(const LadderTable& table, const LadderOptions& options) {
  return ladder_report(table, options, forecast_ladder(table, options)).html();
}

/// `page` without its style and plot code, which contain the word NaN.
std::string told(const std::string& page) {
  const size_t head = page.find("<main>"), foot = page.find("<footer>");
  return page.substr(head, foot - head);
}

TEST(LadderReport, ContainsEveryTaskAndTargetForBothMethods) {
  for (const LadderOptions& options : {best(), paper()}) {
    const LadderForecast forecast = forecast_ladder(example(), options);
    const std::string page = told(ladder_report(example(), options, forecast).html());
    for (const LadderTarget& target : forecast.targets) EXPECT_THAT(page, HasSubstr(target.name));
    for (const LadderPrediction& each : forecast.predictions) {
      EXPECT_THAT(page, HasSubstr(fmt::format("<td>{}</td><td class=\"number\">{:.1f}%</td>", each.task,
                                              100 * each.predicted)));
    }
    EXPECT_FALSE(std::regex_search(page, std::regex("\\b(nan|NaN|inf|null|n/a)\\b")));
  }
}

TEST(LadderReport, ShowsIntervalsAndHindcastsOnlyWhereThereAreAny) {
  EXPECT_THAT(page_of(example(), best()), HasSubstr("Hindcasts"));
  const std::string published = page_of(example(), paper());
  EXPECT_THAT(published, Not(HasSubstr("Hindcasts")));
  EXPECT_THAT(published, Not(HasSubstr("% interval")));
  EXPECT_THAT(published, HasSubstr("Step 2"));
  LadderOptions single = paper();
  single.single_step = true;
  EXPECT_THAT(page_of(example(), single), Not(HasSubstr("Step 1")));
}

TEST(LadderReport, FormsBreakIntoLinesSoThatTheirNumbersAreSeen) {
  EXPECT_THAT(page_of(example(), best()), HasSubstr("<table class=\"wrapped\">\n<caption><span>What was tried alone"));
}

TEST(LadderReport, IsDeterministicAndBelowItsSizeLimit) {
  const std::string page = page_of(example(), best());
  EXPECT_EQ(page, page_of(example(), best()));
  EXPECT_LT(page_of(example(), paper()).size(), 1'500'000u);
}

TEST(LadderReport, ShowsHostileNamesAsText) {
  LadderTable table = testing::simulate_ladder(3, {.tasks = 2, .checkpoints = 12}).table;
  table.tasks[0] = "</script><img src=x onerror=alert(1)>";
  table.source = "<b>&";
  for (LadderRun& run : table.runs) run.name += "<i>";
  LadderOptions options = best({});
  options.targets = {{"<u>7B</u>", {7e9, 4e12, 1.7e23}}};
  const std::string page = page_of(table, options);
  for (const char* tag : {"<img", "<b>", "<i>", "<u>"}) EXPECT_THAT(told(page), Not(HasSubstr(tag)));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"));
}

TEST(LadderReport, IsWrittenWithoutMeasuredTargetsAndWithoutHindcasts) {
  LadderTable table = testing::simulate_ladder(5, {.sizes = {190e6, 370e6}, .lengths = {1, 5}, .tasks = 1}).table;
  LadderOptions options = best({});
  options.targets = {{"next", {2e9, 1e11, 1.2e21}}};
  const std::string page = told(page_of(table, options));
  EXPECT_THAT(page, Not(HasSubstr("measured in the end")));
  EXPECT_THAT(page, HasSubstr("too small to be tested on itself"));
  EXPECT_FALSE(std::regex_search(page, std::regex("\\b(nan|NaN|inf|null|n/a)\\b")));
}

TEST(ReportFigure, PlacesNamedValuesAtTheirIndex) {
  Figure figure{.x = {.label = "task", .names = {"mmlu", "piqa"}}, .y = {.label = "accuracy", .percent = true}};
  figure.series = {{.kind = Series::Kind::rings, .name = "7B", .x = {-0.1, 1.2}, .y = {0.5, 0.75}}};
  EXPECT_NO_THROW(check_figure(figure));
  EXPECT_EQ(figure_json(figure)["x"]["names"], Json({"mmlu", "piqa"}));
  EXPECT_THAT(figure_table(figure).rows,
              ElementsAre(ElementsAre("7B", "mmlu", "50.0%"), ElementsAre("7B", "piqa", "75.0%")));
}

}  // namespace
}  // namespace tessera::plan
