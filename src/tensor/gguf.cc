// Reading: a cursor that never passes the end, and checks of everything that a later reader takes for granted.
#include "tensor/gguf.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "core/error.h"

namespace tessera {

namespace {

constexpr uint64_t longest_name = 1 << 16;  // of keys (the format's own bound) and tensors
constexpr int deepest_array = 4;
constexpr uint32_t most_dimensions = 4;

using Kind = GgufValue::Kind;

/// Bytes of one number of a kind; 0 for texts and arrays.
uint64_t size_of(Kind kind) {
  constexpr uint64_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return sizes[static_cast<size_t>(kind)];
}

template <class T> T read_plain(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// What is left to read of a file.
class Cursor {
 public:
  Cursor(std::string_view bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  uint64_t at() const { return at_; }
  std::string_view take(uint64_t count, std::string_view what) {
    if (count > bytes_.size() - at_)
      throw UserError("[gguf] {}: the file ends inside {}: {} bytes wanted at byte {} of {}", source_, what, count, at_,
                      bytes_.size());
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  template <class T> T number(std::string_view what) { return read_plain<T>(take(sizeof(T), what)); }
  std::string_view text(std::string_view what) { return take(number<uint64_t>(what), what); }
  std::string name(std::string_view what) {
    const auto length = number<uint64_t>(what);
    if (length == 0 || length > longest_name)
      throw UserError("[gguf] {}: {} of {} bytes at byte {}, want 1 to {}", source_, what, length, at_, longest_name);
    std::string name(take(length, what));
    const auto prints = [](char letter) { return letter > ' ' && letter <= '~'; };
    if (!std::ranges::all_of(name, prints))
      throw UserError("[gguf] {}: {} before byte {} holds blanks or control characters, want letters, digits and marks",
                      source_, what, at_);
    return name;
  }
  Kind kind(std::string_view what) {
    const auto id = number<uint32_t>(what);
    if (id > static_cast<uint32_t>(Kind::f64))
      throw UserError("[gguf] {}: {} has a value of type {}, want 0 to 12", source_, what, id);
    return static_cast<Kind>(id);
  }

  GgufValue value(const std::string& key) {
    GgufValue value{.kind = kind(key)};
    if (value.kind == Kind::text) {
      value.bytes = text(key);
    } else if (value.kind == Kind::array) {
      array(value, key, 1);
    } else {
      value.bytes = take(size_of(value.kind), key);
    }
    return value;
  }

 private:
  void array(GgufValue& value, const std::string& key, int depth) {
    if (depth > deepest_array)
      throw UserError("[gguf] {}: {} nests arrays more than {} deep", source_, key, deepest_array);
    value.element = kind(key);
    value.count = number<uint64_t>(key);
    const uint64_t left = bytes_.size() - at_, each = std::max<uint64_t>(1, size_of(value.element));
    if (value.count > left / each)
      throw UserError("[gguf] {}: {} is an array of {} elements, but {} bytes of the file are left", source_, key,
                      value.count, left);
    const uint64_t begin = at_;
    if (const uint64_t size = size_of(value.element)) {
      take(size * value.count, key);
    } else {
      for (uint64_t i = 0; i < value.count; ++i) {
        if (value.element == Kind::text) {
          text(key);
        } else {
          GgufValue inner{.kind = Kind::array};
          array(inner, key, depth + 1);
        }
      }
    }
    value.bytes = bytes_.substr(begin, at_ - begin);
  }

  std::string_view bytes_;
  std::string source_;
  uint64_t at_ = 0;
};

/// A tensor as described, before it is known where the numbers begin.
struct Described {
  StoredTensor tensor;
  uint64_t offset = 0, size = 0;
};

uint64_t checked_size(const GgufType& type, const std::vector<int64_t>& shape, const std::string& name,
                      std::string_view source) {
  uint64_t blocks = static_cast<uint64_t>(shape.back()) / static_cast<uint64_t>(type.weights);
  if (shape.back() % type.weights != 0)
    throw UserError("[gguf] {}: tensor '{}' has rows of {} weights, want a multiple of {} for {}", source, name,
                    shape.back(), type.weights, type.name);
  constexpr uint64_t most = std::numeric_limits<int64_t>::max() / 1024;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    const auto length = static_cast<uint64_t>(shape[i]);
    if (blocks > 0 && length > most / blocks)
      throw UserError("[gguf] {}: tensor '{}' of shape {} is too large", source, name, shape_text(shape));
    blocks *= length;
  }
  if (blocks > most)
    throw UserError("[gguf] {}: tensor '{}' of shape {} is too large", source, name, shape_text(shape));
  return blocks * static_cast<uint64_t>(type.bytes);
}

Described read_tensor(Cursor& cursor, std::string_view source) {
  Described all;
  StoredTensor& tensor = all.tensor;
  tensor.name = cursor.name("a tensor's name");
  const auto dimensions = cursor.number<uint32_t>(tensor.name);
  if (dimensions == 0 || dimensions > most_dimensions)
    throw UserError("[gguf] {}: tensor '{}' has {} dimensions, want 1 to {}", source, tensor.name, dimensions,
                    most_dimensions);
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto length = cursor.number<uint64_t>(tensor.name);
    if (length > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      throw UserError("[gguf] {}: tensor '{}' has a dimension of {}", source, tensor.name, length);
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(length));  // files begin with the fastest
  }
  const auto id = cursor.number<uint32_t>(tensor.name);
  const GgufType* type = gguf_type(id);
  if (type == nullptr)
    throw UserError("[gguf] {}: tensor '{}' is of type {}, which is not known here", source, tensor.name, id);
  tensor.dtype = type->dtype.value_or(Dtype::f32);
  if (!type->dtype) tensor.blocks = type->name;
  all.offset = cursor.number<uint64_t>(tensor.name);
  all.size = checked_size(*type, tensor.shape, tensor.name, source);
  return all;
}

uint64_t alignment_of(const GgufFile& file, std::string_view source) {
  const GgufValue* value = file.find("general.alignment");
  if (value == nullptr) return 32;
  const int64_t alignment = value->whole().value_or(0);
  const bool power_of_two = alignment > 0 && (alignment & (alignment - 1)) == 0;
  if (!power_of_two || alignment > (1 << 20))
    throw UserError("[gguf] {}: general.alignment is {}, want a power of two up to 2^20", source, alignment);
  return static_cast<uint64_t>(alignment);
}

/// Gives every tensor its bytes.
void place(std::vector<Described>& tensors, std::string_view data, uint64_t alignment, std::string_view source) {
  std::vector<Described*> order;
  for (Described& each : tensors) {
    const std::string& name = each.tensor.name;
    if (each.offset % alignment != 0)
      throw UserError("[gguf] {}: tensor '{}' begins at byte {} of the data, want a multiple of {}", source, name,
                      each.offset, alignment);
    if (each.offset > data.size() || each.size > data.size() - each.offset)
      throw UserError(
          "[gguf] {}: tensor '{}' ({} bytes at byte {} of the data) leaves the file, which has {} bytes of data; "
          "it is incomplete or damaged",
          source, name, each.size, each.offset, data.size());
    each.tensor.bytes = data.substr(each.offset, each.size);
    order.push_back(&each);
  }
  std::ranges::sort(order, {}, &Described::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->size > order[i]->offset)
      throw UserError("[gguf] {}: tensors '{}' and '{}' overlap", source, order[i - 1]->tensor.name,
                      order[i]->tensor.name);
  }
}

void require_version(uint32_t version, std::string_view source) {
  if (version == 2 || version == 3) return;
  if ((version & 0xFFFF) == 0) throw UserError("[gguf] {}: a big-endian file, want a little-endian one", source);
  throw UserError("[gguf] {}: version {}, want 2 or 3", source, version);
}

}  // namespace

bool is_gguf(std::string_view bytes) { return bytes.starts_with("GGUF"); }

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : &found->second;
}

GgufFile parse_gguf(std::string_view bytes, std::string_view source) {
  if (!is_gguf(bytes)) throw UserError("[gguf] {}: does not begin with GGUF; it is no GGUF file", source);
  Cursor cursor(bytes, source);
  cursor.take(4, "the header");
  GgufFile file;
  file.version = cursor.number<uint32_t>("the header");
  require_version(file.version, source);
  const auto tensor_count = cursor.number<uint64_t>("the header"), key_count = cursor.number<uint64_t>("the header");
  constexpr uint64_t least_key = 8 + 1 + 4 + 1, least_tensor = 8 + 1 + 4 + 8 + 4 + 8;
  if (key_count > bytes.size() / least_key || tensor_count > bytes.size() / least_tensor)
    throw UserError("[gguf] {}: {} tensors and {} keys do not fit into {} bytes", source, tensor_count, key_count,
                    bytes.size());
  for (uint64_t i = 0; i < key_count; ++i) {
    std::string key = cursor.name("a key");
    const GgufValue value = cursor.value(key);
    if (!file.metadata.emplace(key, value).second) throw UserError("[gguf] {}: the key '{}' comes twice", source, key);
  }
  std::vector<Described> tensors;
  std::set<std::string_view> names;
  for (uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(read_tensor(cursor, source));
  for (const Described& each : tensors) {
    if (!names.insert(each.tensor.name).second)
      throw UserError("[gguf] {}: the tensor '{}' comes twice", source, each.tensor.name);
  }
  const uint64_t alignment = alignment_of(file, source);
  const uint64_t begin = (cursor.at() + alignment - 1) / alignment * alignment;
  place(tensors, begin <= bytes.size() ? bytes.substr(begin) : std::string_view(), alignment, source);
  for (Described& each : tensors) file.tensors.push_back(std::move(each.tensor));
  return file;
}

}  // namespace tessera
