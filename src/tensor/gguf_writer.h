// Writes GGUF version 3 files, as parse_gguf() reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"
#include "tensor/gguf.h"

namespace tessera {

/// Gathers metadata and tensors and writes them as one file, in the order in which they were given.
class GgufWriter {
 public:
  void set(std::string_view key, std::string_view text);
  void set(std::string_view key, const char* text) { set(key, std::string_view(text)); }
  void set(std::string_view key, bool flag);
  void set(std::string_view key, uint32_t number);
  void set(std::string_view key, float number);
  void set(std::string_view key, const std::vector<std::string_view>& texts);
  void set(std::string_view key, const std::vector<bool>& flags);
  void set(std::string_view key, const std::vector<int32_t>& numbers);
  void set(std::string_view key, const std::vector<float>& numbers);

  /// A value as another file has it.
  void copy(std::string_view key, const GgufValue& value);

  /// A tensor whose bytes `write` appends when the file is written, so that one tensor is in memory at a time. `shape`: slowest
  /// dimension first; its last is a multiple of the type's block.
  void add(std::string name, const GgufType& type, std::vector<int64_t> shape,
           std::function<void(WritableFile&)> write);
  /// Bytes of a tensor of this type and shape.
  static uint64_t tensor_bytes(const GgufType& type, const std::vector<int64_t>& shape);

  /// Appends the whole file to `file`; neither syncs nor closes it.
  void write(WritableFile& file) const;

 private:
  struct Part {
    std::string name;
    const GgufType* type;
    std::vector<int64_t> shape;
    std::function<void(WritableFile&)> write;
  };
  void begin(std::string_view key, GgufValue::Kind kind);
  void begin_array(std::string_view key, GgufValue::Kind element, size_t count);
  std::string metadata_;
  uint64_t keys_ = 0;
  std::vector<Part> parts_;
};

}  // namespace tessera
