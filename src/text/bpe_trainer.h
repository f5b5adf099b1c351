// Learns a small byte-level BPE vocabulary from texts. The result depends on the words and their counts alone, not on
// their order; Tessera and the `tokenizers` library read the same from tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/files.h"
#include "text/loose_json.h"
#include "text/pre_tokenizer.h"

namespace tessera::text {

struct BpeTrainerOptions {
  int64_t vocabulary = 4096;  // tokens in all: special ones, 256 bytes, the rest merges
  /// Control tokens, with ids from 0. The first is put before every text, the second ends one.
  std::vector<std::string> special = {"<|begin|>", "<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"};
  std::string begin = "<|begin|>";  // bos_token; "" for none
  std::string end = "<|end|>";      // eos_token
  std::string pad = "<|pad|>";      // pad_token
  int64_t least = 2;                // a pair seen less often is not merged
};

/// What was learned. Tokens are bytes; `special` come first, then the 256 bytes, then what the merges make.
struct BpeVocabulary {
  std::vector<std::string> tokens;
  std::vector<std::pair<int32_t, int32_t>> merges;
};

class BpeTrainer {
 public:
  /// Throws UserError when the vocabulary has no room for the special tokens and 256 bytes, or a name is not among
  /// them.
  explicit BpeTrainer(BpeTrainerOptions options = {});

  /// Counts the words of one more text. Control tokens written in it are words like any other.
  void add(std::string_view text);
  /// Bytes that were counted so far.
  int64_t bytes() const { return bytes_; }
  size_t words() const { return counts_.size(); }

  /// May hold fewer tokens than asked for where the texts have no more pairs.
  BpeVocabulary train() const;
  /// Writes DIRECTORY/tokenizer.json and tokenizer_config.json (with the "plain" chat template where its tokens are
  /// there).
  void save(const BpeVocabulary& vocabulary, const Path& directory) const;

 private:
  LooseJson pipeline() const;

  BpeTrainerOptions options_;
  std::vector<std::unique_ptr<PreTokenizer>> pre_tokenizers_;
  std::unordered_map<std::string, int64_t> counts_;  // of words, in bytes
  int64_t bytes_ = 0;
};

}  // namespace tessera::text
