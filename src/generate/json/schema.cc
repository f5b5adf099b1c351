// From a JSON schema to a grammar. What must stay true: a keyword is enforced or refused by its name, never passed over.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/utf8.h"
#include "generate/json/grammar.h"
#include "generate/json/json_number.h"
#include "generate/json/pattern.h"
#include "generate/json/schema_alternatives.h"

namespace tessera::generate {

namespace {

constexpr size_t most_elements = 20000, most_schema = 1 << 20, most_states = 500'000, most_patterns = 200;
constexpr int64_t most_count = 1 << 29;  // of characters, items and properties
constexpr int deepest_schema = 200;

std::string text_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

[[noreturn]] void refuse(std::string_view keyword, const std::string& path, std::string_view why) {
  throw UserError("[json schema] keyword '{}' at {}: {}", keyword, path, why);
}

int64_t count_of(const Json& schema, const char* keyword, const std::string& path, int64_t absent) {
  if (!schema.contains(keyword)) return absent;
  const Json& value = schema[keyword];
  const double number = value.is_number() ? value.get<double>() : -1;
  if (number < 0 || number != std::floor(number)) refuse(keyword, path, "want a whole number from 0");
  return static_cast<int64_t>(std::min(number, static_cast<double>(most_count)));
}

/// Depth of lists and objects in a tree.
int depth_of(const Json& tree, int limit) {
  if (!tree.is_structured() || limit == 0) return 0;
  int depth = 0;
  for (const Json& child : tree) depth = std::max(depth, depth_of(child, limit - 1));
  return depth + 1;
}

/// Keys of further properties: strings without escapes that are none of the listed names.
ByteAutomaton other_keys(const std::vector<std::string>& names) {
  struct Node {
    std::map<uint8_t, int32_t> next;
    bool name = false;
  };
  std::vector<Node> nodes(1);
  for (const std::string& name : names) {
    int32_t at = 0;
    for (const char c : name) {
      const auto [found, is_new] =
          nodes[static_cast<size_t>(at)].next.try_emplace(static_cast<uint8_t>(c), static_cast<int32_t>(nodes.size()));
      at = found->second;
      if (is_new) nodes.emplace_back();
    }
    nodes[static_cast<size_t>(at)].name = true;
  }
  const JsonString string;
  using State = std::pair<int64_t, int32_t>;  // of a string; of the names, -1 where it is none of them any more
  const auto expand = [&](const State& state, const auto& emit) {
    for (int byte = 0; byte < 256; ++byte) {
      const int64_t to = byte == '\\' ? -1 : string.next(state.first, static_cast<uint8_t>(byte));
      if (to < 0) continue;
      int32_t at = state.second;
      if (state.first == string.start()) {
        at = 0;
      } else if (string.accepts(to)) {
        if (at >= 0 && nodes[static_cast<size_t>(at)].name) continue;
        at = -1;
      } else if (at >= 0) {
        const auto& next = nodes[static_cast<size_t>(at)].next;
        const auto found = next.find(static_cast<uint8_t>(byte));
        at = found == next.end() ? -1 : found->second;
      }
      emit(byte, State(to, at));
    }
  };
  return explore(
      State(string.start(), -1), expand, [&](const State& s) { return string.accepts(s.first); },
      "the names of an object's properties");
}

}  // namespace

class SchemaCompiler {
 public:
  explicit SchemaCompiler(const Json& root) : alternatives_(root) {}

  std::shared_ptr<JsonGrammar> compile(const Json& root) {
    grammar_->root_ = value(root, "#", 0);
    grammar_->complete();
    const ValueRule& rule = grammar_->rule(grammar_->root_);
    if (rule.shortest >= endless) throw UserError("[json schema] no value can satisfy this schema");
    if (rule.height > JsonGrammar::deepest)
      throw UserError("[json schema] a value needs more than {} levels of objects and lists", JsonGrammar::deepest);
    return grammar_;
  }

 private:
  /// The rule of a schema; schemas with the same text have the same rule, also while it is being made.
  int32_t value(const Json& schema, const std::string& path, int depth) {
    if (depth > deepest_schema) throw UserError("[json schema] the schema is nested too deeply at {}", path);
    const auto [found, is_new] = rules_.try_emplace(text_of(schema), static_cast<int32_t>(grammar_->rules_.size()));
    const int32_t number = found->second;
    if (!is_new) return number;
    grammar_->rules_.emplace_back();
    std::vector<int32_t> elements;
    for (const Json& plain : alternatives_.of(schema, path)) {
      for (const int32_t element : plain_elements(plain, path, depth)) {
        if (std::find(elements.begin(), elements.end(), element) == elements.end()) elements.push_back(element);
      }
    }
    grammar_->rules_[static_cast<size_t>(number)].elements = std::move(elements);
    return number;
  }

  int32_t add(const std::string& key, Element element) {
    if (grammar_->elements_.size() >= most_elements)
      throw UserError("[json schema] the schema has more than {} parts", most_elements);
    const auto number = static_cast<int32_t>(grammar_->elements_.size());
    grammar_->elements_.push_back(std::move(element));
    if (!key.empty()) elements_[key] = number;
    return number;
  }

  int32_t automaton(const std::string& key, const std::function<ByteAutomaton()>& make) {
    if (const auto found = elements_.find(key); found != elements_.end()) return found->second;
    Element element;
    element.automaton = std::make_shared<const ByteAutomaton>(make());
    states_ += element.automaton->states();
    if (states_ > most_states)
      throw UserError("[json schema] the automata of the schema have more than {} states together", most_states);
    return add(key, std::move(element));
  }

  /// A value that there is not.
  int32_t nothing() {
    return automaton("nothing", [] { return ByteAutomaton({}, {}); });
  }

  std::vector<int32_t> plain_elements(const Json& plain, const std::string& path, int depth) {
    if (plain.contains("enum") || plain.contains("const")) return values(plain, path);
    std::vector<int32_t> elements;
    for (const std::string& type : types_of(plain)) {
      if (type == "null") elements.push_back(automaton("null", [] { return ByteAutomaton::of_texts({"null"}); }));
      if (type == "boolean")
        elements.push_back(automaton("boolean", [] { return ByteAutomaton::of_texts({"true", "false"}); }));
      if (type == "number" || type == "integer") elements.push_back(number(plain, type == "integer", path));
      if (type == "string") elements.push_back(string(plain, path));
      if (type == "array") elements.push_back(array(plain, path, depth));
      if (type == "object") elements.push_back(object(plain, path, depth));
    }
    return elements;
  }

  /// What the keywords beside an enum or a const say of its values.
  struct Conditions {
    std::optional<std::set<std::string>> types = {};
    Json others = {};                                         // all keywords but type
    std::optional<int32_t> of_strings = {}, of_numbers = {};  // elements; made when a value needs them
  };

  /// enum and const: the values that the other keywords allow, each written in one way.
  std::vector<int32_t> values(const Json& plain, const std::string& path) {
    const char* keyword = plain.contains("enum") ? "enum" : "const";
    const Json list = plain.contains("enum") ? plain["enum"] : Json::array({plain["const"]});
    Conditions conditions{.others = plain};
    if (plain.contains("type")) conditions.types = types_of(plain);
    for (const char* done : {"enum", "const", "type"}) conditions.others.erase(done);
    std::vector<std::string> texts;
    for (const Json& value : list) {
      if (plain.contains("enum") && plain.contains("const") && value != plain["const"]) continue;
      if (allowed(value, conditions, keyword, path)) texts.push_back(text_of(value));
    }
    if (texts.empty()) return {};
    std::sort(texts.begin(), texts.end());
    return {automaton("values " + fmt::format("{}", fmt::join(texts, "\n")),
                      [&] { return ByteAutomaton::of_texts(texts); })};
  }

  bool allowed(const Json& value, Conditions& conditions, const char* keyword, const std::string& path) {
    if (conditions.types && !has_type(value, *conditions.types)) return false;
    const Json& others = conditions.others;
    if (others.empty()) return true;
    if (value.is_structured())
      refuse(keyword, path, "a list or an object among the values cannot be checked against the other keywords");
    if (value.is_string() && has_any(others, {"minLength", "maxLength", "pattern", "format"})) {
      if (!conditions.of_strings) conditions.of_strings = string(others, path);
      return leaf_accepts(*conditions.of_strings, text_of(value));
    }
    if (value.is_number() &&
        has_any(others, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})) {
      if (!conditions.of_numbers) conditions.of_numbers = number(others, false, path);
      return leaf_accepts(*conditions.of_numbers, text_of(value));
    }
    return true;
  }

  static bool has_type(const Json& value, const std::set<std::string>& types) {
    const bool whole = value.is_number() && value.get<double>() == std::floor(value.get<double>());
    return (value.is_null() && types.count("null") != 0) || (value.is_boolean() && types.count("boolean") != 0) ||
           (value.is_number() && (types.count("number") != 0 || (whole && types.count("integer") != 0))) ||
           (value.is_string() && types.count("string") != 0) || (value.is_array() && types.count("array") != 0) ||
           (value.is_object() && types.count("object") != 0);
  }

  static bool has_any(const Json& schema, std::initializer_list<const char*> keywords) {
    return std::any_of(keywords.begin(), keywords.end(), [&](const char* keyword) { return schema.contains(keyword); });
  }

  /// `number`: an element for strings or for numbers.
  bool leaf_accepts(int32_t number, const std::string& text) const {
    const Element& leaf = grammar_->element(number);
    if (leaf.kind == Element::Kind::automaton) return leaf.automaton->accepts(text);
    int64_t state = leaf.string.start();
    for (const char c : text) state = state < 0 ? -1 : leaf.string.next(state, static_cast<uint8_t>(c));
    return state >= 0 && leaf.string.accepts(state);
  }

  int32_t number(const Json& plain, bool whole, const std::string& path) {
    NumberBounds bounds{.whole = whole};
    Json key = {{"whole", whole}};
    for (const char* keyword : {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"}) {
      if (!plain.contains(keyword)) continue;
      const Json& bound = plain[keyword];
      const std::string digits = bound.is_number() ? text_of(bound) : "";
      if (digits.empty() || std::fabs(bound.get<double>()) > 1e30 || digits.size() > 40 ||
          (bound != 0 && std::fabs(bound.get<double>()) < 1e-30))
        refuse(keyword, path, "want a number of at most 30 digits before and after the point");
      const bool low = std::string_view(keyword).ends_with("inimum"), excluded = keyword[0] == 'e';
      std::optional<Json>& side = low ? bounds.low : bounds.high;
      bool& side_excluded = low ? bounds.low_excluded : bounds.high_excluded;
      if (!side || (low ? bound >= *side : bound <= *side)) {
        side_excluded = excluded || (side && *side == bound && side_excluded);
        side = bound;
      }
      key[keyword] = bound;
    }
    if (plain.contains("multipleOf")) {
      const Json& multiple = plain["multipleOf"];
      const double value = multiple.is_number() ? multiple.get<double>() : 0;
      if (value < 1 || value > 1000 || value != std::floor(value))
        refuse("multipleOf", path, fmt::format("got {}, want a whole number from 1 to 1000", text_of(multiple)));
      bounds.multiple_of = static_cast<int64_t>(value);
      bounds.whole = true;
      key["multipleOf"] = bounds.multiple_of;
    }
    return automaton("number " + key.dump(), [&] { return number_automaton(bounds, path); });
  }

  int32_t string(const Json& plain, const std::string& path) {
    const int64_t least = count_of(plain, "minLength", path, 0);
    const int64_t most = count_of(plain, "maxLength", path, JsonString::unbounded);
    const std::string key = fmt::format("string {} {} ", least, most);
    std::vector<std::string> patterns;
    if (plain.contains("pattern")) {
      for (const Json& pattern : plain["pattern"].is_array() ? plain["pattern"] : Json::array({plain["pattern"]})) {
        patterns.push_back(pattern.get<std::string>());
      }
    }
    if (plain.contains("format")) {
      const std::string_view pattern = pattern_of_format(plain["format"].get<std::string>());
      if (pattern.empty())
        refuse("format", path, fmt::format("got {}, want one of: {}", text_of(plain["format"]), formats()));
      patterns.emplace_back(pattern);
    }
    if (!patterns.empty()) {
      return automaton(key + text_of(Json(patterns)), [&] {
        patterns_ += patterns.size();
        if (patterns_ > most_patterns) refuse("pattern", path, "the schema has more than 200 of them");
        return pattern_string(patterns, least, most, path);
      });
    }
    if (least > most) return nothing();
    if (const auto found = elements_.find(key); found != elements_.end()) return found->second;
    Element element;
    element.kind = Element::Kind::string;
    element.string = JsonString(least, most);
    return add(key, std::move(element));
  }

  static ByteAutomaton pattern_string(const std::vector<std::string>& patterns, int64_t least, int64_t most,
                                      const std::string& path) {
    ByteAutomaton all = pattern_automaton(patterns[0], path);
    for (size_t i = 1; i < patterns.size(); ++i) all = ByteAutomaton::both(all, pattern_automaton(patterns[i], path));
    if (all.empty() || (least == 0 && most == JsonString::unbounded)) return all;
    const JsonString counted(least, most);
    using State = std::pair<int32_t, int64_t>;
    const auto expand = [&](const State& state, const auto& emit) {
      for (int byte = 0; byte < 256; ++byte) {
        const State to(all.next(state.first, static_cast<uint8_t>(byte)),
                       counted.next(state.second, static_cast<uint8_t>(byte)));
        if (to.first >= 0 && to.second >= 0) emit(byte, to);
      }
    };
    return explore(
        State(0, counted.start()), expand,
        [&](const State& s) { return all.accepts(s.first) && counted.accepts(s.second); },
        fmt::format("keyword 'pattern' with minLength or maxLength at {}", path));
  }

  int32_t array(const Json& plain, const std::string& path, int depth) {
    Element element;
    element.kind = Element::Kind::array;
    ArrayRule& rule = element.array;
    rule.least = count_of(plain, "minItems", path, 0);
    rule.most = count_of(plain, "maxItems", path, endless);
    const bool old_tuple = plain.contains("items") && plain["items"].is_array();  // before 2020-12
    const char* first = old_tuple ? "items" : "prefixItems";
    const char* others = old_tuple ? "additionalItems" : "items";
    if (plain.contains(first)) {
      for (size_t i = 0; i < plain[first].size(); ++i)
        rule.first.push_back(value(plain[first][i], fmt::format("{}/{}/{}", path, first, i), depth + 1));
    }
    rule.items = value(plain.value(others, Json(true)), path + "/" + others, depth + 1);
    return rule.least <= rule.most ? add("", std::move(element)) : nothing();
  }

  int32_t object(const Json& plain, const std::string& path, int depth) {
    std::set<std::string> required;
    if (plain.contains("required")) {
      for (const Json& name : plain["required"]) required.insert(name.get<std::string>());
    }
    const Json unlisted = plain.value("additionalProperties", Json(true));
    Json properties = plain.value("properties", Json::object());
    for (const std::string& name : required) {
      if (!properties.contains(name)) properties[name] = unlisted;
    }
    const int64_t least = count_of(plain, "minProperties", path, 0);
    // An object that lists its properties and says nothing of further ones has none, as in OpenAI's strict mode: models would go on with
    // properties that nobody asked for, and a name of those may come twice.
    const bool closed = plain.contains("properties") && !plain.contains("additionalProperties") &&
                        least <= static_cast<int64_t>(properties.size());
    const Json other = closed ? Json(false) : unlisted;
    Element element;
    element.kind = Element::Kind::object;
    ObjectRule& rule = element.object;
    std::vector<std::string> names;
    for (const auto& [name, schema] : properties.items()) {
      const std::string key = Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
      names.push_back(name);
      rule.properties.push_back({.key = automaton("values " + key, [&] { return ByteAutomaton::of_texts({key}); }),
                                 .value = value(schema, path + "/properties/" + name, depth + 1),
                                 .required = required.count(name) != 0,
                                 .key_bytes = std::ssize(key)});
    }
    if (other != false) {
      std::string key = "other";
      for (const std::string& name : names) key += "\n" + name;
      rule.other_key = automaton(key, [&] { return other_keys(names); });
      rule.other_value = value(other, path + "/additionalProperties", depth + 1);
    }
    rule.most = count_of(plain, "maxProperties", path, endless);
    if (least > std::ssize(required)) {
      if (other != false || least < std::ssize(rule.properties))
        refuse("minProperties", path,
               "it is only enforced where the required properties are as many; want them listed as required");
      if (least > std::ssize(rule.properties)) rule.most = -1;
      for (Property& property : rule.properties) property.required = true;
    }
    const auto needed = std::ranges::count_if(rule.properties, [](const Property& one) { return one.required; });
    return needed <= rule.most ? add("", std::move(element)) : nothing();
  }

  SchemaAlternatives alternatives_;
  std::shared_ptr<JsonGrammar> grammar_ = std::make_shared<JsonGrammar>();
  std::unordered_map<std::string, int32_t> rules_, elements_;
  size_t states_ = 0, patterns_ = 0;
};

std::shared_ptr<const JsonGrammar> JsonGrammar::of_schema(const Json& schema) {
  if (depth_of(schema, deepest_schema + 1) > deepest_schema)
    throw UserError("[json schema] the schema is nested deeper than {} levels", deepest_schema);
  if (text_of(schema).size() > most_schema)
    throw UserError("[json schema] the schema has more than {} bytes", most_schema);
  return SchemaCompiler(schema).compile(schema);
}

std::shared_ptr<const JsonGrammar> JsonGrammar::any_object() { return of_schema({{"type", "object"}}); }

}  // namespace tessera::generate
