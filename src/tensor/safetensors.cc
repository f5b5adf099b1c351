// Safetensors over a memory map, and the writer. The header's checks are in safetensors_header.cc.
#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>

#include "core/error.h"
#include "core/json.h"

namespace tessera {

static_assert(std::endian::native == std::endian::little,
              "safetensors stores little endian; this machine needs a byte swap");

int64_t scalar_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

SafetensorsFile::SafetensorsFile(const Path& path) : path_(path), file_(path) {
  SafetensorsHeader header = parse_safetensors(file_.bytes(), path.string());
  data_ = file_.bytes().substr(header.header_end);
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
  for (size_t i = 0; i < entries_.size(); ++i) by_name_.emplace(entries_[i].name, i);
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::string_view SafetensorsFile::bytes(const TensorEntry& entry) const {
  return data_.substr(entry.begin, entry.end - entry.begin);
}

void SafetensorsWriter::add(std::string name, Dtype dtype, std::vector<int64_t> shape, std::string_view bytes) {
  const uint64_t want = static_cast<uint64_t>(scalar_count(shape)) * dtype_bits(dtype) / 8;
  if (bytes.size() != want) {
    throw UserError("[safetensors] tensor '{}' {} {}: got {} bytes, want {}", name, dtype_name(dtype),
                    shape_text(shape), bytes.size(), want);
  }
  parts_.push_back({{std::move(name), dtype, std::move(shape), 0, 0}, bytes});
}

std::string SafetensorsWriter::header() const {
  Json tree = Json::object();
  if (!metadata_.empty()) tree["__metadata__"] = metadata_;
  std::string text = tree.dump();
  text.pop_back();  // entries are appended as text: an ordered tree would look each name up in all others
  for (const Part& part : parts_) {
    const TensorEntry& entry = part.entry;
    const Json value = {
        {"dtype", dtype_name(entry.dtype)}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
    text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", Json(entry.name).dump(), value.dump());
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data begins at a multiple of 8
  return text;
}

void SafetensorsWriter::write(WritableFile& file) {
  std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
    const auto width_a = dtype_size(a.entry.dtype), width_b = dtype_size(b.entry.dtype);
    return width_a != width_b ? width_a > width_b : a.entry.name < b.entry.name;
  });
  std::vector<std::string_view> names;
  uint64_t offset = 0;
  for (Part& part : parts_) {
    part.entry.begin = offset;
    part.entry.end = offset += part.bytes.size();
    names.push_back(part.entry.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw UserError("[safetensors] tensor '{}' was given twice", *twice);
  if (std::binary_search(names.begin(), names.end(), "__metadata__"))
    throw UserError("[safetensors] a tensor cannot be named '__metadata__'");

  const std::string text = header();
  std::string prefix(8, '\0');
  for (size_t i = 0; i < prefix.size(); ++i) prefix[i] = static_cast<char>(uint64_t{text.size()} >> (8 * i));
  file.append(prefix + text);
  for (const Part& part : parts_) file.append(part.bytes);
}

}  // namespace tessera
