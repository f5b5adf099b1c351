// Safetensors files: 8 bytes of header length (little endian), a JSON header, then the numbers of all tensors.
// Every file that opens is whole and consistent: the tensors cover its data exactly, without gaps or overlaps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera {

enum class Dtype {
  f64,
  f32,
  f16,
  bf16,
  f8_e4m3,
  f8_e5m2,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean,
  // Listed by what reads headers; no tensor of a module can be made of them.
  c64,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  f6_e2m3,
  f6_e3m2,
  f4
};

/// The name in a safetensors header, such as "BF16".
std::string_view dtype_name(Dtype dtype);
/// The format with that name; empty for a name that is not known.
std::optional<Dtype> dtype_from_name(std::string_view name);
/// Bits per number; formats of less than eight have no bytes of their own.
uint64_t dtype_bits(Dtype dtype);
/// Bytes per number, at least 1.
uint64_t dtype_size(Dtype dtype);
/// Whether tensors of the format can be read, not only listed.
bool is_readable(Dtype dtype);

/// One tensor of a file. Bytes [begin, end) are counted from the end of the header.
struct TensorEntry {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;

  bool operator==(const TensorEntry&) const = default;
};

/// Number of scalars of a shape; 1 for a scalar's empty shape.
int64_t scalar_count(const std::vector<int64_t>& shape);
/// "[3, 64, 64]".
std::string shape_text(const std::vector<int64_t>& shape);

struct SafetensorsHeader {
  uint64_t header_end = 0;           // where the data begins in the file
  std::vector<TensorEntry> entries;  // by begin
  std::map<std::string, std::string> metadata;
};
/// Reads and checks the header of a whole file's `bytes`; `source` names it. Throws UserError for every fault.
SafetensorsHeader parse_safetensors(std::string_view bytes, std::string_view source);

/// A memory-mapped safetensors file; pages are read when they are touched.
class SafetensorsFile {
 public:
  /// Throws UserError naming the file and its first fault when it is not a sound safetensors file.
  explicit SafetensorsFile(const Path& path);

  const Path& path() const { return path_; }
  /// In order of their bytes in the file.
  const std::vector<TensorEntry>& entries() const { return entries_; }
  /// Null when there is no such tensor.
  const TensorEntry* find(std::string_view name) const;
  /// The numbers of one of entries(); valid as long as this file lives. Not necessarily aligned.
  std::string_view bytes(const TensorEntry& entry) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  Path path_;
  MappedFile file_;
  std::string_view data_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::map<std::string, std::string> metadata_;
};

/// Gathers tensors and writes them as one file. The same tensors in any order give the same bytes: wide formats first
/// (so that all are aligned), then by name.
class SafetensorsWriter {
 public:
  /// `bytes` is not copied and must live until write(). Throws UserError for a name given twice or a size that does
  /// not fit the shape.
  void add(std::string name, Dtype dtype, std::vector<int64_t> shape, std::string_view bytes);
  void set_metadata(std::map<std::string, std::string> metadata) { metadata_ = std::move(metadata); }
  /// Appends the whole file to `file`; neither syncs nor closes it.
  void write(WritableFile& file);

 private:
  struct Part {
    TensorEntry entry;
    std::string_view bytes;
  };
  std::string header() const;

  std::vector<Part> parts_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace tessera
