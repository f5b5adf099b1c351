// Reading and writing recipes.
#include "train/recipe.h"

#include <charconv>

#include "core/error.h"

namespace tessera::train {

namespace {
/// The entry of a table, or, by its number from 0, of a list. `path` leads to it.
Json& entry_of(Json& place, const std::string& name, const std::string& path) {
  if (!place.is_array()) return place[name];
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number >= place.size())
    throw UserError("[recipe] '{}' names no entry of a list of {}, want 0 to {}", path, place.size(),
                    static_cast<int64_t>(place.size()) - 1);
  return place[number];
}

/// Writes the value of "a.b.c=VALUE" into the tree, making tables on the way.
void assign(Json& tree, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw UserError("[recipe] cannot read '{}'; want KEY=VALUE, as in train.steps=200", assignment);
  const std::string key = assignment.substr(0, equals), text = assignment.substr(equals + 1);
  Json parsed;
  try {
    parsed = parse_toml("value = " + text, "--set " + key);
  } catch (const UserError&) {
    parsed["value"] = text;  // a bare word is a text
  }
  if (parsed.size() != 1)
    throw UserError("[recipe] --set {}: got several settings in one value, want a --set for each", key);
  Json* place = &tree;
  size_t begin = 0;
  for (size_t dot = key.find('.'); dot != std::string::npos; begin = dot + 1, dot = key.find('.', begin)) {
    place = &entry_of(*place, key.substr(begin, dot - begin), key.substr(0, dot));
    if (!place->is_object() && !place->is_null() && !place->is_array())
      throw UserError("[recipe] '{}' is no table, so '{}' cannot be set", key.substr(0, dot), key);
  }
  entry_of(*place, key.substr(begin), key) = parsed["value"];
}
}  // namespace

Json read_settings(const Path& file, const std::vector<std::string>& overrides) {
  Json tree = read_toml_file(file);
  for (const std::string& assignment : overrides) assign(tree, assignment);
  return tree;
}

Recipe read_recipe(const Path& file, const std::vector<std::string>& overrides) {
  const Json tree = read_settings(file, overrides);
  Recipe recipe;
  from_json(tree, recipe, file.string());
  if (recipe.objective.empty()) throw UserError("[recipe] {}: 'objective' is missing", file.string());
  return recipe;
}

std::string starting_model(const Recipe& recipe) {
  std::string from;
  if (const auto found = recipe.model.find("from"); found != recipe.model.end())
    from_json(*found, from, "recipe", "model.from");
  return from;
}

std::string to_text(const Recipe& recipe) { return to_toml(to_json(recipe)); }

}  // namespace tessera::train
