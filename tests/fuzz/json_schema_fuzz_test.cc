// Mutated JSON schemas: each is refused by one line of text, or becomes a grammar from which every text can be completed.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "core/error.h"
#include "core/json.h"
#include "generate/json/machine.h"
#include "tests/fuzz/mutate.h"

namespace tessera::testing {
namespace {

const std::vector<std::string> schemas = {
    R"({"type":"object","properties":{"a":{"type":"integer","minimum":-3,"maximum":40},"b":{"type":"string","minLength":1,"maxLength":9}},"required":["a"],"additionalProperties":false})",
    R"({"type":"array","items":{"anyOf":[{"type":"null"},{"enum":["x","y",1]}]},"minItems":1,"maxItems":4})",
    R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"object","properties":{"l":{"$ref":"#/$defs/t"},"v":{"type":"number","exclusiveMinimum":0.5}}}}})",
    R"({"oneOf":[{"type":"string","pattern":"^[a-z]{2,5}(x|yz)+$"},{"type":"boolean"}]})",
    R"({"allOf":[{"minimum":3},{"type":"integer","multipleOf":7}]})",
    R"({"type":"string","format":"date-time"})",
    R"({"prefixItems":[{"const":[1,{"k":null}]},{}],"items":false})"};
const std::vector<std::string> pieces = {
    "null",       "true",      "false",    "{}",    "[]",      "{",           "}",         "[",        "]",
    ",",          ":",         "\"",       "\\\\",  "1e30",    "-1",          "0.5",       "\"type\"", "\"object\"",
    "\"string\"", "\"items\"", "\"$ref\"", "\"#\"", "\"not\"", "\"pattern\"", "\"anyOf\"", "(",        ")",
    "*",          "+",         "{2,3}",    "[^a]",  "\\\\d",   "|",           "^",         "$",        "\"required\"",
    "\xC3\xA4"};

/// Writes a text by random bytes that are allowed, and by the shortest way once it is long. Returns it.
std::string complete_text(const std::shared_ptr<const generate::JsonGrammar>& grammar, Rng& rng) {
  generate::JsonMachine machine(grammar);
  generate::Places places = machine.start();
  std::string text;
  while (true) {
    if (std::ranges::any_of(places, [&](const generate::Place& place) { return machine.complete(place); })) return text;
    const int64_t distance = machine.distance(places);
    std::vector<std::pair<char, generate::Places>> ways;
    for (int byte = 0; byte < 256; ++byte) {
      generate::Places to;
      machine.step(places, static_cast<uint8_t>(byte), to);
      if (!to.empty() && (text.size() < 20 || machine.distance(to) < distance))
        ways.emplace_back(static_cast<char>(byte), to);
    }
    if (ways.empty()) throw std::logic_error("no way on from " + text);
    const auto& [byte, to] = ways[rng.below(ways.size())];
    text += byte;
    places = to;
    if (text.size() > 20000) throw std::logic_error("no end to " + text.substr(0, 200));
  }
}

bool compiles(const std::string& bytes, Rng& rng) {
  std::shared_ptr<const generate::JsonGrammar> grammar;
  try {
    grammar = generate::JsonGrammar::of_schema(parse_json(bytes, "schema"));
  } catch (const UserError& error) {
    const std::string message = error.what();
    if (message.size() > 600 || message.find('\n') != std::string::npos) throw std::logic_error("message: " + message);
    return false;
  }
  if (rng.below(8) != 0) return true;
  const std::string text = complete_text(grammar, rng);
  if (!Json::accept(text)) throw std::logic_error("no JSON: " + text);
  return true;
}

TEST(Fuzz, MutatedJsonSchemasAreRefusedOrCanBeSatisfied) {
  int compiled = 0;
  Rng rng(21), writing(22);  // what is tried does not depend on what grammars let through
  for (const std::string& schema : schemas) EXPECT_TRUE(compiles(schema, writing)) << schema;
  for (int round = 0; round < 3000; ++round) {
    const std::string bytes = mutate(schemas, pieces, rng);
    try {
      compiled += compiles(bytes, writing);
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(bytes);
    }
  }
  EXPECT_EQ(compiled, 62);  // of 3000 mutations, whose seed is fixed
}

}  // namespace
}  // namespace tessera::testing
