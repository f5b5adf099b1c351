// Field lists read strictly from JSON and TOML, and written back whole.
#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/rng.h"

namespace tessera {
namespace {

struct Inner {
  double rate = 0.5;
  std::vector<int64_t> sizes;
  bool operator==(const Inner&) const = default;
};
template <class V> void fields(V& v, Inner& i) {
  v("rate", i.rate, "a share");
  v("sizes", i.sizes, "some sizes");
}

struct Outer {
  std::string name = "x";
  bool fast = false;
  std::optional<int64_t> limit;
  Inner inner;
  bool operator==(const Outer&) const = default;
};
template <class V> void fields(V& v, Outer& o) {
  v("name", o.name, "a name");
  v("fast", o.fast, "a flag");
  v("limit", o.limit, "a limit");
  v("inner", o.inner, "more");
}

/// One field of a type.
template <class T> struct One { T value{}; };
template <class V, class T> void fields(V& v, One<T>& o) { v("value", o.value, "a number"); }

/// What is said of the number of this text in a field of type T, nested in a list so that it has a path.
template <class T> std::string said_of(const std::string& number, bool as_toml) {
  std::vector<One<T>> list;
  try {
    const Json tree = as_toml ? parse_toml("list = [{value = " + number + "}]", "f")["list"]
                              : parse_json("[{\"value\": " + number + "}]", "f");
    from_json(tree, list, "f", "list");
    return fmt::format("{}", list.at(0).value);
  } catch (const UserError& error) {
    return error.what();
  }
}

template <class T> class WholeNumbers : public ::testing::Test {};
using Whole = ::testing::Types<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;
TYPED_TEST_SUITE(WholeNumbers, Whole);

std::string error_of(const std::string& toml) {
  Outer outer;
  try {
    from_json(parse_toml(toml, "test.toml"), outer, "test.toml");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Json, AStructSurvivesTheRoundTripThroughJsonAndToml) {
  const Outer outer{.name = "a \"quoted\" name", .fast = true, .limit = 7, .inner = {.rate = 1e-3, .sizes = {1, 2, 4}}};
  Outer from_text, from_table;
  from_json(parse_json(to_json(outer).dump(), "test"), from_text, "test");
  from_json(parse_toml(to_toml(to_json(outer)), "test"), from_table, "test");
  EXPECT_EQ(from_text, outer);
  EXPECT_EQ(from_table, outer);
}

TEST(Json, AbsentFieldsKeepTheirValues) {
  Outer outer;
  outer.inner.rate = 3;
  from_json(parse_toml("fast = true", "test"), outer, "test");
  EXPECT_TRUE(outer.fast);
  EXPECT_EQ(outer.inner.rate, 3);
}

TEST(Json, ErrorsNameFilePositionAndTheNearestKey) {
  EXPECT_EQ(error_of("[inner]\nrat = 1\n"), "[config] test.toml: unknown key 'inner.rat'; did you mean 'rate'?");
  EXPECT_THAT(error_of("fast = 3"), ::testing::HasSubstr("'fast' is 3, want true or false"));
  EXPECT_THAT(error_of("[inner]\nsizes = [1, \"b\"]"),
              ::testing::HasSubstr("'inner.sizes[1]' is \"b\", want a whole number"));
  EXPECT_THAT(error_of("name = "), ::testing::HasSubstr("line 1"));
}

TYPED_TEST(WholeNumbers, AreReadExactlyOrRefusedWithTheirPathAndRange) {
  using Limits = std::numeric_limits<TypeParam>;
  using Wide = __int128;  // holds every number tried, so that what fits is known
  std::vector<Wide> tried = {0, 1, -1};
  for (int bits = 7; bits <= 65; ++bits) {
    for (int near = -2; near <= 2; ++near) {
      const Wide power = Wide{1} << bits;
      tried.push_back(power + near);
      tried.push_back(-power + near);
    }
  }
  Rng rng(5);
  for (int i = 0; i < 2000; ++i) {
    const Wide size = Wide{rng.next()} >> rng.below(64);
    tried.push_back(rng.below(2) == 0 ? size : -size);
  }
  for (const Wide number : tried) {
    const std::string text = fmt::format("{}", number);
    const bool fits = number >= Wide{Limits::min()} && number <= Wide{Limits::max()};
    const std::string range = fmt::format("from {} to {}", Limits::min(), Limits::max());
    for (const bool as_toml : {false, true}) {
      const std::string said = said_of<TypeParam>(text, as_toml);
      const bool beyond_toml =
          as_toml && (number > std::numeric_limits<int64_t>::max() || number < std::numeric_limits<int64_t>::min());
      if (beyond_toml) {
        EXPECT_THAT(said, ::testing::HasSubstr("want a whole number from -9223372036854775808 to")) << text;
      } else if (fits) {
        EXPECT_EQ(said, text);
      } else {
        EXPECT_THAT(said, ::testing::HasSubstr("'list[0].value' is ")) << text;
        EXPECT_THAT(said, ::testing::HasSubstr(range)) << text;
      }
    }
  }
}

TEST(Json, RealNumbersThatAFieldCannotHoldAreRefusedWithTheirPlace) {
  EXPECT_EQ(said_of<float>("1e39", false),
            "[config] f: 'list[0].value' is 1e+39, want a number from -3.403e+38 to 3.403e+38");
  EXPECT_EQ(said_of<float>("-1e39", true),
            "[config] f: 'list[0].value' is -1e+39, want a number from -3.403e+38 to 3.403e+38");
  EXPECT_EQ(said_of<float>("3.4e38", false), "3.4e+38");
  EXPECT_EQ(said_of<double>("1e400", false),
            "[json] f: 'value' is '1e400', want a number from -1.798e+308 to 1.798e+308");
  EXPECT_THAT(said_of<double>("1e400", true), ::testing::EndsWith("want a number from -1.798e+308 to 1.798e+308"));
  for (const char* word : {"inf", "-inf", "nan"})
    EXPECT_THAT(said_of<double>(word, true), ::testing::HasSubstr(fmt::format("'list[0].value' is {}, want", word)));
  try {
    parse_json(R"({"a": {"x": 1}, "b": [{"c": 1}, {"d": [2, -1e400]}]})", "f");
    ADD_FAILURE();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'b.d' is '-1e400'"));
  }
}

TEST(Json, ANumberThatTomlCannotHoldIsRefusedWhenItIsWritten) {
  const Json tree = {{"train", {{"seeds", {1, std::numeric_limits<uint64_t>::max()}}}}};
  try {
    to_toml(tree);
    ADD_FAILURE();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("'train.seeds[1]' is 18446744073709551615"));
  }
}

TEST(Json, NumbersThatPythonWritesAndJsonLacksAreNamed) {
  const auto refusal = [](std::string_view text) -> std::string {
    try {
      parse_json(text, "a.json");
    } catch (const UserError& error) {
      return error.what();
    }
    return "read";
  };
  EXPECT_EQ(refusal("{\"a\": NaN}"),
            "[json] a.json: not valid JSON: NaN is no number that JSON has, want a number or null");
  EXPECT_EQ(refusal("{\n\"a\": [1, -Infinity]}"),
            "[json] a.json line 2: not valid JSON: -Infinity is no number that JSON has, want a number or null");
  EXPECT_EQ(refusal("Infinity"),
            "[json] a.json: not valid JSON: Infinity is no number that JSON has, want a number or null");
  EXPECT_EQ(refusal("{\"a\": NULL}"), "[json] a.json: not valid JSON");
}

TEST(NearestWord, IsTheWordWithTheFewestEdits) {
  EXPECT_EQ(nearest_word("cosin", {"wsd", "cosine", "constant"}), "cosine");
  EXPECT_EQ(nearest_word("anything", {}), "");
}

}  // namespace
}  // namespace tessera
