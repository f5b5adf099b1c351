// References are followed, alternatives multiplied out, and conditions that hold together joined keyword by keyword.
#include "generate/json/schema_alternatives.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace tessera::generate {

namespace {

constexpr size_t most_alternatives = 256;
constexpr std::string_view too_many_alternatives = "there are more than 256 alternatives";
constexpr int deepest_reference = 40;
constexpr int64_t most_work = 20000;  // schemas looked at: references may multiply

const std::set<std::string> describing = {
    "title",     "description",   "default",          "examples",        "$schema",
    "$comment",  "$defs",         "definitions",      "deprecated",      "readOnly",
    "writeOnly", "contentSchema", "contentMediaType", "contentEncoding", "example"};
const std::set<std::string> enforced = {
    "type",          "enum",    "const",    "properties", "required",    "additionalProperties", "minProperties",
    "maxProperties", "items",   "minItems", "maxItems",   "prefixItems", "additionalItems",      "minLength",
    "maxLength",     "pattern", "format",   "minimum",    "maximum",     "exclusiveMinimum",     "exclusiveMaximum",
    "multipleOf",    "$ref",    "allOf",    "anyOf",      "oneOf",       "uniqueItems"};
const std::vector<std::string> all_types = {"null", "boolean", "number", "string", "array", "object"};

/// A keyword that is only enforced in the form in which it says nothing.
bool says_nothing(const std::string& keyword, const Json& value) { return keyword == "uniqueItems" && value == false; }

[[noreturn]] void refuse(const std::string& keyword, const std::string& path, std::string_view why) {
  throw UserError("[json schema] keyword '{}' at {}: {}", keyword, path, why);
}

bool is_type(const Json& type) {
  return type == "integer" || std::ranges::any_of(all_types, [&](const std::string& known) { return type == known; });
}

/// What the rest of the compiler takes for granted.
void check_forms(const Json& schema, const std::string& path) {
  const auto list_of_texts = [](const Json& list) {
    return list.is_array() && std::ranges::all_of(list, [](const Json& one) { return one.is_string(); });
  };
  if (schema.contains("type")) {
    const Json& type = schema["type"];
    if (!(type.is_array() ? !type.empty() && std::ranges::all_of(type, is_type) : is_type(type)))
      refuse("type", path,
             fmt::format("got {}, want null, boolean, number, integer, string, array or object",
                         type.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60)));
  }
  if (schema.contains("enum") && !schema["enum"].is_array()) refuse("enum", path, "want a list of values");
  if (schema.contains("required") && !list_of_texts(schema["required"]))
    refuse("required", path, "want a list of names");
  if (schema.contains("properties") && !schema["properties"].is_object())
    refuse("properties", path, "want an object of schemas");
  for (const char* keyword : {"pattern", "format", "$ref"}) {
    if (schema.contains(keyword) && !schema[keyword].is_string()) refuse(keyword, path, "want a text");
  }
  if (schema.contains("prefixItems") && !schema["prefixItems"].is_array())
    refuse("prefixItems", path, "want a list of schemas");
}

void check_keywords(const Json& schema, const std::string& path) {
  check_forms(schema, path);
  for (const auto& [keyword, value] : schema.items()) {
    if (keyword.starts_with("x-") || describing.count(keyword) != 0 || says_nothing(keyword, value)) continue;
    if (enforced.count(keyword) == 0 || keyword == "uniqueItems")
      refuse(keyword, path, "it cannot be enforced; want a schema without it");
  }
}

Json values_of(const Json& plain) {
  if (plain.contains("enum")) return plain["enum"];
  return plain.contains("const") ? Json::array({plain["const"]}) : Json();
}

std::string type_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "boolean";
  if (value.is_number()) return "number";
  if (value.is_string()) return "string";
  return value.is_array() ? "array" : "object";
}

/// A text that equal values share: a whole number is written as one, however it was given.
std::string text_of_value(const Json& value) {
  if (value.is_number_float()) {
    const auto number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) < 0x1p63) return std::to_string(static_cast<int64_t>(number));
    if (number == std::floor(number) && number >= 0 && number < 0x1p64)
      return std::to_string(static_cast<uint64_t>(number));
  }
  if (!value.is_structured()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text = value.is_array() ? "[" : "{";
  for (const auto& [key, item] : value.items())
    text += (value.is_array() ? "" : text_of_value(Json(key)) + ":") + text_of_value(item) + ",";
  return text;
}

std::unordered_set<std::string> texts_of_values(const Json& list) {
  std::unordered_set<std::string> texts;
  for (const Json& value : list) texts.insert(text_of_value(value));
  return texts;
}

Json both_values(const Json& a, const Json& b) {
  const std::unordered_set<std::string> others = texts_of_values(b);
  Json common = Json::array();
  for (const Json& value : a) {
    if (others.count(text_of_value(value)) != 0) common.push_back(value);
  }
  return common;
}

/// The stricter of two bounds.
Json stricter(const std::string& keyword, const Json& a, const Json& b, const std::string& path) {
  if (!a.is_number() || !b.is_number()) refuse(keyword, path, "want a number");
  const bool lower = keyword.starts_with("min") || keyword == "exclusiveMinimum";
  return (a < b) == lower ? b : a;
}

Json both(const Json& a, const Json& b) {
  if (a == b) return a;
  if (a == true || b == true) return a == true ? b : a;
  return {{"allOf", Json::array({a, b})}};
}

/// properties, additionalProperties: what one schema says of further properties counts for those that only the other one lists. What
/// neither says stays unsaid, since that closes an object that lists its properties.
void join_properties(const Json& a, const Json& b, Json& result) {
  const auto schema_of = [](const Json& object, const std::string& name) {
    if (object.contains("properties") && object["properties"].contains(name)) return object["properties"][name];
    return object.value("additionalProperties", Json(true));
  };
  Json properties = Json::object();
  for (const Json* each : {&a, &b}) {
    if (!each->contains("properties")) continue;
    for (const auto& [name, unused] : (*each)["properties"].items()) {
      if (!properties.contains(name)) properties[name] = both(schema_of(a, name), schema_of(b, name));
    }
  }
  if (a.contains("properties") || b.contains("properties")) result["properties"] = properties;
  if (a.contains("additionalProperties") || b.contains("additionalProperties"))
    result["additionalProperties"] =
        both(a.value("additionalProperties", Json(true)), b.value("additionalProperties", Json(true)));
}

Json join_keyword(const std::string& keyword, const Json& a, const Json& b, const std::string& path) {
  if (a == b) return a;
  if (keyword == "required") {
    const std::unordered_set<std::string> known = texts_of_values(a);
    Json all = a;
    for (const Json& name : b) {
      if (known.count(text_of_value(name)) == 0) all.push_back(name);
    }
    return all;
  }
  if (keyword == "enum") return both_values(a, b);
  if (keyword == "items" && !a.is_array() && !b.is_array()) return both(a, b);
  if (keyword == "pattern") {
    Json all = a.is_array() ? a : Json::array({a});
    for (const Json& one : b.is_array() ? b : Json::array({b})) all.push_back(one);
    return all;
  }
  if (keyword == "multipleOf" && a.is_number_integer() && b.is_number_integer() && a > 0 && b > 0 && a < 10000 &&
      b < 10000)
    return std::lcm(a.get<int64_t>(), b.get<int64_t>());
  if (keyword.starts_with("min") || keyword.starts_with("max") || keyword.starts_with("exclusive"))
    return stricter(keyword, a, b, path);
  refuse(keyword, path, "two parts of the schema that hold together say different things; want one");
}

Json types_as_list(const Json& schema) {
  Json list = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
  return list;
}

Json join_types(const Json& a, const Json& b) {
  const Json first = types_as_list(a), second = types_as_list(b);
  Json common = Json::array();
  for (const Json& one : first) {
    for (const Json& other : second) {
      if (one == other || (one == "integer" && other == "number")) common.push_back(one);
      else if (one == "number" && other == "integer") common.push_back(other);
    }
  }
  return common;
}

}  // namespace

bool asserts(const std::string& keyword) { return enforced.count(keyword) != 0 && keyword != "uniqueItems"; }

std::set<std::string> types_of(const Json& plain) {
  std::set<std::string> types;
  if (plain.contains("type")) {
    for (const Json& type : types_as_list(plain)) types.insert(type.get<std::string>());
    if (types.count("number") != 0) types.erase("integer");
    return types;
  }
  if (const Json values = values_of(plain); !values.is_null()) {
    for (const Json& value : values) types.insert(type_of(value));
    return types;
  }
  const std::pair<const char*, std::vector<const char*>> groups[] = {
      {"object", {"properties", "required", "additionalProperties", "minProperties", "maxProperties"}},
      {"array", {"items", "prefixItems", "additionalItems", "minItems", "maxItems"}},
      {"string", {"minLength", "maxLength", "pattern", "format"}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}}};
  for (const auto& [type, keywords] : groups) {
    if (std::ranges::any_of(keywords, [&](const char* keyword) { return plain.contains(keyword); })) types.insert(type);
  }
  if (types.empty()) types.insert(all_types.begin(), all_types.end());
  return types;
}

Json joined(const Json& a, const Json& b, const std::string& path) {
  Json left = a, right = b;
  for (Json* each : {&left, &right}) {  // a const is an enum of one
    if (!each->contains("const")) continue;
    const Json values = each->contains("enum") ? both_values((*each)["enum"], Json::array({(*each)["const"]}))
                                               : Json::array({(*each)["const"]});
    each->erase("const");
    (*each)["enum"] = values;
  }
  for (const auto& [tuple, list] : {std::pair(&left, &right), std::pair(&right, &left)}) {
    if (!tuple->contains("prefixItems") || list->contains("prefixItems") || !list->contains("items")) continue;
    const Json& items = (*list)["items"];
    if (tuple->contains("items") || items.is_array())
      refuse("prefixItems", path, "it cannot be joined with the 'items' of another part of the schema");
    for (Json& first : (*tuple)["prefixItems"])
      first = both(first, items);  // without prefixItems, it holds for them too
  }
  Json result = left;
  for (const auto& [keyword, value] : right.items()) {
    if (keyword == "properties" || keyword == "additionalProperties") continue;
    if (!result.contains(keyword)) result[keyword] = value;
    else if (keyword == "type") result["type"] = join_types(left, right);
    else if (asserts(keyword)) result[keyword] = join_keyword(keyword, result[keyword], value, path);
  }
  result.erase("properties");
  result.erase("additionalProperties");
  join_properties(left, right, result);
  return result;
}

const Json& SchemaAlternatives::resolved(const std::string& reference, const std::string& path) const {
  if (reference == "#") return root_;
  if (!reference.starts_with("#/"))
    refuse("$ref", path,
           fmt::format("'{}' leads out of the schema; want one such as #/$defs/name", reference.substr(0, 100)));
  std::string pointer;
  for (size_t i = 1; i < reference.size(); ++i) {  // %25 of URIs
    if (reference[i] == '%' && i + 2 < reference.size() &&
        std::isxdigit(static_cast<unsigned char>(reference[i + 1])) &&
        std::isxdigit(static_cast<unsigned char>(reference[i + 2]))) {
      pointer += static_cast<char>(std::stoi(reference.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      pointer += reference[i];
    }
  }
  try {
    const Json::json_pointer place(pointer);
    if (root_.contains(place)) return root_.at(place);
  } catch (const Json::exception&) {
    // not a pointer
  }
  refuse("$ref", path, fmt::format("there is nothing at '{}'", reference.substr(0, 100)));
}

std::vector<Json> SchemaAlternatives::of(const Json& schema, const std::string& path, int depth) const {
  if (schema.is_boolean()) return schema.get<bool>() ? std::vector<Json>{Json::object()} : std::vector<Json>{};
  if (!schema.is_object())
    throw UserError("[json schema] the schema at {} is no object; got {}", path,
                    schema.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
  if (depth > deepest_reference) refuse("$ref", path, "references lead to themselves, or too far");
  if (++work_ > most_work)
    throw UserError("[json schema] the schema's references and alternatives take too long to follow");
  check_keywords(schema, path);
  Json base = Json::object();
  for (const auto& [keyword, value] : schema.items()) {
    const bool combines = keyword == "$ref" || keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf";
    if (asserts(keyword) && !combines) base[keyword] = value;
  }
  std::vector<Json> all = {base};
  const auto multiply = [&](const std::vector<Json>& others) {
    if (all.size() * others.size() > most_alternatives) refuse("anyOf", path, too_many_alternatives);
    std::vector<Json> products;
    for (const Json& one : all) {
      for (const Json& other : others)
        products.push_back(one.empty() ? other : other.empty() ? one : joined(one, other, path));
    }
    all = std::move(products);
  };
  if (schema.contains("$ref")) {
    const auto reference = schema["$ref"].get<std::string>();
    multiply(of(resolved(reference, path), reference, depth + 1));
  }
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    if (!schema.contains(keyword)) continue;
    const Json& parts = schema[keyword];
    if (!parts.is_array() || parts.empty()) refuse(keyword, path, "want a list of schemas");
    const bool conjunction = keyword == std::string_view("allOf");
    std::vector<std::vector<Json>> each;
    size_t sum = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      each.push_back(of(parts[i], fmt::format("{}/{}/{}", path, keyword, i), depth + 1));
      sum += each.back().size();
      if (!conjunction && sum > most_alternatives) refuse(keyword, path, too_many_alternatives);
    }
    if (conjunction) {
      for (const auto& part : each) multiply(part);
      continue;
    }
    if (keyword == std::string_view("oneOf")) check_disjoint(each, path, depth + 1);
    std::vector<Json> together;
    for (const auto& part : each) together.insert(together.end(), part.begin(), part.end());
    multiply(together);
  }
  return all;
}

/// That no value satisfies two parts of a oneOf at once.
void SchemaAlternatives::check_disjoint(const std::vector<std::vector<Json>>& parts, const std::string& path,
                                        int depth) const {
  for (size_t i = 0; i < parts.size(); ++i) {
    for (const Json& one : parts[i]) {
      for (size_t j = 0; j < i; ++j) {
        for (const Json& other : parts[j]) {
          if (!disjoint(one, other, path, depth))
            refuse("oneOf", path,
                   fmt::format("a value may be valid against parts {} and {} at once, which cannot be ruled out here; "
                               "want anyOf, or parts told apart by a type or a const",
                               j, i));
        }
      }
    }
  }
}

/// Whether it is certain that no value satisfies both.
bool SchemaAlternatives::disjoint(const Json& a, const Json& b, const std::string& path, int depth) const {
  if (depth > deepest_reference) return false;
  // only what is said counts: without a type, keywords of one type say nothing about values of another
  const auto said = [](const Json& plain) {
    return plain.contains("type") || plain.contains("enum") || plain.contains("const")
               ? types_of(plain)
               : std::set<std::string>(all_types.begin(), all_types.end());
  };
  const std::set<std::string> first = said(a), second = said(b);
  const auto meets = [&](const std::string& type) {
    if (second.count(type) != 0) return true;
    return type == "integer" ? second.count("number") != 0 : type == "number" && second.count("integer") != 0;
  };
  if (std::ranges::none_of(first, meets)) return true;
  const Json values = values_of(a), others = values_of(b);
  if (!values.is_null() && !others.is_null()) return both_values(values, others).empty();
  const bool objects = first == std::set<std::string>{"object"} && second == first;
  return objects && told_apart_by_a_property(a, b, path, depth);
}

bool SchemaAlternatives::told_apart_by_a_property(const Json& a, const Json& b, const std::string& path,
                                                  int depth) const {
  const Json required = both_values(a.value("required", Json::array()), b.value("required", Json::array()));
  for (const Json& name : required) {
    const auto key = name.get<std::string>();
    if (!a.contains("properties") || !b.contains("properties") || !a["properties"].contains(key) ||
        !b["properties"].contains(key))
      continue;
    bool apart = true;
    for (const Json& one : of(a["properties"][key], path, depth + 1)) {
      for (const Json& other : of(b["properties"][key], path, depth + 1))
        apart = apart && disjoint(one, other, path, depth + 1);
    }
    if (apart) return true;
  }
  return false;
}

}  // namespace tessera::generate
