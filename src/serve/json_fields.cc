// Reading is strict in types and lenient in names: clients send fields that other servers know.
#include "serve/json_fields.h"

#include <cmath>

#include "serve/api_error.h"

namespace tessera::serve {

namespace {

/// Brackets that are open at once at most; printing and copying recurse.
constexpr int deepest = 200;

bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > deepest) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

std::string shown(const Json& value) {
  std::string text = wire(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

}  // namespace

std::optional<Json> parse_json(std::string_view text) {
  if (is_too_deep(text)) return std::nullopt;
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
  if (!tree && is_too_deep(body)) throw ApiError(400, fmt::format("the body is nested more than {} deep", deepest));
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
