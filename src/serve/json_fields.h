// Fields of a request's JSON, each with its type and its range; a mistake names the field as OpenAI's API does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace tessera::serve {

/// What a text says; nothing for what is no JSON and for what would hold the server up: nested more than 200 deep, since whoever prints or
/// copies a tree recurses, or more than 10,000 keys in one object, since they are looked up one by one.
std::optional<Json> parse_json(std::string_view text);

/// A whole number, also one that is written 16.0, as some clients do; nothing for anything else.
std::optional<int64_t> whole_number(const Json& value);

/// The body as an object. Throws ApiError 400 for what is no JSON, for one that is nested too deeply or has too many keys, and for anything
/// but an object.
Json parse_body(std::string_view body);

class Fields {
 public:
  /// `tree` must outlive it. `path` stands before the names: "messages[0].". Throws ApiError for what is no object.
  explicit Fields(const Json& tree, std::string path = "");
  /// The field, null where it is absent or null.
  const Json* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  /// Each throws ApiError 400 for a value of another type or out of range; absent fields give the default, and are refused by required_*.
  std::string text(std::string_view name, std::string usual = "") const;
  std::string required_text(std::string_view name) const;
  std::optional<double> number(std::string_view name, double low, double high) const;
  std::optional<int64_t> whole(std::string_view name, int64_t low, int64_t high) const;
  bool flag(std::string_view name, bool usual = false) const;
  const Json& required(std::string_view name) const;
  const Json* object(std::string_view name) const;
  const Json* list(std::string_view name) const;
  /// A text or a list of at most `most` texts.
  std::vector<std::string> texts(std::string_view name, size_t most) const;
  std::string path_of(std::string_view name) const { return path_ + std::string(name); }
  /// `want`: "a number from 0 to 2".
  [[noreturn]] void refuse(std::string_view name, const Json& got, std::string_view want) const;

 private:
  const Json* tree_;
  std::string path_;
};

}  // namespace tessera::serve
