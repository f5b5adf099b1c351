// Field lists read strictly from JSON and TOML, and written back whole.
#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

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

TEST(NearestWord, IsTheWordWithTheFewestEdits) {
  EXPECT_EQ(nearest_word("cosin", {"wsd", "cosine", "constant"}), "cosine");
  EXPECT_EQ(nearest_word("anything", {}), "");
}

}  // namespace
}  // namespace tessera
