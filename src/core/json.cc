// Parsing and printing of JSON and TOML; both become the same tree, so structs are read by one path.
#include "core/json.h"

#include <algorithm>
#include <sstream>

// toml++ asserts things about the input that hostile input breaks, and under NDEBUG assumes them. Its parser
// handles these cases anyway, so both are off here: without NDEBUG the macro below is all that is left.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include "core/files.h"

namespace tessera {

namespace {
constexpr int deepest_level = 100;  // far beyond any config; printing and copying a tree take stack by level

Json from_toml(const toml::node& node, std::string_view source, int depth = 0) {
  const auto line = node.source().begin.line;
  if (depth > deepest_level) {
    throw UserError("[toml] {} line {}: nested more than {} levels deep", source, line, deepest_level);
  }
  if (const auto* table = node.as_table()) {
    Json tree = Json::object();
    for (const auto& [key, value] : *table) tree[std::string(key.str())] = from_toml(value, source, depth + 1);
    return tree;
  }
  if (const auto* array = node.as_array()) {
    Json list = Json::array();
    for (const auto& item : *array) list.push_back(from_toml(item, source, depth + 1));
    return list;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* whole = node.as_integer()) return whole->get();
  if (const auto* real = node.as_floating_point()) return real->get();
  if (const auto* flag = node.as_boolean()) return flag->get();
  throw UserError("[toml] {} line {}: dates and times have no use here; write a text in quotes", source, line);
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

/// One line of ASCII, cut when long: a tree may hold any text.
std::string described(const Json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

/// A key as described(), without the quotes.
std::string described_key(std::string_view key) {
  const std::string text = described(Json(key));
  return text.ends_with('"') ? text.substr(1, text.size() - 2) : text.substr(1);
}

/// A parser's own words, which may quote any byte of the input.
std::string one_line(std::string_view words) {
  std::string text(words.substr(0, 200));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}
}  // namespace

Json parse_json(std::string_view text, std::string_view source) {
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > deepest_level) throw UserError("[json] {}: nested more than {} levels deep", source, deepest_level);
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::out_of_range&) {
    throw UserError("[json] {}: a number is too large for 64 bits", source);
  } catch (const Json::parse_error& error) {
    const std::string_view before = text.substr(0, std::min<size_t>(error.byte, text.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    throw UserError("[json] {} line {}: not valid JSON", source, line);
  }
}

Json read_json_file(const Path& path) { return parse_json(read_file(path), path.string()); }

Json parse_toml(std::string_view text, std::string_view source) {
  try {
    return from_toml(toml::parse(text, source), source);
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    const std::string words = one_line(error.description());
    throw UserError("[toml] {} line {}, column {}: {}", source, where.line, where.column, words);
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
  const std::string shown = described_key(key);
  const std::string full = path.empty() ? shown : fmt::format("{}.{}", path, shown);
  throw UserError("[config] {}: unknown key '{}'; did you mean '{}'?", source, full, nearest_word(key, known));
}

void throw_wrong_type(std::string_view source, std::string_view path, const Json& got, std::string_view want) {
  throw UserError("[config] {}: '{}' is {}, want {}", source, path, described(got), want);
}
}  // namespace detail

}  // namespace tessera
