// Parsing and printing of JSON and TOML; both become the same tree, so structs are read by one path.
#include "core/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

// toml++ asserts things about the input that hostile input breaks, and under NDEBUG assumes them. Its parser
// handles these cases anyway, so both are off here: without NDEBUG the macro below is all that is left.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include "core/files.h"
#include "core/placeholder.h"

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

toml::array to_toml_array(const Json& list, const std::string& path);
toml::table to_toml_table(const Json& tree, const std::string& path);

template <class Insert> void insert_toml(const Json& value, const std::string& path, Insert insert) {
  if (value.is_object()) insert(to_toml_table(value, path));
  else if (value.is_array()) insert(to_toml_array(value, path));
  else if (value.is_boolean()) insert(value.get<bool>());
  else if (value.is_number_integer()) {
    constexpr uint64_t most = std::numeric_limits<int64_t>::max();
    if (value.is_number_unsigned() && value.get<uint64_t>() > most)
      throw UserError("[toml] '{}' is {}, want at most {}, the largest number that TOML can hold", path,
                      value.get<uint64_t>(), most);
    insert(value.get<int64_t>());
  } else if (value.is_number()) insert(value.get<double>());
  else if (value.is_string()) insert(value.get<std::string>());
}

toml::array to_toml_array(const Json& list, const std::string& path) {
  toml::array array;
  for (size_t i = 0; i < list.size(); ++i)
    insert_toml(list[i], fmt::format("{}[{}]", path, i), [&](auto value) { array.push_back(std::move(value)); });
  return array;
}

toml::table to_toml_table(const Json& tree, const std::string& path) {
  toml::table table;
  for (const auto& [key, item] : tree.items()) {
    insert_toml(item, path.empty() ? key : fmt::format("{}.{}", path, key),
                [&, &name = key](auto value) { table.insert(name, std::move(value)); });
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

/// What Python writes for a number and JSON has no word for, where a parser stopped; "" for other faults.
std::string_view python_number(std::string_view text, size_t byte) {
  constexpr size_t read_ahead = 3;  // the parser has read the first characters of the word
  for (size_t back = 0; back <= read_ahead && back <= byte; ++back) {
    const size_t at = std::min(byte - back, text.size());
    const std::string_view rest = text.substr(at);
    for (const std::string_view word : {"NaN", "nan", "-Infinity"}) {
      if (rest.starts_with(word)) return word;
    }
    const bool negative = at > 0 && text[at - 1] == '-';
    if (rest.starts_with("Infinity")) return negative ? "-Infinity" : "Infinity";
  }
  return "";
}

/// The range of numbers that a parser of TOML found itself unable to hold, to be added to its own words.
std::string wanted(std::string_view words) {
  if (words.find("not representable in 64 bits") != std::string_view::npos)
    return fmt::format("; want a whole number from {} to {}", std::numeric_limits<int64_t>::min(),
                       std::numeric_limits<int64_t>::max());
  const bool real = words.find("parsing floating-point") != std::string_view::npos;
  if (real && words.find("could not be interpreted") != std::string_view::npos)
    return fmt::format("; want a number from -{0:.4g} to {0:.4g}", std::numeric_limits<double>::max());
  return "";
}
}  // namespace

Json parse_json(std::string_view text, std::string_view source) {
  return detail::parse_tree<Json>(text, source, "json");
}

Json read_json_file(const Path& path) {
  const std::string text = read_file(path);
  refuse_placeholder(text, path.string(), "json");
  return parse_json(text, path.string());
}

Json parse_toml(std::string_view text, std::string_view source) {
  try {
    return from_toml(toml::parse(text, source), source);
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    const std::string words = one_line(error.description());
    throw UserError("[toml] {} line {}, column {}: {}{}", source, where.line, where.column, words, wanted(words));
  }
}

Json read_toml_file(const Path& path) { return parse_toml(read_file(path), path.string()); }

std::string to_toml(const Json& tree) {
  std::ostringstream text;
  text << to_toml_table(tree, "") << '\n';
  return text.str();
}

namespace detail {
/// Where a parser stands in a text: the keys of the objects that are open.
class KeyPath {
 public:
  template <class Tree> void see(int depth, typename Tree::parse_event_t event, const Tree& parsed) {
    using Event = typename Tree::parse_event_t;
    if (event == Event::value || event == Event::object_start || event == Event::array_start) return;
    keys_.resize(static_cast<size_t>(depth));
    if (event == Event::key) keys_.back() = parsed.template get_ref<const std::string&>();
  }
  std::string text() const {
    std::string path;
    for (const std::string& key : keys_) {
      if (!key.empty()) path += (path.empty() ? "" : ".") + described_key(key);
    }
    return path;
  }

 private:
  std::vector<std::string> keys_;  // by depth; empty where a list is open
};

template <class Tree> Tree parse_tree(std::string_view text, std::string_view source, std::string_view room) {
  KeyPath path;
  const auto watch = [&](int depth, typename Tree::parse_event_t event, Tree& parsed) {
    if (depth > deepest_level) throw UserError("[{}] {}: nested more than {} levels deep", room, source, deepest_level);
    path.see(depth, event, parsed);
    return true;
  };
  try {
    return Tree::parse(text, watch);
  } catch (const typename Tree::out_of_range& error) {  // its words end with the number in single quotes
    std::string number(error.what());
    number = one_line(std::string_view(number).substr(std::min(number.find('\''), number.size())));
    throw UserError("[{}] {}: '{}' is {}, want a number from -{:.4g} to {:.4g}", room, source, path.text(), number,
                    std::numeric_limits<double>::max(), std::numeric_limits<double>::max());
  } catch (const typename Tree::parse_error& error) {
    const std::string_view word = python_number(text, error.byte);
    const std::string why =
        word.empty() ? "" : fmt::format(": {} is no number that JSON has, want a number or null", word);
    if (text.find('\n') == std::string_view::npos) throw UserError("[{}] {}: not valid JSON{}", room, source, why);
    const std::string_view before = text.substr(0, std::min<size_t>(error.byte, text.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    throw UserError("[{}] {} line {}: not valid JSON{}", room, source, line, why);
  }
}
template Json parse_tree<Json>(std::string_view, std::string_view, std::string_view);
template nlohmann::json parse_tree<nlohmann::json>(std::string_view, std::string_view, std::string_view);

void throw_unknown_key(std::string_view source, std::string_view path, std::string_view key,
                       const std::vector<std::string>& known) {
  const std::string shown = described_key(key);
  const std::string full = path.empty() ? shown : fmt::format("{}.{}", path, shown);
  throw UserError("[config] {}: unknown key '{}'; did you mean '{}'?", source, full, nearest_word(key, known));
}

void throw_wrong_type(std::string_view source, std::string_view path, const Json& got, std::string_view want) {
  throw UserError("[config] {}: '{}' is {}, want {}", source, path, described(got), want);
}

int64_t signed_from(const Json& tree, int64_t low, int64_t high, std::string_view source, std::string_view path) {
  const bool beyond =
      tree.is_number_float() && std::abs(tree.get<double>()) >= 0x1p63;  // more digits than 64 bits hold
  if (!tree.is_number_integer() && !beyond) throw_wrong_type(source, path, tree, "a whole number");
  const bool above = tree.is_number_unsigned() && tree.get<uint64_t>() > static_cast<uint64_t>(high);
  if (beyond || above || (!tree.is_number_unsigned() && (tree.get<int64_t>() < low || tree.get<int64_t>() > high)))
    throw_wrong_type(source, path, tree, fmt::format("a whole number from {} to {}", low, high));
  return tree.get<int64_t>();
}

uint64_t unsigned_from(const Json& tree, uint64_t high, std::string_view source, std::string_view path) {
  const bool beyond = tree.is_number_float() && std::abs(tree.get<double>()) >= 0x1p63;
  if (!tree.is_number_integer() && !beyond) throw_wrong_type(source, path, tree, "a whole number");
  const bool below = !tree.is_number_unsigned() && !beyond && tree.get<int64_t>() < 0;
  if (beyond || below || tree.get<uint64_t>() > high)
    throw_wrong_type(source, path, tree, fmt::format("a whole number from 0 to {}", high));
  return tree.get<uint64_t>();
}

double real_from(const Json& tree, double high, std::string_view source, std::string_view path) {
  if (!tree.is_number()) throw_wrong_type(source, path, tree, "a number");
  const double value = tree.get<double>();
  if (std::isfinite(value) && std::abs(value) <= high) return value;
  const std::string shown = std::isnan(value)   ? "nan"
                            : std::isinf(value) ? (value < 0 ? "-inf" : "inf")
                                                : described(tree);
  throw UserError("[config] {}: '{}' is {}, want a number from {:.4g} to {:.4g}", source, path, shown, -high, high);
}
}  // namespace detail

}  // namespace tessera
