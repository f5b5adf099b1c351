// Charts of characters: where a curve goes, what its axes say, and that no line is wider than asked.
#include "apps/terminal_chart.h"

#include <gmock/gmock.h>

#include <cmath>

#include "apps/inspect.h"

namespace tessera::apps {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Terminal ascii{};
const Terminal utf8{.unicode = true};

/// Places on the screen: characters of UTF-8, each one wide here.
int places(const std::string& line) {
  return static_cast<int>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

TEST(TerminalChart, DrawsARisingLineInAsciiWithItsAxes) {
  EXPECT_THAT(draw_chart("psnr 4", {0, 10, 20}, {2, 3, 4}, {.columns = 20, .rows = 4, .look = ascii}),
              ElementsAre("psnr 4              ",  //
                          "4 +               **",  //
                          "  |           ****  ",  //
                          "3 +     ******      ",  //
                          "2 +*****            ",  //
                          "  ++-------+-------+",  //
                          "   0      10      20"));
}

TEST(TerminalChart, HoldsTwoByFourDotsInACharacterOfUtf8) {
  const auto lines = draw_chart("t", {0, 1}, {0, 1}, {.columns = 20, .rows = 2, .look = utf8});
  EXPECT_EQ(places(lines[1]), 20);
  EXPECT_THAT(lines[1], AllOf(StartsWith("1.0 ┤"), HasSubstr("⠉")));
  EXPECT_THAT(lines[2], AllOf(StartsWith("0.0 ┤⣀"), HasSubstr("⣀")));
  EXPECT_THAT(lines[3], StartsWith("    └┬"));
}

TEST(TerminalChart, EveryLineTakesExactlyTheColumnsItIsGiven) {
  const std::vector<std::vector<double>> curves = {{1, 1, 1},
                                                   {0, 0, 0},
                                                   {-3e-7, 2e-7, 0},
                                                   {-1e300, 0, 1e300},
                                                   {1e-300, 1, 1e300},
                                                   {5e-324, 1e-320, 1},
                                                   {12345.678, 12345.679, 12345.68}};
  for (const auto& y : curves) {
    for (const std::vector<double>& x : {std::vector<double>{0, 0, 0}, {1, 2, 3}, {7, 1e6, 1e15}}) {
      for (const int columns : {20, 33, 80, 160}) {
        for (const Terminal& look : {ascii, utf8}) {
          const auto lines = draw_chart("a metric with a title", x, y, {.columns = columns, .rows = 5, .look = look});
          ASSERT_EQ(lines.size(), 8u);
          for (const std::string& line : lines) EXPECT_EQ(places(line), columns) << line;
        }
      }
    }
  }
}

TEST(TerminalChart, ValuesFarApartHaveALogarithmicAxisThatSaysSo) {
  const auto lines = draw_chart("rate", {1, 2, 3}, {1e-4, 1e-2, 1}, {.columns = 40, .rows = 5, .look = ascii});
  EXPECT_THAT(lines[0], StartsWith("rate (log) "));
  EXPECT_THAT(lines[1], StartsWith("     1 +"));
  EXPECT_THAT(lines[3], StartsWith("  0.01 +"));
  EXPECT_THAT(lines[3], HasSubstr("*"));  // half way, which it is not on a linear axis
  EXPECT_THAT(draw_chart("rate", {1, 2}, {0, 1}, {.look = ascii})[0], Not(HasSubstr("log")));
}

TEST(TerminalChart, ManyPointsAreTheMeanOfWhatFallsIntoAColumn) {
  std::vector<double> x, y;
  for (int i = 0; i < 100000; ++i) {
    x.push_back(i);
    y.push_back(i % 2 == 0 ? 1 : 3);
  }
  const auto lines = draw_chart("noise", x, y, {.columns = 40, .rows = 5, .look = ascii});
  EXPECT_THAT(lines[3], HasSubstr("****************"));
  EXPECT_THAT(lines[1] + lines[5], Not(HasSubstr("*")));
}

TEST(TerminalChart, ColoursAreThereOnlyWhereTheTerminalHasThem) {
  const auto chart = [](bool colours) {
    return draw_chart("t", {0, 1}, {0, 1}, {.columns = 30, .rows = 2, .look = {.colours = colours}});
  };
  EXPECT_THAT(chart(false), Each(Not(HasSubstr("\033"))));
  EXPECT_THAT(chart(true), Each(AllOf(HasSubstr("\033["), HasSubstr("\033[0m"))));
}

TEST(TerminalChart, TicksAreRoundNumbersWithinTheRange) {
  EXPECT_THAT(round_ticks(0.31, 0.69, 4).labels, ElementsAre("0.4", "0.5", "0.6"));
  EXPECT_THAT(round_ticks(0, 23456, 3).labels, ElementsAre("0", "10k", "20k"));
  EXPECT_THAT(round_ticks(-1, 1, 2).labels, ElementsAre("-1", "0", "1"));
}

TEST(Plot, ChartsStandBesideEachOtherWhereThereIsRoomAndNeverBeyondTheTerminal) {
  const std::vector<MetricSeries> series = {{.name = "loss", .steps = {1, 2}, .values = {3, 2}},
                                            {.name = "psnr", .steps = {1, 2}, .values = {3, 2}},
                                            {.name = "evil\033[2Jname", .steps = {1, 2}, .values = {3, 2}}};
  for (const int columns : {20, 60, 80, 200}) {
    const std::string text = plot_text(series, {.columns = columns});
    std::istringstream lines(text);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(places(line), columns);
    EXPECT_EQ(count, columns < 78 ? 15 + 2 * 10 : 15 + 10) << columns;
    EXPECT_THAT(text, AllOf(StartsWith("loss 2"), Not(HasSubstr("\033"))));
  }
}

}  // namespace
}  // namespace tessera::apps
