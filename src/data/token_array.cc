// A token file is a safetensors file of two tensors; its metadata hold the key and a digest of both.
#include "data/token_array.h"

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "data/numbers_file.h"

namespace tessera::data {

TokenArray::TokenArray(std::vector<int32_t> tokens, std::vector<int64_t> ends)
    : own_tokens_(std::move(tokens)), own_ends_(std::move(ends)), tokens_(own_tokens_), ends_(own_ends_) {}

TokenArray::TokenArray(std::unique_ptr<SafetensorsFile> file)
    : file_(std::move(file)), tokens_(numbers_in<int32_t>(*file_, "tokens", Dtype::i32)),
      ends_(numbers_in<int64_t>(*file_, "ends", Dtype::i64)) {}

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
