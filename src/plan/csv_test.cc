// Tables as spreadsheets, scripts and accidents write them: what is read, and the message for what is not.
#include "plan/csv.h"

#include <gmock/gmock.h>

#include <chrono>

#include "plan/ladder/testing_tables.h"

namespace tessera::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;
using ::testing::SizeIs;
using ::testing::StartsWith;

using Rows = std::vector<std::vector<std::string>>;

/// Every row with its cells; the header is left out.
Rows rows_of(std::string_view text) {
  CsvReader csv(text, "t.csv");
  Rows rows;
  while (csv.next()) {
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < csv.columns().size(); ++i) row.emplace_back(csv.cell(i));
  }
  return rows;
}

/// The error message when all of `text` is read, and the column `number` as numbers if there is one.
std::string said_of(std::string_view text) {
  return refusal([&] {
    CsvReader csv(text, "t.csv");
    const auto column = csv.find("number");
    while (csv.next()) {
      if (column) csv.number(*column);
    }
  });
}

/// The number that a cell of this text is.
std::optional<double> number_in(const std::string& cell) {
  const std::string text = "name,number\nx," + cell + "\n";
  CsvReader csv(text, "t.csv");
  csv.next();
  return csv.number(1);
}

TEST(Csv, AByteOrderMarkIsNotPartOfTheFirstName) {
  EXPECT_THAT(CsvReader("\xEF\xBB\xBFrun,n\n", "t.csv").columns(), ElementsAre("run", "n"));
}

TEST(Csv, EveryMixtureOfLineEndsSeparatesRows) {
  EXPECT_THAT(rows_of("a,b\r\n1,2\r3,4\n5,6"),
              ElementsAre(ElementsAre("1", "2"), ElementsAre("3", "4"), ElementsAre("5", "6")));
}

TEST(Csv, BlankRowsAreSkippedAndCountAsLines) {
  EXPECT_THAT(rows_of("\n\n a ,b\n\n1,2\n   \n,\n3,4\n\n"), ElementsAre(ElementsAre("1", "2"), ElementsAre("3", "4")));
  EXPECT_THAT(said_of("a,b\n\n\n1,2,3\n"), StartsWith("[plan] t.csv line 4 has 3 cells, the header has 2"));
}

TEST(Csv, QuotedCellsHoldCommasLineEndsAndQuotes) {
  EXPECT_THAT(rows_of("a,b\n\"1,5\",\"two\nlines\"\n  \"say \"\"so\"\"\" ,\"\"\n"),
              ElementsAre(ElementsAre("1,5", "two\nlines"), ElementsAre("say \"so\"", "")));
}

TEST(Csv, LineEndsInsideQuotesCountAsLines) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    EXPECT_THAT(said_of("a,b" + end + "\"x" + end + "y\",2" + end + "1" + end),
                StartsWith("[plan] t.csv line 4 has 1 cells"))
        << ::testing::PrintToString(end);
  }
}

TEST(Csv, ARowWithAnotherNumberOfCellsIsReportedWithItsLine) {
  EXPECT_EQ(said_of("a,b,c\n1,2,3\n1,2\n"), "[plan] t.csv line 3 has 2 cells, the header has 3");
  EXPECT_EQ(said_of("a,b\n1,2,\n"), "[plan] t.csv line 2 has 3 cells, the header has 2");
}

/// The column `number` of a whole table.
std::vector<std::optional<double>> numbers_of(std::string_view text) {
  CsvReader csv(text, "t.csv");
  std::vector<std::optional<double>> numbers;
  while (csv.next()) numbers.push_back(csv.number(csv.require("number")));
  return numbers;
}

TEST(Csv, CellsMayBeSeparatedBySemicolonsTabsOrBars) {
  for (const char* text : {"a;b c\n1;\"x;y\"\n;2\n", "a\tb c\r\n1\tx;y\r\n\t2\r\n", "a|b c\r1|x;y\r|2\r"}) {
    EXPECT_THAT(CsvReader(text, "t.csv").columns(), ElementsAre("a", "b c")) << text;
    EXPECT_THAT(rows_of(text), ElementsAre(ElementsAre("1", "x;y"), ElementsAre("", "2"))) << text;
  }
  EXPECT_THAT(CsvReader("a,b;c,d\n", "t.csv").columns(), ElementsAre("a", "b;c", "d"));
  EXPECT_THAT(CsvReader("\"a,b,c\";d\n", "t.csv").columns(), ElementsAre("a,b,c", "d"));
}

TEST(Csv, AFirstLineMayNameTheSeparator) {
  for (const char* text : {"sep=,\na,b\n1,2\n", "\xEF\xBB\xBFsep=;\r\na;b\r\n1;2\r\n", "\"sep=\t\"\na\tb\n1\t2\n",
                           "SEP=|\na|b\n1|2\n", "sep=,,,\na,b\n1,2\n"}) {
    CsvReader csv(text, "t.csv");
    EXPECT_THAT(csv.columns(), ElementsAre("a", "b")) << text;
    ASSERT_TRUE(csv.next());
    EXPECT_EQ(csv.cell(1), "2");
    EXPECT_EQ(csv.line(), 3u);
  }
  EXPECT_THAT(said_of("sep=x\naxb\n"),
              HasSubstr("separates its cells by 'x', want a comma, a semicolon, a tab or a bar"));
}

TEST(Csv, DecimalCommasAreReadWhereCommasSeparateNoCells) {
  EXPECT_THAT(numbers_of("name;number\nx;0,52\ny;-1,5e-3\nz;3,125\nw;7\n"), ElementsAre(0.52, -1.5e-3, 3.125, 7.0));
  EXPECT_THAT(numbers_of("name\tnumber\nx\t3,125\ny\t0,5\n"), ElementsAre(3.125, 0.5)) << "other cells show it";
  EXPECT_THAT(numbers_of("name;number\nx;0.52\n"), ElementsAre(0.52));
  EXPECT_THAT(numbers_of("name;number\nx;0,000117\ny;9.74e-05\nz;3,125\n"), ElementsAre(0.000117, 9.74e-05, 3.125))
      << "a spreadsheet took the second for a text";
}

TEST(Csv, ACommaThatMayCountThousandsIsRefused) {
  EXPECT_THAT(said_of("name\tnumber\nx\t1,234\n"), HasSubstr("got '1,234', which may be a fraction or thousands"));
  EXPECT_THAT(said_of("name;number\nx;0.5\ny;1,234\n"), HasSubstr("got '1,234', which may be a fraction"));
  EXPECT_THAT(said_of("name;number\nx;0,5\ny;1.234\n"), HasSubstr("got '1.234', which may be a fraction"));
  EXPECT_THAT(said_of("name;number\nx;1.234.567,5\n"), HasSubstr("want a number"));
  EXPECT_THAT(said_of("name;number\nx;1,234,567\n"), HasSubstr("want a number"));
}

TEST(Csv, ATrailingCommaAddsACellWithoutAName) {
  EXPECT_THAT(rows_of("a,b,\n1,2,\n"), ElementsAre(ElementsAre("1", "2", "")));
  EXPECT_THAT(rows_of("a,b,,\n1,2,,\n"), ElementsAre(ElementsAre("1", "2", "", "")));
}

TEST(Csv, AnEmptyFileIsReportedAsEmpty) {
  for (const char* text : {"", "\n", "\r\n \n", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(said_of(text), "[plan] t.csv is empty; want a CSV table with a header line");
  }
}

TEST(Csv, TextThatIsNotUtf8IsRefusedWithAHint) {
  const std::string utf16("\xFF\xFEr\0u\0n\0", 8);
  for (const std::string& text : {utf16, std::string("a,b\n1,\0\n", 8)}) {
    EXPECT_THAT(said_of(text), HasSubstr("is not a CSV file: it holds zero bytes"));
  }
  EXPECT_EQ(said_of("a,b\n1,2\ncaf\xE9,2\n"), "[plan] t.csv line 3 is not UTF-8 text; save the table as CSV, UTF-8");
  EXPECT_THAT(rows_of("a,b\ncaf\xC3\xA9,2\n"), ElementsAre(ElementsAre("caf\xC3\xA9", "2")));
}

TEST(Csv, AColumnNamedTwiceIsRefused) { EXPECT_EQ(said_of("a,b, a\n"), "[plan] t.csv names column 'a' twice"); }

TEST(Csv, BrokenQuotesAreReportedWithTheirLine) {
  EXPECT_EQ(said_of("a,b\n1,2\n\"1,2\n3,4\n"), "[plan] t.csv line 3 opens a quote that nothing closes");
  EXPECT_EQ(said_of("a,b\n\"1\"x,2\n"), "[plan] t.csv line 2 goes on after a closing quote with 'x'");
}

TEST(Csv, TextInsteadOfANumberIsReportedWithLineAndColumn) {
  EXPECT_EQ(said_of("name,number\nx,1\ny,many\n"), "[plan] t.csv line 3, column 'number': got 'many', want a number");
  for (const char* cell : {"1.5x", "1 5", "0x10", "5%", "+-5", "+", "--1", "1e", "\"1,5\"", "."}) {
    EXPECT_THAT(said_of(std::string("name,number\nx,") + cell + "\n"), HasSubstr("want a number")) << cell;
  }
}

TEST(Csv, InfinitiesAndNumbersOutOfRangeAreRefused) {
  for (const char* cell : {"inf", "-inf", "Infinity", "-nan"}) {
    EXPECT_THAT(said_of(std::string("name,number\nx,") + cell + "\n"), HasSubstr("want a finite number")) << cell;
  }
  for (const char* cell : {"1e999", "-1e999", "1e-999"}) {
    EXPECT_THAT(said_of(std::string("name,number\nx,") + cell + "\n"), HasSubstr("is out of range")) << cell;
  }
}

TEST(Csv, NumbersAreReadInEveryNotationOfScripts) {
  EXPECT_EQ(number_in("+1.5"), 1.5);
  EXPECT_EQ(number_in("1e9"), 1e9);
  EXPECT_EQ(number_in(" 190354176 "), 190354176);
  EXPECT_EQ(number_in("\"-2.5E-3\""), -2.5e-3);
  for (const char* nothing : {"", "nan", "NaN", "NA", "N/A", "null", "None", "-"}) {
    EXPECT_EQ(number_in(nothing), std::nullopt) << nothing;
  }
}

TEST(Csv, NumbersSurviveTheRoundTripThroughText) {
  for (const double value : {0.1, 1.0 / 3, 1e-300, 6887575552.0, 3945065873408.0, -0.25}) {
    EXPECT_EQ(number_in(csv_number(value)), value);
  }
  EXPECT_EQ(number_in(csv_number(kMissing)), std::nullopt);
}

TEST(Csv, AnEmptyRequiredCellIsReported) {
  CsvReader csv("a,b\n1,\n", "t.csv");
  csv.next();
  EXPECT_EQ(refusal([&] { csv.required_number(1); }), "[plan] t.csv line 2, column 'b': is empty, want a number");
}

TEST(Csv, AMissingColumnNamesTheNearest) {
  const CsvReader csv("run,token,role\n", "t.csv");
  EXPECT_EQ(refusal([&] { csv.require("tokens"); }), "[plan] t.csv has no column 'tokens'; the nearest is 'token'");
}

TEST(Csv, HugeCellsAreReadAndShortenedInMessages) {
  const std::string huge(1 << 22, 'x');
  EXPECT_EQ(rows_of("a,b\n" + huge + ",1\n")[0][0], huge);
  EXPECT_THAT(said_of("name,number\nx," + huge + "\n"), SizeIs(::testing::Lt(120u)));
  EXPECT_THAT(said_of(huge + ",b\n1,2\n"), HasSubstr("has a column whose name is 4194304 bytes long"));
}

TEST(Csv, CellsInMessagesAreOneLineOfWholeCharacters) {
  EXPECT_EQ(said_of("name,number\nx,\"a\nb\x1b[0m\"\n"),
            "[plan] t.csv line 2, column 'number': got 'a?b?[0m', want a number");
  std::string accents = "x";
  for (int i = 0; i < 30; ++i) accents += "\xC3\xA9";
  const std::string said = said_of("name,number\nx," + accents + "\n");
  EXPECT_THAT(said, HasSubstr("\xC3\xA9...'"));
}

TEST(Csv, AMillionRowsAreReadInSeconds) {
  std::string text = "run,number\n";
  for (int i = 0; i < 1'000'000; ++i) text += "\"run\",0.12345\n";
  const auto start = std::chrono::steady_clock::now();
  CsvReader csv(text, "t.csv");
  size_t rows = 0;
  while (csv.next()) rows += csv.number(1) == 0.12345;
  EXPECT_EQ(rows, 1'000'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // far above what a busy machine needs
}

}  // namespace
}  // namespace tessera::plan
