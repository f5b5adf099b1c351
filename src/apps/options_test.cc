// Options from field lists: every kind of field, the help page, and the errors of a mistyped command line.
#include "apps/options.h"

#include <gmock/gmock.h>

namespace tessera::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct PaintOptions {
  std::vector<std::string> prompts;
  std::filesystem::path model;
  std::optional<double> top_p;
  std::vector<double> guidance = {3, 4};
  int64_t count = 1;
  bool save_scales = false;
  bool smooth = true;
  std::vector<std::string> styles = {"plain", "bold, wide"};
  int64_t layers = -1;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "paint",
            .summary = "a picture",
            .positionals = {"prompts"},
            .required = {"prompts", "model"},
            .short_names = {{"model", 'm'}},
            .examples = {"tessera paint -m DIR \"red apple\""}};
  }
};
template <class V> void fields(V& v, PaintOptions& o) {
  v("prompts", o.prompts, "what to paint");
  v("model", o.model, "model directory");
  v("top_p", o.top_p, "nucleus");
  v("guidance", o.guidance, "strength per scale");
  v("count", o.count, "pictures per prompt");
  v("save_scales", o.save_scales, "every scale");
  v("smooth", o.smooth, "soft edges");
  v("styles", o.styles, "brushes");
  v("layers", o.layers, "coats of paint (default: as many as the model wants)");
  v("output", o.output, "Output");
}

PaintOptions parsed(const Arguments& words) {
  PaintOptions options;
  EXPECT_TRUE(parse_options(words, options));
  return options;
}

std::string complaint(const Arguments& words) {
  PaintOptions options;
  try {
    parse_options(words, options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "none";
}

TEST(Options, EveryKindOfFieldIsFilledFromItsFlag) {
  const auto o = parsed({"red apple", "cat", "-m", "dir", "--top-p", "0.9", "--guidance", "1,2.5", "--count=7",
                         "--save-scales", "--no-smooth", "--json"});
  EXPECT_THAT(o.prompts, ElementsAre("red apple", "cat"));
  EXPECT_EQ(o.model, "dir");
  EXPECT_EQ(o.top_p, 0.9);
  EXPECT_THAT(o.guidance, ElementsAre(1, 2.5));
  EXPECT_EQ(o.count, 7);
  EXPECT_TRUE(o.save_scales);
  EXPECT_FALSE(o.smooth);
  EXPECT_TRUE(o.output.json);
}

TEST(Options, FieldsThatAreNotNamedKeepTheirDefaults) {
  const auto o = parsed({"cat", "--model", "dir"});
  EXPECT_EQ(o.top_p, std::nullopt);
  EXPECT_THAT(o.guidance, ElementsAre(3, 4));
  EXPECT_EQ(o.count, 1);
  EXPECT_FALSE(o.save_scales);
  EXPECT_TRUE(o.smooth);
}

TEST(Options, ListsAreAlsoGivenByRepeatingTheFlagAndFlagsMayComeFirst) {
  const auto o = parsed({"--guidance", "1", "--guidance", "2", "-m", "dir", "cat"});
  EXPECT_THAT(o.guidance, ElementsAre(1, 2));
  EXPECT_THAT(o.prompts, ElementsAre("cat"));
}

TEST(Options, TextsKeepTheirCommasBlanksAndLeadingDashesAfterTwoDashes) {
  const auto o = parsed({"-m", "dir", "--", "a, b", "--json"});
  EXPECT_THAT(o.prompts, ElementsAre("a, b", "--json"));
  EXPECT_FALSE(o.output.json);
}

TEST(Options, NegativeNumbersAreValuesNotFlags) { EXPECT_EQ(parsed({"cat", "-m", "d", "--count", "-3"}).count, -3); }

TEST(Options, AnUnknownFlagNamesTheNearestOne) {
  EXPECT_THAT(complaint({"cat", "-m", "d", "--cuont", "3"}),
              HasSubstr("unknown option '--cuont'; did you mean '--count'?"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "--no-smoth"}), HasSubstr("did you mean '--no-smooth'?"));
}

TEST(Options, AValueOfTheWrongKindIsReportedWithFlagAndExpectation) {
  EXPECT_THAT(complaint({"cat", "-m", "d", "--count", "3.5"}), HasSubstr("--count is '3.5', want a whole number"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "--top-p", "abc"}), HasSubstr("--top-p is 'abc', want a number"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "--count", ""}), HasSubstr("want a whole number"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "--count", "99999999999999999999"}),
              HasSubstr("want a whole number from -9223372036854775808 to 9223372036854775807"));
}

template <class T> struct One {
  T value{};
  static CommandLine command_line() { return {.verb = "one", .summary = "a number"}; }
};
template <class V, class T> void fields(V& v, One<T>& o) { v("value", o.value, "a number"); }

template <class T> class WholeNumberOptions : public ::testing::Test {};
using Whole = ::testing::Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(WholeNumberOptions, Whole);

TYPED_TEST(WholeNumberOptions, AreReadExactlyOrRefusedWithFlagAndRange) {
  using Limits = std::numeric_limits<TypeParam>;
  using Wide = __int128;
  for (int bits = 7; bits <= 66; ++bits) {
    for (int near = -2; near <= 2; ++near) {
      for (const Wide number : {(Wide{1} << bits) + near, -(Wide{1} << bits) + near}) {
        const std::string text = fmt::format("{}", number);
        std::string said;
        try {
          One<TypeParam> one;
          parse_options({"--value=" + text}, one);
          said = fmt::format("{}", one.value);
        } catch (const UserError& error) {
          said = error.what();
        }
        const bool fits = number >= Wide{Limits::min()} && number <= Wide{Limits::max()};
        const bool negative = number < 0 && !Limits::is_signed;
        const std::string want = negative ? "a whole number >= 0"
                                          : fmt::format("a whole number from {} to {}", Limits::min(), Limits::max());
        EXPECT_EQ(said, fits ? text : fmt::format("[command line] --value is '{}', want {}", text, want));
      }
    }
  }
}

TEST(Options, RealNumbersThatAFieldCannotHoldNameFlagAndRange) {
  for (const char* text : {"1e400", "-1e400", "inf", "nan"}) {
    EXPECT_EQ(complaint({"cat", "-m", "d", "--top-p", text}),
              fmt::format("[command line] --top-p is '{}', want a number from -1.798e+308 to 1.798e+308", text));
  }
}

TEST(Options, MissingArgumentsAreNamed) {
  EXPECT_THAT(complaint({"-m", "d"}), HasSubstr("PROMPTS is missing (what to paint)"));
  EXPECT_THAT(complaint({"cat"}), HasSubstr("--model is missing (model directory)"));
  EXPECT_THAT(complaint({"cat", "-m"}), HasSubstr("[command line] --model wants a value; see tessera paint --help"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "--guidance"}), HasSubstr("--guidance wants a value;"));
}

TEST(Options, TextsMayContainCommasSoListsRepeatTheOption) {
  EXPECT_THAT(parsed({"cat", "-m", "d", "--styles", "bold, wide", "--styles", "thin"}).styles,
              ElementsAre("bold, wide", "thin"));
}

TEST(Options, PathsMayContainCommasToo) {
  std::vector<std::filesystem::path> data;
  detail::Option option{.field = "data"};
  detail::OptionCollector::describe(option, data);
  detail::parse({.verb = "read", .summary = "files"}, {option}, {"--data", "a, b.txt", "--data", "c"});
  EXPECT_THAT(data, ElementsAre("a, b.txt", "c"));
}

TEST(Options, AFurtherValueAfterABlankIsShownAsItIsWritten) {
  // PROMPTS takes words that follow each other, so that another verb's line has the lists
  std::vector<int64_t> lengths;
  std::vector<std::filesystem::path> data;
  detail::Option numbers{.field = "new_tokens"}, paths{.field = "data"};
  detail::OptionCollector::describe(numbers, lengths);
  detail::OptionCollector::describe(paths, data);
  const auto said = [&](const Arguments& words) -> std::string {
    try {
      detail::parse({.verb = "measure", .summary = "it", .short_names = {{"data", 'd'}}}, {numbers, paths}, words);
    } catch (const UserError& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_THAT(said({"--new-tokens", "96", "224"}), HasSubstr("unexpected '224'; want --new-tokens 96,224; see"));
  EXPECT_THAT(said({"-d", "A", "B"}), HasSubstr("unexpected 'B'; want --data A --data B; see"));
  EXPECT_THAT(said({"A"}), HasSubstr("unexpected 'A'; see tessera measure --help"));
  EXPECT_EQ(said({"--new-tokens", "96,224", "--data", "A", "--data", "B"}), "none");
}

TEST(Options, AFlagGivenTwiceIsRefused) {
  EXPECT_THAT(complaint({"cat", "-m", "d", "--count", "1", "--count", "2"}),
              HasSubstr("[command line] --count is given twice, want it once; see tessera paint --help"));
  EXPECT_THAT(complaint({"cat", "-m", "d", "-m", "e", "--model", "f"}), HasSubstr("--model is given 3 times"));
}

TEST(Options, EveryErrorIsOneLine) {
  for (const Arguments& words :
       {Arguments{"cat"}, {"-m"}, {"cat", "-m", "d", "--x"}, {"cat", "-m", "d", "--count", "a"}}) {
    EXPECT_THAT(complaint(words), Not(HasSubstr("\n")));
  }
}

TEST(Options, TheHelpPageShowsEveryFieldWithItsDefault) {
  const std::string page = help_of<PaintOptions>();
  EXPECT_THAT(page, HasSubstr("Usage: tessera paint [options] PROMPTS...\n"));
  EXPECT_THAT(page, HasSubstr("-m, --model PATH"));
  EXPECT_THAT(page, HasSubstr("model directory (required)"));
  EXPECT_THAT(page, HasSubstr("--guidance X,..."));
  EXPECT_THAT(page, HasSubstr("strength per scale (default 3,4)"));
  EXPECT_THAT(page, HasSubstr("--[no-]smooth"));
  EXPECT_THAT(page, HasSubstr("brushes; repeat it for several (default plain,bold, wide)"));
  EXPECT_THAT(page, HasSubstr("coats of paint (default: as many as the model wants)\n"));
  EXPECT_THAT(page, Not(HasSubstr("what to paint; repeat"))) << "words without an option simply follow each other";
  EXPECT_THAT(page, HasSubstr("\nOutput\n"));
  EXPECT_THAT(page, HasSubstr("tessera paint -m DIR \"red apple\""));
}

}  // namespace
}  // namespace tessera::apps
