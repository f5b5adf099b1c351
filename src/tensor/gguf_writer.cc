// The layout of the format: everything little-endian, tensors at multiples of 32 bytes.
#include "tensor/gguf_writer.h"

#include "core/error.h"

namespace tessera {

namespace {

using Kind = GgufValue::Kind;
constexpr uint64_t gguf_alignment = 32;

template <class T> void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& to, std::string_view text) {
  put<uint64_t>(to, text.size());
  to += text;
}
uint64_t aligned(uint64_t bytes) { return (bytes + gguf_alignment - 1) / gguf_alignment * gguf_alignment; }

}  // namespace

void GgufWriter::begin(std::string_view key, Kind kind) {
  put_text(metadata_, key);
  put(metadata_, static_cast<uint32_t>(kind));
  ++keys_;
}

void GgufWriter::begin_array(std::string_view key, Kind element, size_t count) {
  begin(key, Kind::array);
  put(metadata_, static_cast<uint32_t>(element));
  put<uint64_t>(metadata_, count);
}

void GgufWriter::set(std::string_view key, std::string_view text) {
  begin(key, Kind::text);
  put_text(metadata_, text);
}

void GgufWriter::set(std::string_view key, bool flag) {
  begin(key, Kind::boolean);
  put<uint8_t>(metadata_, flag ? 1 : 0);
}

void GgufWriter::set(std::string_view key, uint32_t number) {
  begin(key, Kind::u32);
  put(metadata_, number);
}

void GgufWriter::set(std::string_view key, float number) {
  begin(key, Kind::f32);
  put(metadata_, number);
}

void GgufWriter::set(std::string_view key, const std::vector<std::string_view>& texts) {
  begin_array(key, Kind::text, texts.size());
  for (const std::string_view text : texts) put_text(metadata_, text);
}

void GgufWriter::set(std::string_view key, const std::vector<bool>& flags) {
  begin_array(key, Kind::boolean, flags.size());
  for (const bool flag : flags) put<uint8_t>(metadata_, flag ? 1 : 0);
}

void GgufWriter::set(std::string_view key, const std::vector<int32_t>& numbers) {
  begin_array(key, Kind::i32, numbers.size());
  for (const int32_t number : numbers) put(metadata_, number);
}

void GgufWriter::set(std::string_view key, const std::vector<float>& numbers) {
  begin_array(key, Kind::f32, numbers.size());
  for (const float number : numbers) put(metadata_, number);
}

void GgufWriter::copy(std::string_view key, const GgufValue& value) {
  if (value.is_array()) begin_array(key, value.element, value.count);
  else begin(key, value.kind);
  if (value.kind == Kind::text) put_text(metadata_, value.bytes);
  else metadata_ += value.bytes;
}

void GgufWriter::add(std::string name, const GgufType& type, std::vector<int64_t> shape,
                     std::function<void(WritableFile&)> write) {
  parts_.push_back({std::move(name), &type, std::move(shape), std::move(write)});
}

uint64_t GgufWriter::tensor_bytes(const GgufType& type, const std::vector<int64_t>& shape) {
  return static_cast<uint64_t>(scalar_count(shape) / type.weights * type.bytes);
}

void GgufWriter::write(WritableFile& file) const {
  std::string head = "GGUF";
  put<uint32_t>(head, 3);
  put<uint64_t>(head, parts_.size());
  put<uint64_t>(head, keys_);
  head += metadata_;
  uint64_t offset = 0;
  for (const Part& part : parts_) {
    put_text(head, part.name);
    put(head, static_cast<uint32_t>(part.shape.size()));
    for (auto length = part.shape.rbegin(); length != part.shape.rend(); ++length)
      put(head, static_cast<uint64_t>(*length));
    put(head, part.type->id);
    put(head, offset);
    offset = aligned(offset + tensor_bytes(*part.type, part.shape));
  }
  head.resize(aligned(head.size()));
  file.append(head);
  for (const Part& part : parts_) {
    part.write(file);
    const uint64_t bytes = tensor_bytes(*part.type, part.shape);
    file.append(std::string(aligned(bytes) - bytes, '\0'));
  }
}

}  // namespace tessera
