// One list per struct: `template <class V> void fields(V& v, T& t)` names each field once, with its help text.
// JSON, TOML, command line, help and comparison are visitors over that list (see core/json.h, apps/options.h).
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tessera {

namespace detail {
struct AnyVisitor {
  template <class T> void operator()(std::string_view, T&, std::string_view) {}
};
template <class T> struct IsVector : std::false_type {};
template <class T> struct IsVector<std::vector<T>> : std::true_type {};
template <class T> struct IsOptional : std::false_type {};
template <class T> struct IsOptional<std::optional<T>> : std::true_type {};
}  // namespace detail

/// A struct that lists its fields; such structs nest.
template <class T>
concept HasFields = requires(detail::AnyVisitor& v, T& t) {
  fields(v, t);
};

/// Calls `visitor(name, const value, help)` for each field of a constant object.
template <class V, HasFields T> void visit_fields(V&& visitor, const T& object) {
  auto constant = [&](std::string_view name, auto& value, std::string_view help) {
    visitor(name, std::as_const(value), help);
  };
  fields(constant, const_cast<T&>(object));  // the list itself never writes
}

/// How many characters must be inserted, removed or replaced to make `b` of `a`.
size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word` in edit distance, or "" when `candidates` is empty.
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tessera
