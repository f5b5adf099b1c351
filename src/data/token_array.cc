// A token file is a safetensors file of two tensors; its metadata hold the key and a digest of both.
#include "data/token_array.h"

#include <cstring>

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"

namespace tessera::data {

namespace {
template <class T> std::string_view bytes_of(std::span<const T> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

/// Of eight bytes at a time, so that checking a large file costs little more than reading it.
uint64_t quick_hash(std::string_view bytes) {
  uint64_t hash = bytes.size();
  for (size_t at = 0; at < bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<size_t>(8, bytes.size() - at));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 29;
  }
  return mix64(hash);
}

template <class T> std::span<const T> numbers(const SafetensorsFile& file, const char* name, Dtype dtype) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr || entry->dtype != dtype || entry->shape.size() != 1) return {};
  const std::string_view bytes = file.bytes(*entry);  // aligned: the writer puts wide formats first
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

std::string value_of(const SafetensorsFile& file, const char* name) {
  const auto found = file.metadata().find(name);
  return found == file.metadata().end() ? "" : found->second;
}
}  // namespace

TokenArray::TokenArray(std::vector<int32_t> tokens, std::vector<int64_t> ends)
    : own_tokens_(std::move(tokens)), own_ends_(std::move(ends)), tokens_(own_tokens_), ends_(own_ends_) {}

TokenArray::TokenArray(std::unique_ptr<SafetensorsFile> file)
    : file_(std::move(file)), tokens_(numbers<int32_t>(*file_, "tokens", Dtype::i32)),
      ends_(numbers<int64_t>(*file_, "ends", Dtype::i64)) {}

bool TokenArray::sound() const {
  int64_t before = 0;
  for (const int64_t end : ends_) {
    if (end < before) return false;
    before = end;
  }
  return before == std::ssize(tokens_);
}

uint64_t TokenArray::digest() const { return mix64(quick_hash(bytes_of(tokens_)) + quick_hash(bytes_of(ends_))); }

std::optional<TokenArray> TokenArray::open(const Path& file, const std::string& key) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    TokenArray array(std::make_unique<SafetensorsFile>(file));
    if (value_of(*array.file_, "key") != key) return std::nullopt;
    if (array.sound() && value_of(*array.file_, "digest") == fmt::format("{:016x}", array.digest())) return array;
    log_warning("[text] {} is damaged; the words are tokenised again", file.string());
  } catch (const Error& error) {
    log_warning("[text] {} cannot be used ({}); the words are tokenised again", file.string(), error.what());
  }
  return std::nullopt;
}

void TokenArray::save(const Path& file, const std::string& key, FileSystem& files) const {
  SafetensorsWriter writer;
  writer.add("tokens", Dtype::i32, {std::ssize(tokens_)}, bytes_of(tokens_));
  writer.add("ends", Dtype::i64, {std::ssize(ends_)}, bytes_of(ends_));
  writer.set_metadata({{"key", key}, {"digest", fmt::format("{:016x}", digest())}});
  files.create_directories(file.parent_path());
  write_file_atomically(
      file, [&](WritableFile& out) { writer.write(out); }, files);
}

}  // namespace tessera::data
