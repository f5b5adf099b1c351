// A report is safe to open with any texts, complete in itself, and the same bytes each time.
#include "plan/report/report.h"

#include <gmock/gmock.h>

#include <limits>
#include <regex>

#include "core/error.h"
#include "core/json.h"
#include "plan/quantity.h"
#include "plan/report/assets.h"
#include "plan/report/figure_data.h"
#include "tests/support/scratch.h"

namespace tessera::plan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Kind = Series::Kind;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinite = std::numeric_limits<double>::infinity();
const std::string kHostile = "</script><img src=x onerror=alert(1)> & \"it's\" <!-- \xff";

Figure loss_figure() {
  return {.title = "loss",
          .x = {.label = "tokens", .scale = Scale::log},
          .y = {.label = "nats"},
          .series = {{.name = "190M", .x = {1e9, 2e9}, .y = {3.5, 3.25}}}};
}

/// A page with every kind of element, all of whose texts are `text`.
std::string page_of(const std::string& text) {
  Report report(text, text);
  report.section(text);
  report.paragraph(text);
  report.note(text);
  report.facts({{text, text}});
  Figure figure = loss_figure();
  figure.title = figure.caption = figure.x.label = figure.y.label = figure.series[0].name = text;
  figure.series[0].tips = {text, text};
  figure.rules = {{.at = 3, .label = text}};
  report.figures({figure, figure});
  report.table({.header = {text}, .rows = {{text}}, .caption = text});
  return report.html();
}

/// `page` less the insides of its <style> and <script> elements.
std::string markup(std::string page) {
  for (const std::string tag : {"style", "script"}) {
    for (size_t begin = page.find("<" + tag); begin != std::string::npos; begin = page.find("<" + tag, begin + 1)) {
      const size_t inside = page.find('>', begin) + 1;
      page.erase(inside, page.find("</" + tag + ">", inside) - inside);
    }
  }
  return page;
}

/// The contents of the page's JSON scripts.
std::vector<std::string> embedded_json(const std::string& page) {
  std::vector<std::string> found;
  const std::string open = "<script type=\"application/json\">";
  for (size_t at = page.find(open); at != std::string::npos; at = page.find(open, at + 1)) {
    const size_t begin = at + open.size();
    found.push_back(page.substr(begin, page.find("</script", begin) - begin));
  }
  return found;
}

size_t count_of(const std::string& text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(Report, ShowsHostileTextAsText) {
  const std::string page = markup(page_of(kHostile));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("<!-- ")));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; &amp; &quot;it&#39;s&quot; &lt;!-- "));
  const std::string plain = markup(page_of("plain"));
  for (const char* tag : {"<script", "</script", "<td", "<p", "<figure"})
    EXPECT_EQ(count_of(page, tag), count_of(plain, tag)) << tag;
}

TEST(Report, EmbedsJsonThatCannotCloseItsScript) {
  if (plot_scripts().empty()) GTEST_SKIP() << "built without plots";
  const auto found = embedded_json(page_of(kHostile));
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_THAT(found[0], Not(HasSubstr("<")));
  const Json figure = parse_json(found[0], "page");
  EXPECT_THAT(figure["title"].get<std::string>(), HasSubstr("</script><img src=x"));
  EXPECT_EQ(figure["series"][0]["x"], Json({1e9, 2e9}));
}

TEST(Report, LoadsNothingFromTheNetwork) {
  const std::string page = page_of("plain");
  const std::string rest = markup(page);
  const std::regex load(R"re(\b(src|href|srcset|action|data)\s*=(?!"data:,")|url\(|@import)re");
  EXPECT_FALSE(std::regex_search(rest, load));
  EXPECT_THAT(std::string(page_style()), AllOf(Not(HasSubstr("url(")), Not(HasSubstr("@import"))));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  const std::regex address(R"re(https?://(?!www\.w3\.org/))re");
  EXPECT_EQ(std::distance(std::cregex_iterator(page.data(), page.data() + page.size(), address), {}), 0);
}

TEST(Report, IsACompleteHtmlPage) {
  const std::string page = page_of("plain");
  for (const char* part :
       {"<html lang=\"en\">", "<title>plain</title>", "name=\"viewport\"", "<meta charset=\"utf-8\">",
        "class=\"scroll\"", "made by tessera plan", "prefers-color-scheme: dark", "@page"})
    EXPECT_THAT(page, HasSubstr(part));
}

TEST(Report, IsTheSameBytesEachTime) { EXPECT_EQ(page_of("plain"), page_of("plain")); }

TEST(Report, CarriesNoPlotCodeWithoutAFigure) {
  Report report("title", "");
  report.paragraph("text");
  EXPECT_THAT(report.html(), Not(HasSubstr("<script")));
}

TEST(Report, GivesEachFiguresDataAsATable) {
  EXPECT_THAT(markup(page_of("plain")), HasSubstr("<td class=\"number\">1B</td><td class=\"number\">3.5</td>"));
}

TEST(Report, RefusesMalformedTablesAndFigures) {
  Report report("title", "");
  Figure figure = loss_figure();
  figure.series[0].y.pop_back();
  const auto message = [&](auto&& call) {
    try {
      call();
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([&] { report.figures({figure}); }),
            "[plan] figure 'loss', series '190M': lists differ in length; got 1 y for 2 x, want 2");
  figure = loss_figure();
  figure.x.low = 0;
  EXPECT_EQ(message([&] { report.figures({figure}); }),
            "[plan] figure 'loss': x axis cannot end there; got 0, want a positive number");
  figure = loss_figure();
  figure.y.low = 2;
  figure.y.high = 2;
  EXPECT_EQ(message([&] { report.figures({figure}); }),
            "[plan] figure 'loss': y axis has no room; got 2 to 2, want low < high");
  EXPECT_EQ(message([&] {
              report.table({.header = {"a", "b"}, .rows = {{"1"}}, .caption = "tasks"});
            }),
            "[plan] table 'tasks': a row does not fit; got 1 cells, want 2");
}

TEST(Report, IsWrittenAtomically) {
  const tessera::testing::ScratchFolder scratch;
  Report report("title", "subtitle");
  report.figures({loss_figure()});
  write_report(report, scratch / "report.html");
  EXPECT_EQ(read_file(scratch / "report.html"), report.html());
}

TEST(ReportFigure, OmitsPointsThatItsAxesCannotShow) {
  Figure figure = loss_figure();
  figure.y.scale = Scale::log;
  figure.series = {
      {.x = {kNan, 1e9, 2e9, 0, kInfinite, 5e9}, .y = {1, kNan, 2, 3, 4, -1}, .tips = {"a", "b", "c", "d", "e", "f"}},
      {.kind = Kind::band, .x = {1, 2, 3}, .low = {1, 0, 1}, .high = {2, 2, kInfinite}},
      {.kind = Kind::interval, .x = {1, 2}, .y = {2, 2}, .low = {1, kNan}, .high = {3, 3}}};
  figure.rules = {{.vertical = true, .at = 0}, {.at = kNan}, {.at = 2, .label = "kept"}};
  const Json json = figure_json(figure);
  EXPECT_EQ(json["series"][0]["x"], Json({2e9}));
  EXPECT_EQ(json["series"][0]["tips"], Json({"c"}));
  EXPECT_EQ(json["series"][1]["high"], Json({2.0}));
  EXPECT_EQ(json["series"][2]["x"], Json({1.0}));
  EXPECT_THAT(json["rules"], SizeIs(1));
  EXPECT_THAT(json.dump(), Not(HasSubstr("null")));  // what nlohmann makes of NaN
}

TEST(ReportFigure, GivesItsTableInTheUnitsOfItsAxes) {
  Figure figure{.x = {.label = "release", .scale = Scale::time}, .y = {.label = "accuracy", .percent = true}};
  figure.series = {{.name = "models", .x = {19845}, .y = {0.615}},
                   {.kind = Kind::interval, .name = "ours", .x = {19846.5}, .y = {0.7}, .low = {0.65}, .high = {0.75}}};
  figure.rules = {{.at = 0.25, .label = "chance"}};
  const Table table = figure_table(figure);
  EXPECT_THAT(table.header, ElementsAre("series", "release", "accuracy", "low", "high"));
  EXPECT_THAT(table.rows, ElementsAre(ElementsAre("models", "2024-05-02", "61.5%", "", ""),
                                      ElementsAre("ours", "2024-05-03", "70.0%", "65.0%", "75.0%"),
                                      ElementsAre("chance", "", "25.0%", "", "")));
}

TEST(ReportFigure, ThinsCurvesInItsTableAndKeepsTheirEnds) {
  Figure figure;
  Series line{.kind = Kind::line, .name = "fit"};
  for (int i = 0; i <= 1000; ++i) {
    line.x.push_back(i);
    line.y.push_back(i);
  }
  figure.series = {
      line, {.kind = Kind::line, .name = "empty"}, {.kind = Kind::line, .name = "dot", .x = {7}, .y = {7}}};
  const Table table = figure_table(figure);
  ASSERT_THAT(table.rows, SizeIs(13));
  EXPECT_EQ(table.rows[0][1], "0");
  EXPECT_EQ(table.rows[11][1], "1k");
  EXPECT_EQ(table.rows[12][1], "7");
}

TEST(ReportNumber, IsWrittenShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(3.14159), "3.142");
  EXPECT_EQ(short_number(-0.25), "-0.25");
  EXPECT_EQ(short_number(2048), "2.048k");
  EXPECT_EQ(short_number(190e6), "190M");
  EXPECT_EQ(short_number(999999), "1M");
  EXPECT_EQ(short_number(5e12), "5T");
  EXPECT_EQ(short_number(6.1e21), "6.1e21");
  EXPECT_EQ(short_number(1.25e-5), "1.25e-5");
  EXPECT_EQ(short_number(kNan), "n/a");
}

}  // namespace
}  // namespace tessera::plan
