// Texts drawn at random under a schema, and a plain reading of schemas to check them by.
#pragma once

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>

#include "core/json.h"
#include "core/rng.h"
#include "generate/json/json_constraint.h"
#include "generate/json/machine.h"
#include "generate/testing.h"

namespace tessera::generate::testing {

/// Bytes, words that hold several parts of JSON, and pieces of characters.
inline ToyTokenizer json_tokenizer() {
  return ToyTokenizer({"{\"", "\"}", "\":",  "\": ", "\",",     ",\"",    "\", \"",   "[[",       "]]",       "[{\"",
                       "},{", "}]",  "null", "true", "false",   "\"a\"",  "abc",      "12",       "345",      "-1",
                       ".5",  "e+1", "  ",   "\n  ", ",\n  \"", "\xC3",   "\xA4\xC3", "\xF0\x9F", "\x98\x80", "\\u",
                       "\\n", "00",  "name", "kind", "date",    "2024-0", "]",        ", ",       "{}",       "[]"});
}

/// The text that is drawn with these random numbers; `end`: why it ended.
inline std::pair<std::string, StopReason> drawn(const std::shared_ptr<const JsonGrammar>& grammar, uint64_t seed,
                                                int64_t most = 200, double temperature = 1) {
  const ToyTokenizer tokenizer = json_tokenizer();
  const auto tokens = std::make_shared<const TokenTrie>(tokenizer);
  const TextOptions options{.max_new_tokens = most,
                            .sampling = {.temperature = temperature, .seed = seed},
                            .end_tokens = {*tokenizer.end_token()},
                            .constraints = {json_constraint(grammar, tokens)}};
  ToySteps steps(noise(tokenizer.vocabulary(), seed));
  const Continuation said = run(steps, prompts_of({{1}}), tokenizer, options)[0];
  return {said.text, said.reason};
}

/// Where `text` leads, byte by byte.
inline Places places_after(JsonMachine& machine, const std::string& text) {
  Places places = machine.start(), next;
  for (const char c : text) {
    machine.step(places, static_cast<uint8_t>(c), next);
    std::swap(places, next);
  }
  return places;
}

/// Whether the grammar lets a text through that begins with `text`.
inline bool may_begin(const std::shared_ptr<const JsonGrammar>& grammar, const std::string& text) {
  JsonMachine machine(grammar);
  return !places_after(machine, text).empty();
}

/// Whether the grammar lets `text` through.
inline bool accepts(const std::shared_ptr<const JsonGrammar>& grammar, const std::string& text) {
  JsonMachine machine(grammar);
  const Places places = places_after(machine, text);
  return std::ranges::any_of(places, [&](const Place& place) { return machine.complete(place); });
}

inline int64_t characters(const std::string& text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

inline bool valid(const Json& root, const Json& schema, const Json& value);

inline bool has_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number() && value.get<double>() == std::floor(value.get<double>());
  return (type == "null" && value.is_null()) || (type == "boolean" && value.is_boolean()) ||
         (type == "number" && value.is_number()) || (type == "string" && value.is_string()) ||
         (type == "array" && value.is_array()) || (type == "object" && value.is_object());
}

inline bool valid_number(const Json& s, const Json& value) {
  const double x = value.get<double>();
  return !(s.contains("minimum") && x < s["minimum"].get<double>()) &&
         !(s.contains("maximum") && x > s["maximum"].get<double>()) &&
         !(s.contains("exclusiveMinimum") && x <= s["exclusiveMinimum"].get<double>()) &&
         !(s.contains("exclusiveMaximum") && x >= s["exclusiveMaximum"].get<double>()) &&
         !(s.contains("multipleOf") && std::fmod(x, s["multipleOf"].get<double>()) != 0);
}

inline bool valid_string(const Json& s, const std::string& text) {
  return !(s.contains("minLength") && characters(text) < s["minLength"]) &&
         !(s.contains("maxLength") && characters(text) > s["maxLength"]) &&
         !(s.contains("pattern") && !std::regex_search(text, std::regex(s["pattern"].get<std::string>())));
}

inline bool valid_array(const Json& root, const Json& s, const Json& value) {
  if ((s.contains("minItems") && value.size() < s["minItems"]) ||
      (s.contains("maxItems") && value.size() > s["maxItems"]))
    return false;
  const size_t first = s.contains("prefixItems") ? s["prefixItems"].size() : 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (i < first ? !valid(root, s["prefixItems"][i], value[i])
                  : s.contains("items") && !valid(root, s["items"], value[i]))
      return false;
  }
  return true;
}

inline bool valid_object(const Json& root, const Json& s, const Json& value) {
  for (const Json& name : s.value("required", Json::array())) {
    if (!value.contains(name.get<std::string>())) return false;
  }
  if ((s.contains("minProperties") && value.size() < s["minProperties"]) ||
      (s.contains("maxProperties") && value.size() > s["maxProperties"]))
    return false;
  const Json properties = s.value("properties", Json::object());
  for (const auto& [name, inner] : value.items()) {
    if (properties.contains(name)
            ? !valid(root, properties[name], inner)
            : s.contains("additionalProperties") && !valid(root, s["additionalProperties"], inner))
      return false;
  }
  return true;
}

/// Validity as the specification words it, for the keywords of the tests.
inline bool valid(const Json& root, const Json& schema, const Json& value) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (schema.contains("$ref") &&
      !valid(root, root.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), value))
    return false;
  const auto count = [&](const char* keyword) {
    return std::ranges::count_if(schema[keyword], [&](const Json& part) { return valid(root, part, value); });
  };
  if (schema.contains("anyOf") && count("anyOf") == 0) return false;
  if (schema.contains("oneOf") && count("oneOf") != 1) return false;
  if (schema.contains("allOf") && count("allOf") != std::ssize(schema["allOf"])) return false;
  if (schema.contains("enum") && std::ranges::find(schema["enum"], value) == schema["enum"].end()) return false;
  if (schema.contains("const") && schema["const"] != value) return false;
  if (schema.contains("type")) {
    const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    if (std::ranges::none_of(types, [&](const Json& type) { return has_type(value, type.get<std::string>()); }))
      return false;
  }
  if (value.is_number()) return valid_number(schema, value);
  if (value.is_string()) return valid_string(schema, value.get<std::string>());
  if (value.is_array()) return valid_array(root, schema, value);
  return !value.is_object() || valid_object(root, schema, value);
}

/// A random schema of what is enforced; may be one that no value satisfies.
class SchemaMaker {
 public:
  explicit SchemaMaker(uint64_t seed) : rng_(seed), least_(seed, 1) {}
  Json make() {
    Json schema = value(0);
    if (schema.is_object())
      schema["$defs"] = {{"tree",
                          {{"type", "object"},
                           {"properties", {{"left", {{"$ref", "#/$defs/tree"}}}, {"n", value(3)}}},
                           {"additionalProperties", false}}}};
    return schema;
  }

 private:
  int64_t below(int64_t n) { return static_cast<int64_t>(rng_.below(static_cast<uint64_t>(n))); }
  Json value(int depth) {
    switch (below(depth > 2 ? 5 : 10)) {
      case 0:
        return number();
      case 1:
        return string();
      case 2:
        return {{"enum", Json::array({"red", 1, nullptr,
                                      "gr\xC3\xBC"
                                      "n",
                                      2.5, Json::array({1, 2})})}};
      case 3:
        return {{"type", Json::array({"boolean", "null"})}};
      case 4:
        return {{"const", below(2) == 0 ? Json("fixed") : Json(17)}};
      case 5:
        return array(depth);
      case 6:
        return {{"anyOf", Json::array({value(depth + 1), value(depth + 1)})}};
      case 7:
        return {{"$ref", "#/$defs/tree"}};
      case 8:
        return all_of(depth);
      default:
        return object(depth);
    }
  }
  Json number() {
    Json schema = {{"type", below(2) == 0 ? "integer" : "number"}};
    const double low = static_cast<double>(below(400) - 200) / (below(2) == 0 ? 1 : 8);
    if (below(2) == 0) schema[below(2) == 0 ? "minimum" : "exclusiveMinimum"] = low;
    if (below(2) == 0) schema[below(2) == 0 ? "maximum" : "exclusiveMaximum"] = low + static_cast<double>(below(300));
    if (below(4) == 0) schema["multipleOf"] = 1 + below(9);
    return schema;
  }
  Json string() {
    Json schema = {{"type", "string"}};
    if (below(2) == 0) schema["minLength"] = below(4);
    if (below(2) == 0) schema["maxLength"] = 3 + below(6);
    const char* patterns[] = {"^[a-c]+$", "ab", "^(x|yz){1,3}", "[0-9]$", "^[^a-z]*$", "^\\w+\\.\\d{2}$"};
    if (below(3) == 0) schema["pattern"] = patterns[below(6)];
    return schema;
  }
  Json array(int depth) {
    Json schema = {{"type", "array"}};
    if (below(3) != 0) schema["items"] = value(depth + 1);
    if (below(3) == 0) schema["prefixItems"] = Json::array({value(depth + 1), value(depth + 1)});
    if (below(2) == 0) schema["minItems"] = below(3);
    if (below(2) == 0) schema["maxItems"] = 2 + below(3);
    return schema;
  }
  Json all_of(int depth) {
    ++parts_;
    Json schema = {{"allOf", Json::array({object(depth), object(depth + 1)})}};
    --parts_;
    return schema;
  }
  Json object(int depth) {
    Json schema = {{"type", "object"}, {"properties", Json::object()}};
    const char* names[] = {"a", "ab", "name", "n\"q", "\xC3\xA4"};
    Json required = Json::array();
    for (const char* name : names) {
      if (below(2) == 0) schema["properties"][name] = value(depth + 1);
      if (below(4) == 0) required.push_back(name);
    }
    if (!required.empty()) schema["required"] = required;
    if (below(2) == 0) schema["additionalProperties"] = below(2) == 0 ? Json(false) : value(depth + 1);
    if (below(4) == 0) schema["maxProperties"] = 1 + below(4);
    if (least_.below(3) == 0) schema["minProperties"] = least(schema);
    return schema;
  }
  /// A number of properties that is enforced: as many as are required, or all of a closed object that is joined with no other.
  size_t least(const Json& object) {
    const Json required = object.value("required", Json::array());
    std::set<std::string> names(required.begin(), required.end());
    for (const auto& [name, unused] : object["properties"].items()) names.insert(name);
    const bool closed = parts_ == 0 && object.value("additionalProperties", Json(false)) == false;
    return closed ? names.size() : required.size();
  }
  Rng rng_, least_;
  int parts_ = 0;  // of an allOf that are being made
};

}  // namespace tessera::generate::testing
