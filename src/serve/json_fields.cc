// Reading is strict in types and lenient in names: clients send fields that other servers know.
#include "serve/json_fields.h"

#include <cmath>

#include "serve/api_error.h"

namespace tessera::serve {

namespace {

constexpr size_t deepest = 200;                   // brackets that are open at once; printing and copying recurse
constexpr size_t most_keys = 10000;               // of one object: each is compared with all that come before it
constexpr size_t most_comparisons = 100'000'000;  // of a text's keys, some 64 bytes at a time: a second at most

/// What makes a text too costly to read, in words that follow "the body"; "" where nothing does. Of a text that is no JSON, what comes
/// before the mistake counts, since that is read too.
std::string excess(std::string_view text) {
  std::vector<size_t> keys;  // of each bracket that is open
  size_t comparisons = 0, quote = 0, length = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c != '"') continue;
      quoted = false;
      length = i - quote;
    } else if (c == '"') {
      quoted = true;
      quote = i;
    } else if (c == '{' || c == '[') {
      if (keys.size() == deepest) return fmt::format("is nested more than {} deep", deepest);
      keys.push_back(0);
    } else if (c == '}' || c == ']') {
      if (keys.empty()) return "";
      keys.pop_back();
    } else if (c == ':' && !keys.empty()) {
      comparisons += keys.back() * (1 + length / 64);
      if (++keys.back() > most_keys) return fmt::format("has an object of more than {} keys", most_keys);
      if (comparisons > most_comparisons) return "has objects of too many or too long keys";
    }
  }
  return "";
}

std::string shown(const Json& value) {
  std::string text = wire(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

std::optional<Json> parse_json(std::string_view text) {
  if (!excess(text).empty()) return std::nullopt;
  Json tree = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (tree.is_discarded()) return std::nullopt;
  return tree;
}

std::optional<int64_t> whole_number(const Json& value) {
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (!(std::abs(number) <= 9e15) || number != std::floor(number)) return std::nullopt;
  } else if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) {
    return std::nullopt;
  }
  return value.get<int64_t>();
}

Json parse_body(std::string_view body) {
  auto tree = parse_json(body);
  if (const std::string why = tree ? "" : excess(body); !why.empty()) throw ApiError(400, "the body " + why);
  if (!tree) throw ApiError(400, "the body is no JSON");
  if (!tree->is_object()) throw ApiError(400, "the body is no JSON object");
  return std::move(*tree);
}

Fields::Fields(const Json& tree, std::string path) : tree_(&tree), path_(std::move(path)) {
  if (tree.is_object()) return;
  const std::string name = path_.empty() ? "the body" : path_.substr(0, path_.size() - 1);
  throw ApiError(400, fmt::format("'{}' is {}, want an object", name, shown(tree)), name);
}

const Json* Fields::find(std::string_view name) const {
  const auto found = tree_->find(std::string(name));
  return found == tree_->end() || found->is_null() ? nullptr : &*found;
}

void Fields::refuse(std::string_view name, const Json& got, std::string_view want) const {
  throw ApiError(400, fmt::format("'{}' is {}, want {}", path_of(name), shown(got), want), path_of(name));
}

const Json& Fields::required(std::string_view name) const {
  if (const Json* value = find(name)) return *value;
  throw ApiError(400, fmt::format("'{}' is missing", path_of(name)), path_of(name), "missing_required_parameter");
}

std::string Fields::text(std::string_view name, std::string usual) const {
  const Json* value = find(name);
  if (value == nullptr) return usual;
  if (!value->is_string()) refuse(name, *value, "a text");
  return value->get<std::string>();
}

std::string Fields::required_text(std::string_view name) const {
  required(name);
  return text(name);
}

std::optional<double> Fields::number(std::string_view name, double low, double high) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double got = value->is_number() ? value->get<double>() : NAN;
  if (!(got >= low && got <= high)) refuse(name, *value, fmt::format("a number from {} to {}", low, high));
  return got;
}

std::optional<int64_t> Fields::whole(std::string_view name, int64_t low, int64_t high) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto got = whole_number(*value);
  if (!got || *got < low || *got > high) refuse(name, *value, fmt::format("a whole number from {} to {}", low, high));
  return got;
}

bool Fields::flag(std::string_view name, bool usual) const {
  const Json* value = find(name);
  if (value == nullptr) return usual;
  if (!value->is_boolean()) refuse(name, *value, "true or false");
  return value->get<bool>();
}

const Json* Fields::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_object()) refuse(name, *value, "an object");
  return value;
}

const Json* Fields::list(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr && !value->is_array()) refuse(name, *value, "a list");
  return value;
}

std::vector<std::string> Fields::texts(std::string_view name, size_t most) const {
  const Json* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) return {value->get<std::string>()};
  const std::string want = fmt::format("a text or a list of at most {} texts", most);
  if (!value->is_array() || value->size() > most) refuse(name, *value, want);
  std::vector<std::string> all;
  for (const Json& item : *value) {
    if (!item.is_string()) refuse(name, *value, want);
    all.push_back(item.get<std::string>());
  }
  return all;
}

}  // namespace tessera::serve
