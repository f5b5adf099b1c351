// What a schema means without $ref, allOf, anyOf and oneOf: a list of plain schemas of which a value satisfies at least one.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/json.h"

namespace tessera::generate {

/// Whether a keyword says something about a value, or only describes it.
bool asserts(const std::string& keyword);

/// The types that a plain schema allows: its `type`, the type of its values, or else the types that its keywords are about; all where it
/// has none. "integer" is left out where there is "number".
std::set<std::string> types_of(const Json& plain);

class SchemaAlternatives {
 public:
  /// `root`: what references are looked up in.
  explicit SchemaAlternatives(const Json& root) : root_(root) {}

  /// Plain schemas (objects), none where nothing can be valid. Throws UserError, with `path`, for keywords that are not enforced, for references
  /// that lead nowhere, and for a oneOf whose parts may be valid together.
  std::vector<Json> of(const Json& schema, const std::string& path, int depth = 0) const;

 private:
  const Json& resolved(const std::string& reference, const std::string& path) const;
  void check_disjoint(const std::vector<std::vector<Json>>& parts, const std::string& path, int depth) const;
  bool disjoint(const Json& a, const Json& b, const std::string& path, int depth) const;
  bool told_apart_by_a_property(const Json& a, const Json& b, const std::string& path, int depth) const;
  const Json& root_;
  mutable int64_t work_ = 0;  // schemas looked at
};

/// A schema of what both allow. Throws UserError for keywords that cannot be joined.
Json joined(const Json& a, const Json& b, const std::string& path);

}  // namespace tessera::generate
