// JSON and TOML in and out of structs that list their fields. Reading is strict: an unknown key is an error that
// names the nearest valid one, and a value of the wrong type, or one that its field cannot hold, names its full path.
#pragma once

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/fields.h"

namespace tessera {

using Json = nlohmann::ordered_json;

/// Parses JSON text; `source` names it in errors. Throws UserError with the line of a text of several, or with the path of a number that is
/// beyond every floating-point number.
Json parse_json(std::string_view text, std::string_view source);
Json read_json_file(const std::filesystem::path& path);

/// Parses TOML into the same tree as JSON. Throws UserError with line and column.
Json parse_toml(std::string_view text, std::string_view source);
Json read_toml_file(const std::filesystem::path& path);
/// The TOML text of a tree of objects, arrays, strings, numbers and booleans (null is left out). Throws UserError for a
/// whole number above the 2^63 - 1 that TOML can hold, by its path.
std::string to_toml(const Json& tree);

namespace detail {
/// What parse_json does, for either kind of tree (`Json` or `nlohmann::json`); messages begin with `[room]`.
template <class Tree> Tree parse_tree(std::string_view text, std::string_view source, std::string_view room);

[[noreturn]] void throw_unknown_key(std::string_view source, std::string_view path, std::string_view key,
                                    const std::vector<std::string>& known);
[[noreturn]] void throw_wrong_type(std::string_view source, std::string_view path, const Json& got,
                                   std::string_view want);
/// The number that `tree` holds, which must lie from `low` (of real numbers: -high) to `high`. Throws UserError that
/// names the path, the value and the range.
int64_t signed_from(const Json& tree, int64_t low, int64_t high, std::string_view source, std::string_view path);
uint64_t unsigned_from(const Json& tree, uint64_t high, std::string_view source, std::string_view path);
double real_from(const Json& tree, double high, std::string_view source, std::string_view path);
}  // namespace detail

/// The tree of an object: every listed field, nested structs as objects, empty optionals as null.
template <class T> Json to_json(const T& value) {
  if constexpr (HasFields<T>) {
    Json tree = Json::object();
    visit_fields(
        [&](std::string_view name, const auto& field, std::string_view) { tree[std::string(name)] = to_json(field); },
        value);
    return tree;
  } else if constexpr (detail::IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(to_json(item));
    return list;
  } else if constexpr (detail::IsOptional<T>::value) {
    return value ? to_json(*value) : Json(nullptr);
  } else {
    return Json(value);
  }
}

/// Fills `value` from `tree`; fields that are absent keep their value. `source` names the file, `path` the position in it.
template <class T> void from_json(const Json& tree, T& value, std::string_view source, const std::string& path = "") {
  if constexpr (HasFields<T>) {
    if (!tree.is_object()) detail::throw_wrong_type(source, path, tree, "a table of fields");
    std::vector<std::string> known;
    auto read = [&](std::string_view name, auto& field, std::string_view) {
      known.emplace_back(name);
      const auto found = tree.find(std::string(name));
      const std::string inner = path.empty() ? std::string(name) : path + "." + std::string(name);
      if (found != tree.end()) from_json(*found, field, source, inner);
    };
    fields(read, value);
    for (const auto& [key, unused] : tree.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        detail::throw_unknown_key(source, path, key, known);
    }
  } else if constexpr (detail::IsVector<T>::value) {
    if (!tree.is_array()) detail::throw_wrong_type(source, path, tree, "a list");
    value.clear();
    for (size_t i = 0; i < tree.size(); ++i) {
      from_json(tree[i], value.emplace_back(), source, path + "[" + std::to_string(i) + "]");
    }
  } else if constexpr (detail::IsOptional<T>::value) {
    if (tree.is_null()) value.reset();
    else from_json(tree, value.emplace(), source, path);
  } else if constexpr (std::is_same_v<T, Json>) {
    value = tree;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!tree.is_boolean()) detail::throw_wrong_type(source, path, tree, "true or false");
    value = tree.get<bool>();
  } else if constexpr (std::is_integral_v<T>) {
    using Limits = std::numeric_limits<T>;
    if constexpr (std::is_signed_v<T>)
      value = static_cast<T>(detail::signed_from(tree, Limits::min(), Limits::max(), source, path));
    else value = static_cast<T>(detail::unsigned_from(tree, Limits::max(), source, path));
  } else if constexpr (std::is_floating_point_v<T>) {
    value = static_cast<T>(detail::real_from(tree, std::numeric_limits<T>::max(), source, path));
  } else {
    static_assert(std::is_same_v<T, std::string>, "give this type a fields() list or a case here");
    if (!tree.is_string()) detail::throw_wrong_type(source, path, tree, "a text in quotes");
    value = tree.get<std::string>();
  }
}

}  // namespace tessera
