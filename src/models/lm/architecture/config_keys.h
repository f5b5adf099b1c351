// Typed look at the keys of a config.json. Reading is by key, not strict; null counts as absent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/json.h"

namespace tessera::lm {

class Keys {
 public:
  Keys(const Json& tree, std::string_view source) : tree_(&tree), source_(source) {}

  const Json* find(std::string_view key) const {
    const auto found = tree_->find(std::string(key));
    return found == tree_->end() || found->is_null() ? nullptr : &*found;
  }
  bool names(std::string_view key) const { return tree_->contains(std::string(key)); }
  template <class T> std::optional<T> get(std::string_view key) const {
    std::optional<T> value;
    if (const Json* found = find(key)) from_json(*found, value, source_, std::string(key));
    return value;
  }
  template <class T> T need(std::string_view key) const {
    if (const auto value = get<T>(key)) return *value;
    throw UserError("[lm] {}: '{}' is missing", source_, key);
  }
  template <class T> T get_or(std::string_view key, T otherwise) const { return get<T>(key).value_or(otherwise); }
  /// A table under a key, such as the rotary settings.
  std::optional<Keys> table(std::string_view key) const {
    const Json* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->is_object()) throw UserError("[lm] {}: '{}' is no table", source_, key);
    return Keys(*found, source_);
  }
  const std::string& source() const { return source_; }

 private:
  const Json* tree_;
  std::string source_;
};

}  // namespace tessera::lm
