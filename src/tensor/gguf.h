// GGUF, the single-file format of llama.cpp and ollama (ggml/docs/gguf.md): a header, metadata by key, descriptions of tensors, then
// their numbers, plain or in blocks. Every file that opens is whole and consistent: no tensor leaves the file or overlaps another.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/weight_source.h"

namespace tessera {

/// A storage type of ggml: `bytes` for every `weights` numbers of a row.
struct GgufType {
  uint32_t id;
  std::string_view name;  // as ggml prints it: "f32", "q4_0", "q4_K"
  int64_t weights, bytes;
  std::optional<Dtype> dtype;  // of plain numbers; absent for blocks
};
/// Null when no type has this number or this name (large and small letters are the same).
const GgufType* gguf_type(uint32_t id);
const GgufType* gguf_type(std::string_view name);

/// A metadata value. Texts are views of the file; arrays are read when they are asked for.
class GgufValue {
 public:
  enum class Kind : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, text, array, u64, i64, f64 };

  Kind kind = Kind::u8;
  Kind element = Kind::u8;      // of an array
  uint64_t count = 0;           // of an array's elements
  std::string_view bytes = {};  // of the scalar, of the text, or of all elements

  bool is_array() const { return kind == Kind::array; }
  /// Whole numbers and booleans; absent for other kinds and for what int64 does not hold.
  std::optional<int64_t> whole() const;
  /// Any number or boolean; absent for texts and arrays.
  std::optional<double> number() const;
  std::optional<std::string_view> text() const;
  /// Of an array of texts, or of numbers; absent for other kinds and for arrays of arrays.
  std::optional<std::vector<std::string_view>> texts() const;
  std::optional<std::vector<double>> numbers() const;
};

struct GgufFile {
  uint32_t version = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<StoredTensor> tensors;  // in the order of the file; shapes slowest dimension first, as everywhere here

  const GgufValue* find(std::string_view key) const;
};

bool is_gguf(std::string_view bytes);
/// Reads and checks the whole file's `bytes`, of which everything returned is a view; `source` names it. Throws UserError for every
/// fault: another version, big-endian files, truncation, counts and lengths beyond the file, keys or tensors given twice, arrays
/// nested more than four deep, types that are not known, offsets that overlap, leave the file or are not aligned.
GgufFile parse_gguf(std::string_view bytes, std::string_view source);

/// Metadata as JSON, without arrays longer than `longest`.
Json gguf_json(const GgufFile& file, size_t longest = 64);

/// The files that belong to a split GGUF (NAME-00001-of-00003.gguf), in order; the file alone when it is not split. Throws UserError
/// when a part is missing.
std::vector<Path> gguf_parts(const Path& file, const GgufFile& header);

}  // namespace tessera
