// Documents as one flat array of token ids, in memory or mapped from a file. A file that is torn, or made from other words or
// another tokenizer, is as good as none: it is never read as tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "tensor/safetensors.h"

namespace tessera::data {

class TokenArray {
 public:
  /// `ends[d]`: where document d ends in `tokens`; the first begins at 0, each other where the one before ends.
  TokenArray(std::vector<int32_t> tokens, std::vector<int64_t> ends);

  std::span<const int32_t> tokens() const { return tokens_; }
  std::span<const int64_t> ends() const { return ends_; }

  /// Maps the file that save() wrote under this `key`. Empty when there is none, when it is damaged (with a warning) or has
  /// another key.
  static std::optional<TokenArray> open(const Path& file, const std::string& key);
  /// Writes beside `file` and renames. Throws FaultError when the disk fails.
  void save(const Path& file, const std::string& key, FileSystem& files = disk()) const;

 private:
  explicit TokenArray(std::unique_ptr<SafetensorsFile> file);
  bool sound() const;
  uint64_t digest() const;

  std::unique_ptr<SafetensorsFile> file_;
  std::vector<int32_t> own_tokens_;
  std::vector<int64_t> own_ends_;
  std::span<const int32_t> tokens_;
  std::span<const int64_t> ends_;
};

}  // namespace tessera::data
