// A JSON schema as a pushdown automaton. What must stay true: whatever it lets through is valid against the schema, and from every state that it
// lets a text reach, the text can be completed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "generate/json/byte_automaton.h"
#include "generate/json/json_string.h"

namespace tessera::generate {

/// Bytes of the shortest text; `endless` where there is none.
inline constexpr int64_t endless = int64_t{1} << 50;

/// A value: one of several elements, by their numbers.
struct ValueRule {
  std::vector<int32_t> elements;
  int64_t shortest = endless;
  int32_t height = 1 << 20;  // levels of objects and lists that the shallowest one needs
};

struct Property {
  int32_t key = 0;    // an element: the name in quotes
  int32_t value = 0;  // a rule
  bool required = false;
  int64_t key_bytes = 0;
};

/// Properties come in the order of the schema, further ones after them.
struct ObjectRule {
  std::vector<Property> properties;
  std::optional<int32_t> other_key, other_value;  // element and rule of further properties; absent: there are none
  int64_t most = endless;                         // properties
  // what is left to do, for property p on; filled in when the grammar is complete
  std::vector<int64_t> rest;  // bytes after a value up to and with the closing bracket
  std::vector<int64_t> next;  // bytes from where a key is wanted
  std::vector<int32_t>
      next_required;  // the first that cannot be left out; the number of properties where there is none
  std::vector<int32_t> required_left;
  std::vector<int32_t> least_height;  // levels that the shallowest value among them needs
};

struct ArrayRule {
  std::vector<int32_t> first;    // rules of the first items
  std::optional<int32_t> items;  // of all others; absent: there are none
  int64_t least = 0, most = endless;
};

struct Element {
  enum class Kind { automaton, string, object, array };
  Kind kind = Kind::automaton;
  std::shared_ptr<const ByteAutomaton> automaton;
  JsonString string;
  ObjectRule object;
  ArrayRule array;
  int64_t shortest = endless;
  int32_t height = 1 << 20;
};

/// Made once of a schema; texts share it.
class JsonGrammar {
 public:
  static constexpr int32_t deepest = 64;  // objects and lists inside each other

  /// Throws UserError that names the keyword and its path for a keyword that is not enforced, for a schema that is none, and for one that
  /// no text satisfies.
  static std::shared_ptr<const JsonGrammar> of_schema(const Json& schema);
  /// Any JSON object.
  static std::shared_ptr<const JsonGrammar> any_object();

  const std::vector<Element>& elements() const { return elements_; }
  const ValueRule& rule(int32_t number) const { return rules_[static_cast<size_t>(number)]; }
  const Element& element(int32_t number) const { return elements_[static_cast<size_t>(number)]; }
  int32_t root() const { return root_; }
  /// Rule of item `index` of a list; absent: there is no such item.
  static std::optional<int32_t> item_rule(const ArrayRule& array, int64_t index) {
    if (index < std::ssize(array.first)) return array.first[static_cast<size_t>(index)];
    return array.items;
  }
  /// Bytes after `count` items up to and with the closing bracket.
  int64_t array_rest(const ArrayRule& array, int64_t count) const;

 private:
  friend class SchemaCompiler;
  void complete();
  int64_t shortest_of(const Element& element) const;
  int32_t height_of(const Element& element) const;
  void leave_out_the_impossible(Element& element) const;
  static void prepare(const JsonGrammar& grammar, ObjectRule& object);
  std::vector<Element> elements_;
  std::vector<ValueRule> rules_;
  int32_t root_ = 0;
};

}  // namespace tessera::generate
