// Tables of FlatBuffers, the encoding of Arrow's headers, read field by field. Nothing outside the buffer is ever read.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace tessera::eval {

/// A buffer whose reads are checked; little-endian, as the format and every machine of ours are.
struct FlatBuffer {
  std::string_view bytes;
  std::string_view source;  // names the file in errors

  [[noreturn]] void fail(std::string_view what) const { throw UserError("[eval] {}: {}", source, what); }
  template <class T> T read(uint64_t at) const {
    if (at > bytes.size() || bytes.size() - at < sizeof(T)) fail("a header points outside of itself");
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
  }
};

/// A vector: where its first element lies, and how many there are.
struct FlatVector {
  uint64_t at = 0;
  uint32_t count = 0;
};

/// A table; fields are numbered from 0 in the order of the format's schema, and each may be absent.
class FlatTable {
 public:
  FlatTable(const FlatBuffer& buffer, uint64_t at) : buffer_(&buffer), at_(at) {
    const auto back = buffer.read<int32_t>(at);
    if (back > 0 && static_cast<uint64_t>(back) > at) buffer.fail("a header points outside of itself");
    slots_ = at - static_cast<uint64_t>(static_cast<int64_t>(back));
    slots_size_ = buffer.read<uint16_t>(slots_);
  }
  /// The table that a buffer begins with.
  static FlatTable root(const FlatBuffer& buffer) { return {buffer, buffer.read<uint32_t>(0)}; }

  template <class T> T scalar(int field, T otherwise) const {
    const auto at = find(field);
    return at ? buffer_->read<T>(*at) : otherwise;
  }
  std::optional<FlatTable> table(int field) const {
    const auto at = target(field);
    return at ? std::optional(FlatTable(*buffer_, *at)) : std::nullopt;
  }
  /// Elements of `size` bytes each; all of them lie inside the buffer.
  FlatVector vector(int field, uint64_t size) const {
    const auto at = target(field);
    if (!at) return {};
    const FlatVector found{*at + sizeof(uint32_t), buffer_->read<uint32_t>(*at)};
    if (found.count * size > buffer_->bytes.size() - found.at)
      buffer_->fail("a header's list is longer than the header");
    return found;
  }
  /// Element `index` of a vector of tables.
  FlatTable element(const FlatVector& vector, uint32_t index) const {
    const uint64_t at = vector.at + uint64_t{index} * sizeof(uint32_t);
    return {*buffer_, at + buffer_->read<uint32_t>(at)};
  }
  std::string_view text(int field) const {
    const FlatVector found = vector(field, 1);
    return buffer_->bytes.substr(found.at, found.count);
  }

 private:
  std::optional<uint64_t> find(int field) const {
    const auto slot = static_cast<uint64_t>(4 + 2 * field);
    if (slot + sizeof(uint16_t) > slots_size_) return std::nullopt;
    const auto offset = buffer_->read<uint16_t>(slots_ + slot);
    return offset == 0 ? std::nullopt : std::optional(at_ + offset);
  }
  std::optional<uint64_t> target(int field) const {
    const auto at = find(field);
    return at ? std::optional(*at + buffer_->read<uint32_t>(*at)) : std::nullopt;
  }

  const FlatBuffer* buffer_;
  uint64_t at_, slots_ = 0, slots_size_ = 0;
};

}  // namespace tessera::eval
