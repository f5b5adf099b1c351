// See loose_json.h.
#include "text/loose_json.h"

#include "core/error.h"
#include "core/json.h"
#include "core/placeholder.h"

namespace tessera::text {

LooseJson parse_loose_json(std::string_view text, const std::string& source) {
  return tessera::detail::parse_tree<LooseJson>(text, source, "text");
}

LooseJson read_loose_json(const Path& path) {
  const std::string text = read_file(path);
  refuse_placeholder(text, path.string(), "text");
  return parse_loose_json(text, path.string());
}

const LooseJson& member(const LooseJson& object, const char* key) {
  static const LooseJson nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

bool flag(const LooseJson& object, const char* key, bool otherwise, const std::string& source) {
  const LooseJson& value = member(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) throw UserError("[text] {}: '{}' is {}, want true or false", source, key, shown(value));
  return value.get<bool>();
}

std::string words(const LooseJson& object, const char* key, const std::string& otherwise, const std::string& source) {
  const LooseJson& value = member(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_string()) throw UserError("[text] {}: '{}' is {}, want a text", source, key, shown(value));
  return value.get<std::string>();
}

int32_t token_id(const LooseJson& value, const std::string& source) {
  constexpr int64_t ids = int64_t{1} << 22;  // four times the largest vocabulary in use
  const bool valid = value.is_number_integer() &&
                     (value.is_number_unsigned() ? value.get<uint64_t>() < uint64_t{ids}
                                                 : value.get<int64_t>() >= 0 && value.get<int64_t>() < ids);
  if (!valid)
    throw UserError("[text] {}: {} is no token id, want a whole number from 0 to {}", source, shown(value), ids - 1);
  return value.get<int32_t>();
}

std::string shown(const LooseJson& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, LooseJson::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

}  // namespace tessera::text
