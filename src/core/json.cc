// Parsing and printing of JSON and TOML; both become the same tree, so structs are read by one path.
#include "core/json.h"

#include <sstream>

#include <toml++/toml.h>

#include "core/files.h"

namespace tessera {

namespace {
Json from_toml(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    Json tree = Json::object();
    for (const auto& [key, value] : *table) tree[std::string(key.str())] = from_toml(value);
    return tree;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& item : *array) list.push_back(from_toml(item));
    return list;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  throw UserError("[toml] line {}: dates and times have no use here; write a text in quotes", node.source().begin.line);
}

toml::array to_toml_array(const Json& list);
toml::table to_toml_table(const Json& tree);

template <class Insert> void insert_toml(const Json& value, Insert insert) {
  if (value.is_object()) insert(to_toml_table(value));
  else if (value.is_array()) insert(to_toml_array(value));
  else if (value.is_boolean()) insert(value.get<bool>());
  else if (value.is_number_integer()) insert(value.get<int64_t>());
  else if (value.is_number()) insert(value.get<double>());
  else if (value.is_string()) insert(value.get<std::string>());
}

toml::array to_toml_array(const Json& list) {
  toml::array array;
  for (const auto& item : list) insert_toml(item, [&](auto value) { array.push_back(std::move(value)); });
  return array;
}

toml::table to_toml_table(const Json& tree) {
  toml::table table;
  for (const auto& [key, item] : tree.items()) {
    insert_toml(item, [&, &name = key](auto value) { table.insert(name, std::move(value)); });
  }
  return table;
}

std::string described(const Json& value) {
  std::string text = value.dump();
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}
}  // namespace

Json parse_json(std::string_view text, std::string_view source) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, std::min<size_t>(error.byte, text.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    throw UserError("[json] {} line {}: not valid JSON", source, line);
  }
}

Json read_json_file(const Path& path) { return parse_json(read_file(path), path.string()); }

Json parse_toml(std::string_view text, std::string_view source) {
  try {
    return from_toml(toml::parse(text, source));
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    throw UserError("[toml] {} line {}, column {}: {}", source, where.line, where.column, error.description());
  }
}

Json read_toml_file(const Path& path) { return parse_toml(read_file(path), path.string()); }

std::string to_toml(const Json& tree) {
  std::ostringstream text;
  text << to_toml_table(tree) << '\n';
  return text.str();
}

namespace detail {
void throw_unknown_key(std::string_view source, std::string_view path, std::string_view key,
                       const std::vector<std::string>& known) {
  const std::string full = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  throw UserError("[config] {}: unknown key '{}'; did you mean '{}'?", source, full, nearest_word(key, known));
}

void throw_wrong_type(std::string_view source, std::string_view path, const Json& got, std::string_view want) {
  throw UserError("[config] {}: '{}' is {}, want {}", source, path, described(got), want);
}
}  // namespace detail

}  // namespace tessera
