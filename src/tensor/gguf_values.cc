// Metadata as numbers, texts and JSON, and the names of the parts of a split file.
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "tensor/gguf.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

using Kind = GgufValue::Kind;

template <class T> T plain_at(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// Calls `use` with the number of this kind at `at`; false for texts and arrays.
template <class F> bool with_number(Kind kind, const char* at, F use) {
  switch (kind) {
    case Kind::u8:
      use(plain_at<uint8_t>(at));
      return true;
    case Kind::i8:
      use(plain_at<int8_t>(at));
      return true;
    case Kind::u16:
      use(plain_at<uint16_t>(at));
      return true;
    case Kind::i16:
      use(plain_at<int16_t>(at));
      return true;
    case Kind::u32:
      use(plain_at<uint32_t>(at));
      return true;
    case Kind::i32:
      use(plain_at<int32_t>(at));
      return true;
    case Kind::f32:
      use(plain_at<float>(at));
      return true;
    case Kind::boolean:
      use(static_cast<uint8_t>(*at != 0));
      return true;
    case Kind::u64:
      use(plain_at<uint64_t>(at));
      return true;
    case Kind::i64:
      use(plain_at<int64_t>(at));
      return true;
    case Kind::f64:
      use(plain_at<double>(at));
      return true;
    case Kind::text:
    case Kind::array:
      return false;
  }
  return false;
}

Json scalar_json(Kind kind, const char* at) {
  Json value;
  with_number(kind, at, [&](auto number) { value = number; });
  if (kind == Kind::boolean) value = *at != 0;
  return value;
}

Json value_json(const GgufValue& value) {
  if (const auto text = value.text()) return std::string(*text);
  if (!value.is_array()) return scalar_json(value.kind, value.bytes.data());
  Json all = Json::array();
  if (const auto texts = value.texts()) {
    for (const std::string_view text : *texts) all.push_back(std::string(text));
  } else if (const auto numbers = value.numbers()) {
    const size_t step = value.count == 0 ? 0 : value.bytes.size() / value.count;
    for (uint64_t i = 0; i < value.count; ++i) all.push_back(scalar_json(value.element, value.bytes.data() + i * step));
  } else {
    return Json();
  }
  return all;
}

}  // namespace

std::optional<int64_t> GgufValue::whole() const {
  std::optional<int64_t> result;
  if (kind == Kind::text || is_array()) return result;
  with_number(kind, bytes.data(), [&](auto number) {
    if constexpr (std::is_integral_v<decltype(number)>) {
      if (std::in_range<int64_t>(number)) result = static_cast<int64_t>(number);
    }
  });
  return result;
}

std::optional<double> GgufValue::number() const {
  std::optional<double> result;
  if (kind == Kind::text || is_array()) return result;
  with_number(kind, bytes.data(), [&](auto number) { result = static_cast<double>(number); });
  return result;
}

std::optional<std::string_view> GgufValue::text() const {
  return kind == Kind::text ? std::optional(bytes) : std::nullopt;
}

std::optional<std::vector<std::string_view>> GgufValue::texts() const {
  if (!is_array() || element != Kind::text) return std::nullopt;
  std::vector<std::string_view> all;
  all.reserve(count);
  size_t at = 0;  // lengths were checked when the file was parsed
  for (uint64_t i = 0; i < count; ++i) {
    const auto length = plain_at<uint64_t>(bytes.data() + at);
    all.push_back(bytes.substr(at + sizeof length, length));
    at += sizeof length + length;
  }
  return all;
}

std::optional<std::vector<double>> GgufValue::numbers() const {
  if (!is_array() || element == Kind::text || element == Kind::array) return std::nullopt;
  std::vector<double> all;
  all.reserve(count);
  const size_t step = count == 0 ? 0 : bytes.size() / count;
  for (uint64_t i = 0; i < count; ++i)
    with_number(element, bytes.data() + i * step, [&](auto number) { all.push_back(static_cast<double>(number)); });
  return all;
}

Json gguf_json(const GgufFile& file, size_t longest) {
  Json all = Json::object();
  for (const auto& [key, value] : file.metadata) {
    if (!value.is_array() || value.count <= longest) all[key] = value_json(value);
  }
  return all;
}

std::vector<Path> gguf_parts(const Path& file, const GgufFile& header) {
  const GgufValue* split = header.find("split.count");
  const int64_t count = split == nullptr ? 1 : split->whole().value_or(0);
  if (count <= 1) return {file};
  constexpr int64_t most = 99999;  // five digits
  const std::string name = file.filename().string();
  const std::string end = fmt::format("-of-{:05}.gguf", count);
  constexpr size_t own = 6;  // "-00001"
  if (count > most || !name.ends_with(end) || name.size() < end.size() + own)
    throw UserError("[gguf] {} is a part of {}, want a name that ends with -NNNNN-of-{:05}.gguf", file.string(), count,
                    count);
  const std::string stem = name.substr(0, name.size() - end.size() - own);
  std::vector<Path> parts;
  for (int64_t i = 1; i <= count; ++i) {
    parts.push_back(file.parent_path() / fmt::format("{}-{:05}{}", stem, i, end));
    if (!fs::exists(parts.back()))
      throw UserError("[gguf] {} is a part of {}, and {} is missing; all parts are needed", file.string(), count,
                      parts.back().string());
  }
  return parts;
}

}  // namespace tessera
