// What grammars let through, keyword by keyword, and what is refused.
#include <chrono>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "generate/json/machine.h"
#include "generate/json/pattern.h"
#include "generate/json/testing.h"

namespace tessera::generate {
namespace {

struct Case {
  const char* schema;
  std::vector<const char*> accepted, rejected;
};

void check_cases(const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    const auto grammar = JsonGrammar::of_schema(parse_json(each.schema, "schema"));
    for (const char* text : each.accepted) EXPECT_TRUE(testing::accepts(grammar, text)) << each.schema << "\n" << text;
    for (const char* text : each.rejected) EXPECT_FALSE(testing::accepts(grammar, text)) << each.schema << "\n" << text;
  }
}

std::string refusal(const std::string& schema) {
  try {
    JsonGrammar::of_schema(parse_json(schema, "schema"));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(JsonSchema, TypesAndWhiteSpace) {
  check_cases({
      {"{}",
       {"1", "\"a\"", "[]", "{}", "null", "[1, 2]", "{\"a\": [true]}", "{\n  \"a\": 1\n}", "[\n]"},
       {"", " 1", "1 ", "[1,]", "{,}", "{\"a\":  1}", "nul"}},
      {R"({"type":"integer"})", {"0", "-7", "123"}, {"01", "1.0", "+1", "--1", "-", "1e3"}},
      {R"({"type":"number"})", {"0.5", "-1.25e-3", "1E9", "12"}, {".5", "1.", "1e", "00", "1e+"}},
      {R"({"type":["null","boolean"]})", {"null", "true", "false"}, {"0", "\"null\"", "truefalse"}},
      {R"({"type":"string"})",
       {"\"\"", "\"\xC3\xA4\"", "\"\\u00e9\\n\\\"\"", "\"\xF0\x9F\x98\x80\""},
       {"\"\n\"", "\"\\x\"", "\"\xC3\"", "\"\\ud800\"", "\"\xED\xA0\x80\"", "\"\xC0\x80\"", "\"a"}},
  });
}

TEST(JsonSchema, BoundsOfNumbersAreExact) {
  check_cases({
      {R"({"type":"integer","minimum":-3,"maximum":120})",
       {"-3", "0", "-0", "99", "120"},
       {"-4", "121", "1000", "-10"}},
      {R"({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10})", {"1", "9"}, {"0", "10", "-1", "-0"}},
      {R"({"type":"number","minimum":0.5,"exclusiveMaximum":1.25})",
       {"0.5", "0.50", "1", "1.2499", "1.0"},
       {"0.4999", "1.25", "1.250", "2", "0", "5e-1", "-1"}},
      {R"({"type":"number","maximum":-0.125})", {"-0.125", "-1", "-0.2"}, {"-0.1249", "0", "1", "-0.1"}},
      {R"({"type":"integer","multipleOf":7,"minimum":10})", {"14", "21", "700"}, {"7", "0", "15", "-14"}},
      {R"({"type":"integer","minimum":1e3,"maximum":1000000000000000000000})",
       {"1000", "999999999999999999999"},
       {"999", "1000000000000000000001"}},
  });
  EXPECT_NE(refusal(R"({"type":"integer","minimum":3,"maximum":2})"), "");
  EXPECT_NE(refusal(R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4})"), "");
}

TEST(JsonSchema, LengthsCountCharactersNotBytes) {
  check_cases({{R"({"type":"string","minLength":2,"maxLength":3})",
                {"\"ab\"", "\"\xC3\xA4\xC3\xA4\xC3\xA4\"", "\"\xF0\x9F\x98\x80x\"", "\"\\n\\u0041\""},
                {"\"a\"", "\"abcd\"", "\"\xC3\xA4\"", "\"\""}}});
}

TEST(JsonSchema, PatternsMatchAnywhereUnlessAnchored) {
  check_cases({
      {R"({"type":"string","pattern":"b+"})",
       {"\"abc\"", "\"b\"",
        "\"\xC3\xA4"
        "bb\""},
       {"\"\"", "\"ac\""}},
      {R"({"type":"string","pattern":"^(foo|ba[rz])$"})",
       {"\"foo\"", "\"bar\"", "\"baz\""},
       {"\"xfoo\"", "\"ba\"", "\"foo \""}},
      {R"({"type":"string","pattern":"^a{2,3}$"})", {"\"aa\"", "\"aaa\""}, {"\"a\"", "\"aaaa\""}},
      {R"({"type":"string","pattern":"^a|b$"})", {"\"ax\"", "\"xb\""}, {"\"ba\"", "\"xa\""}},
      {R"({"type":"string","pattern":"^[^a-z\"]\\d$"})",
       {"\"A1\"",
        "\"\xC3\xA4"
        "1\"",
        "\"\\n1\""},
       {"\"a1\"", "\"\\\"1\"", "\"A\""}},
      {R"({"type":"string","pattern":"^\\\\\\.\\/$"})", {"\"\\\\./\""}, {"\"./\""}},
  });
}

TEST(JsonSchema, PatternsAndLengthsHoldTogether) {
  check_cases({{R"({"type":"string","pattern":"^(ab)+$","minLength":3,"maxLength":5})",
                {"\"abab\""},
                {"\"ab\"", "\"ababab\""}}});
  EXPECT_NE(refusal(R"({"type":"string","pattern":"^aaa$","maxLength":2})"), "");
}

TEST(JsonSchema, Formats) {
  check_cases({
      {R"({"type":"string","format":"date"})",
       {"\"2024-02-28\"", "\"1999-12-31\""},
       {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\""}},
      {R"({"format":"date-time"})",
       {"\"2024-02-28T23:59:59Z\"", "\"2024-01-01T00:00:00.5+02:00\""},
       {"\"2024-02-28\"", "\"2024-02-28T25:00:00Z\""}},
      {R"({"format":"uuid"})", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
      {R"({"format":"ipv4"})", {"\"127.0.0.1\"", "\"255.249.9.0\""}, {"\"256.1.1.1\"", "\"01.1.1.1\""}},
      {R"({"format":"email"})", {"\"a.b@example.org\""}, {"\"a@b\"", "\"@example.org\""}},
  });
  EXPECT_NE(refusal(R"({"format":"int32"})").find("'format' at #"), std::string::npos);
}

TEST(JsonSchema, ObjectsInTheOrderOfTheSchema) {
  check_cases({
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{}},"required":["b"],"additionalProperties":false})",
       {R"({"a":1,"b":"x"})", R"({"b": "x"})", R"({"b":"","c":null})"},
       {R"({"a":1})", "{}", R"({"b":1})", R"({"b":"","d":1})", R"({"b":"","b":""})"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
       {"{}", R"({"a":1})", R"({"x":true})", R"({"a":2,"ab":false,"":true})"},
       {R"({"a":true})", R"({"x":1})", R"({"\u0061":true})", R"({"x":true,"a":true})"}},
      {R"({"type":"object","required":["n"],"maxProperties":2})",
       {R"({"n":1})", R"({"n":1,"m":2})"},
       {"{}", R"({"n":1,"m":2,"o":3})"}},
  });
  EXPECT_NE(refusal(R"({"type":"object","required":["a","b"],"maxProperties":1})"), "");
}

TEST(JsonSchema, ObjectsThatListTheirPropertiesHaveNoOthersUnlessTheySaySo) {
  check_cases({
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{}}})",
       {"{}", R"({"a":1})", R"({"a":1,"b":null})"},
       {R"({"c":1})", R"({"a":1,"c":1})", R"({"a":1,"a":2})"}},
      {R"({"type":"object","properties":{}})", {"{}"}, {R"({"a":1})"}},
      {R"({"type":"object"})", {"{}", R"({"a":1})"}, {}},
      {R"({"properties":{"a":{"type":"integer"}},"additionalProperties":true})",
       {R"({"a":1,"c":"x"})", R"({"c":[]})"},
       {R"({"a":1,"a":2})", R"({"c":1,"a":2})"}},
      {R"({"properties":{"a":{"type":"object","properties":{"b":{}}}}})",
       {R"({"a":{"b":1}})"},
       {R"({"a":{"b":1,"c":2}})"}},
  });
}

TEST(JsonSchema, WhatAnObjectMustHaveIsNotClosedOut) {
  check_cases({
      {R"({"properties":{"a":{"type":"integer"}},"required":["n"]})",
       {R"({"n":"any"})", R"({"a":1,"n":[2]})"},
       {"{}", R"({"n":1,"m":2})"}},
      {R"({"properties":{"a":{},"b":{}},"minProperties":2})", {R"({"a":1,"b":2})"}, {R"({"a":1})", R"({"a":1,"c":2})"}},
      {R"({"properties":{"a":{},"b":{}},"minProperties":2,"maxProperties":2})", {R"({"a":1,"b":2})"}, {R"({"a":1})"}},
  });
  EXPECT_NE(refusal(R"({"properties":{"a":{},"b":{}},"minProperties":2,"maxProperties":1})").find("satisfy"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"properties":{"a":{}},"minProperties":2})").find("'minProperties' at #"), std::string::npos);
}

TEST(JsonSchema, PartsThatHoldTogetherAreClosedTogether) {
  check_cases({
      {R"({"allOf":[{"type":"object","properties":{"a":{}}},{"type":"object","properties":{"b":{}}}]})",
       {R"({"a":1,"b":2})"},
       {R"({"a":1,"c":2})"}},
      {R"({"allOf":[{"properties":{"a":{}},"additionalProperties":true},{"properties":{"b":{}}}]})",
       {R"({"a":1,"b":2})", R"({"a":1,"c":2})"},
       {R"({"a":1,"a":2})"}},
      {R"({"allOf":[{"type":"object","properties":{}},{"maxProperties":2}]})", {"{}"}, {R"({"a":1})"}},
  });
}

TEST(JsonSchema, Lists) {
  check_cases({
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1,2,3]", "[ 1, 2 ]"},
       {"[]", "[1,2,3,4]", "[\"a\"]"}},
      {R"({"prefixItems":[{"type":"integer"},{"type":"string"}],"items":false})",
       {"[]", "[1]", "[1,\"a\"]"},
       {"[\"a\"]", "[1,\"a\",2]"}},
      {R"({"type":"array","items":[{"const":1}],"additionalItems":{"const":2},"minItems":3})",
       {"[1,2,2]"},
       {"[1,2]", "[1,1,2]"}},
      {R"({"type":"array","uniqueItems":false})", {"[1,1]"}, {}},
  });
  EXPECT_NE(refusal(R"({"type":"array","items":{"type":"integer","minimum":1,"maximum":0},"minItems":1})"), "");
}

TEST(JsonSchema, AlternativesAndConditionsThatHoldTogether) {
  check_cases({
      {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1},{"enum":["yes","no"]}]})",
       {"5", "\"a\"", "\"yes\""},
       {"\"ye\"", "null"}},
      {R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},
                    {"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]})",
       {R"({"kind":"a","x":1})", R"({"kind":"b"})"},
       {R"({"kind":"a"})", R"({"kind":"c"})", R"({"kind":"b","x":"free"})"}},
      {R"({"allOf":[{"type":"integer","minimum":3},{"maximum":9}]})", {"3", "9"}, {"2", "10"}},
      {R"({"type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"required":["a"]},{"required":["b"]}]})",
       {R"({"a":1})", R"({"b":1})"},
       {"{}"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false},{"type":"object","properties":{"b":{}}}]})",
       {"{}", R"({"a":1})"},
       {R"({"b":1})"}},
      {R"({"allOf":[{"items":{"type":"integer"}},{"prefixItems":[{"minimum":3}]}]})", {"[3,1]"}, {"[1]", "[\"a\"]"}},
      {R"({"type":["integer","string"],"enum":["a",1,null,2.5]})", {"\"a\"", "1"}, {"null", "2.5"}},
      {R"({"enum":[1,5,9],"minimum":4})", {"5", "9"}, {"1"}},
  });
  EXPECT_NE(refusal(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})").find("'oneOf' at #"), std::string::npos);
  EXPECT_NE(refusal(R"({"oneOf":[{"minLength":2},{"maxLength":5}]})").find("'oneOf' at #"), std::string::npos);
}

TEST(JsonSchema, ReferencesMayLeadBack) {
  check_cases({{R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},
                  "next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}}})",
                {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":null}})"},
                {R"({"v":1})", R"({"v":1,"next":{}})"}}});
  EXPECT_NE(refusal(R"({"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}})").find("'$ref'"), std::string::npos);
  EXPECT_NE(refusal(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})").find("satisfy"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"$ref":"https://example.org/schema"})").find("'$ref' at #"), std::string::npos);
  EXPECT_NE(refusal(R"({"$ref":"#/$defs/none"})").find("nothing at"), std::string::npos);
}

TEST(JsonSchema, NestingEndsSomewhere) {
  const auto grammar = JsonGrammar::of_schema(Json::object());
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_TRUE(testing::accepts(grammar, nested(JsonGrammar::deepest)));
  EXPECT_FALSE(testing::accepts(grammar, nested(JsonGrammar::deepest + 1)));
}

TEST(JsonSchema, NoPropertyOrItemIsOfferedThatWouldNestTooDeeply) {
  const auto repeated = [](const std::string& text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
  };
  constexpr int deepest = JsonGrammar::deepest;
  const auto grammar_of = [](const char* schema) { return JsonGrammar::of_schema(parse_json(schema, "schema")); };
  const auto objects = grammar_of(R"({"type":"object","properties":{"v":{"const":1},"next":{"$ref":"#"}}})");
  const std::string open = repeated(R"({"next":)", deepest - 1) + "{", close = repeated("}", deepest);
  EXPECT_TRUE(testing::accepts(objects, open + close));
  EXPECT_TRUE(testing::accepts(objects, open + "\"v\":1" + close));
  EXPECT_FALSE(testing::may_begin(objects, open + "\"n"));
  EXPECT_FALSE(testing::may_begin(objects, open + "\"v\":1,"));
  const auto further = grammar_of(R"({"type":"object","additionalProperties":{"$ref":"#"}})");
  EXPECT_TRUE(testing::accepts(further, repeated(R"({"a":)", deepest - 1) + "{" + close));
  EXPECT_FALSE(testing::may_begin(further, repeated(R"({"a":)", deepest - 1) + "{\""));
  const auto lists = grammar_of(R"({"type":"array","prefixItems":[{"const":1},{"$ref":"#"}]})");
  EXPECT_TRUE(testing::accepts(lists, repeated("[1,", deepest - 1) + "[1" + repeated("]", deepest)));
  EXPECT_FALSE(testing::may_begin(lists, repeated("[1,", deepest - 1) + "[1,"));
}

/// Writes a text that opens objects and lists wherever it may, byte by byte; returns how deep it came, -1 where it ran into a dead end.
int depth_of_a_walk(const std::shared_ptr<const JsonGrammar>& grammar, uint64_t seed) {
  JsonMachine machine(grammar);
  Places places = machine.start();
  Rng rng(seed);
  bool quoted = false;
  int depth = 0, most = 0;
  for (int step = 0; step < 3000; ++step) {
    std::vector<std::pair<char, Places>> ways;
    for (const char byte : std::string(quoted ? "\"abcnextv" : "{[\":,]}1")) {
      Places to;
      machine.step(places, static_cast<uint8_t>(byte), to);
      if (!to.empty()) ways.emplace_back(byte, to);
    }
    if (ways.empty()) return depth == 0 ? most : -1;
    const auto closes = [](char c) { return c == '}' || c == ']'; };
    const bool may_open = ways[0].first == '{' || ways[0].first == '[';
    size_t chosen = may_open ? 0 : rng.below(ways.size());
    for (int i = 0; i < 5 && closes(ways[chosen].first); ++i) chosen = rng.below(ways.size());
    const auto& [byte, to] = ways[chosen];
    if (byte == '"') quoted = !quoted;
    else if (!quoted) depth += byte == '{' || byte == '[' ? 1 : closes(byte) ? -1 : 0;
    most = std::max(most, depth);
    places = to;
  }
  return most;
}

TEST(JsonSchema, NoTextRunsIntoADeadEndHoweverDeepItNests) {
  for (
      const char* schema :
      {R"({"type":"object","properties":{"a":{"const":1},"b":{"$ref":"#"}}})",
       R"({"type":"object","properties":{"a":{"$ref":"#"},"b":{"type":"array","minItems":1,"items":{"$ref":"#"}}}})",
       R"({"type":"object","additionalProperties":{"anyOf":[{"$ref":"#"},{"type":"array","items":{"$ref":"#"}}]}})",
       R"({"type":"array","prefixItems":[{"const":1},{"type":"array","minItems":1,"items":{"type":"array"}}],"items":{"$ref":"#"}})",
       R"({"type":"array","items":{"anyOf":[{"$ref":"#"},{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}]},"maxItems":3})",
       R"({"type":"object","properties":{"a":{"$ref":"#"},"n":{"const":1},"b":{"$ref":"#"}},"required":["n"],"maxProperties":2})",
       "{}"}) {
    const auto grammar = JsonGrammar::of_schema(parse_json(schema, "schema"));
    int most = 0;
    for (uint64_t seed = 0; seed < 10; ++seed) {
      const int depth = depth_of_a_walk(grammar, seed);
      ASSERT_GE(depth, 0) << schema << " " << seed;
      most = std::max(most, depth);
    }
    EXPECT_EQ(most, JsonGrammar::deepest) << schema;
  }
}

TEST(JsonSchema, KeywordsThatAreNotEnforcedAreRefusedByNameAndPlace) {
  for (const char* keyword : {"not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired",
                              "dependentSchemas", "contains", "unevaluatedProperties", "$dynamicRef", "$anchor", "$id",
                              "nullable", "dependencies", "minContains"}) {
    const std::string schema = R"({"properties":{"p":{")" + std::string(keyword) + R"(":{}}}})";
    EXPECT_NE(refusal(schema).find("'" + std::string(keyword) + "' at #/properties/p"), std::string::npos)
        << refusal(schema);
  }
  EXPECT_NE(refusal(R"({"uniqueItems":true})").find("'uniqueItems' at #"), std::string::npos);
  EXPECT_NE(refusal(R"({"minProperties":2})").find("'minProperties' at #"), std::string::npos);
  EXPECT_NE(refusal(R"({"multipleOf":0.1})").find("'multipleOf' at #"), std::string::npos);
  EXPECT_EQ(
      refusal(R"({"title":"t","description":"d","default":1,"examples":[],"x-own":1,"$schema":"s","$comment":"c"})"),
      "");
  for (const char* pattern : {"(?=a)", "(?!a)", "(?<=a)", "\\\\b", "(a)\\\\1", "\\\\p{L}", "a{2000}", "(", ")", "[a",
                              "a**?*", "*", "[z-a]", "\\\\u12"}) {
    EXPECT_NE(refusal(R"({"pattern":")" + std::string(pattern) + "\"}").find("'pattern' at #"), std::string::npos)
        << pattern;
  }
}

TEST(JsonSchema, SchemasThatAreNoneAreRefused) {
  for (const char* schema :
       {"1", "[]", "null", R"({"type":"text"})", R"({"type":[]})", R"({"required":"a"})", R"({"properties":[]})",
        R"({"anyOf":[]})", R"({"enum":1})", R"({"minLength":-1})", R"({"maxItems":1.5})", R"({"minimum":"1"})",
        R"({"pattern":1})", R"({"items":3})", "false", R"({"enum":[]})", R"({"minimum":1e300})"}) {
    EXPECT_NE(refusal(schema), "") << schema;
  }
}

/// A list of schemas or values, from text(0) on.
template <class Text> std::string listed(int count, Text text) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + text(i);
  return list + "]";
}

TEST(JsonSchema, ManyAlternativesAreCountedBeforeTheyAreComparedOrMultiplied) {
  const auto begin = std::chrono::steady_clock::now();
  const auto constant = [](int i) { return fmt::format(R"({{"const":{}}})", i); };
  EXPECT_EQ(refusal(R"({"oneOf":)" + listed(256, constant) + "}"), "");
  for (const char* keyword : {"oneOf", "anyOf"}) {
    const std::string many = fmt::format(R"({{"{}":{}}})", keyword, listed(19000, constant));
    EXPECT_NE(refusal(many).find("more than 256 alternatives"), std::string::npos) << keyword;
  }
  const std::string parts = listed(250, [](int i) { return fmt::format(R"({{"required":["{}"]}})", i); });
  EXPECT_NE(refusal(fmt::format(R"({{"anyOf":{0},"oneOf":[{{"anyOf":{0}}}]}})", parts)).find("256"), std::string::npos);
  // values of an enum: a number in two forms is one value
  const auto even = [](int i) { return std::to_string(2 * i); };
  const auto odd = [](int i) { return std::to_string(2 * i + 1); };
  EXPECT_EQ(refusal(fmt::format(R"({{"oneOf":[{{"enum":{}}},{{"enum":{}}}]}})", listed(9000, even), listed(9000, odd))),
            "");
  const std::string twice = R"({"oneOf":[{"enum":[1,"a",[2]]},{"enum":[3,)";
  for (const char* same : {"1", "1.0", "1e0", "\"a\"", "[2]", "[2.0]"})
    EXPECT_NE(refusal(twice + same + "]}]}").find("at once"), std::string::npos) << same;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(JsonSchema, ManyValuesOfAnEnumMayStandBesideOnePatternOrFormat) {
  const std::string words = listed(300, [](int i) { return fmt::format("\"w{}\"", i); });
  const auto grammar = JsonGrammar::of_schema(parse_json(R"({"pattern":"^w[0-9]*1$","enum":)" + words + "}", "schema"));
  EXPECT_TRUE(testing::accepts(grammar, "\"w291\""));
  EXPECT_FALSE(testing::accepts(grammar, "\"w292\""));
  const std::string dates = listed(300, [](int i) { return fmt::format("\"{}-01-01\"", 1900 + i); });
  EXPECT_EQ(refusal(R"({"format":"date","enum":)" + dates + "}"), "");
  const auto pattern = [](int i) { return fmt::format(R"({{"pattern":"^{}$"}})", i); };
  const auto patterns = [&](int count) { return R"({"type":"array","prefixItems":)" + listed(count, pattern) + "}"; };
  EXPECT_EQ(refusal(patterns(200)), "");
  EXPECT_NE(refusal(patterns(201)).find("more than 200"), std::string::npos);
}

TEST(JsonSchema, SchemasThatWouldTakeForEverAreRefused) {
  std::string doubling = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 35; ++i)
    doubling += fmt::format(R"("d{0}":{{"allOf":[{{"$ref":"#/$defs/d{1}"}},{{"$ref":"#/$defs/d{1}"}}]}},)", i, i + 1);
  EXPECT_NE(refusal(doubling + R"("d35":{"type":"integer"}}})"), "");
  EXPECT_NE(refusal(R"({"pattern":"(a|b)*a(a|b){200}"})"), "");
  EXPECT_NE(refusal(R"({"pattern":"((a{100}){100}){100}"})"), "");
  EXPECT_NE(refusal(R"({"pattern":"()" + std::string(10000, '|') + R"(){1000}"})").find("too large"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"pattern":".*a()" + std::string(60000, '|') + R"(){15}b{1000}"})").find("too long"),
            std::string::npos);
  std::string deep = "{}";
  for (int i = 0; i < 300; ++i) deep = R"({"items":)" + deep + "}";
  EXPECT_NE(refusal(deep), "");
}

}  // namespace
}  // namespace tessera::generate
