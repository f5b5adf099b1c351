// What a SentencePiece model makes of a text: its normalizer, then unigram or BPE. Ids are those of the SentencePiece library; the time is
// n log n in the length of a text, whatever is in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_merges.h"
#include "text/byte_trie.h"
#include "text/sentencepiece_file.h"
#include "text/word_cache.h"

namespace tessera::text {

class SentencePieceEncoder {
 public:
  explicit SentencePieceEncoder(const SentencePieceFile& file);
  /// Appends the ids of `text` (valid UTF-8); no begin or end token is added.
  void encode(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  /// What the normalizer writes for the beginning of a text, and how many bytes of it that is for.
  struct Rewritten {
    std::string_view text;
    size_t length = 0;
  };
  Rewritten rewritten(std::string_view text, size_t at) const;
  Rewritten mapped(std::string_view text, size_t at) const;
  std::string normalized(std::string_view text) const;

  void prepare_bpe(const SentencePieceFile& file);
  std::vector<int32_t> symbols_of(std::string_view text) const;
  void add_symbol(int32_t symbol, std::string_view text, std::vector<int32_t>& ids) const;
  void add_symbols(const std::vector<int32_t>& symbols, std::string_view text, std::vector<int32_t>& ids) const;
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;
  void encode_unigram(std::string_view text, std::vector<int32_t>& ids) const;
  void encode_words(std::string_view text, std::vector<int32_t>& ids) const;
  void add(int32_t id, std::string_view text, std::vector<int32_t>& ids) const;

  // Of BPE: symbols are the ids of pieces, then characters that are no piece but part of one, then one number for all other characters.
  static constexpr int32_t no_symbol = INT32_MAX;

  SentencePieceFile::Model model_;
  bool byte_fallback_, blank_at_end_, adds_dummy_prefix_, removes_extra_blanks_;
  std::string_view space_;         // what a space becomes
  std::vector<uint32_t> map_;      // units of the normalizer's trie
  std::string map_texts_;          // what they point to
  std::vector<PieceKind> kinds_;   // of pieces, by id
  std::vector<float> scores_;      // likewise
  std::vector<uint32_t> lengths_;  // of symbols, in bytes
  ByteTrie symbols_,
      user_defined_;  // all pieces and characters that are symbols; what is found in a text before all else
  bool has_user_defined_ = false;
  int32_t byte_ids_[256] = {};
  int32_t unknown_;
  float lowest_score_, highest_score_;  // of normal pieces
  BpeMerges merges_;
  BlankCuts cuts_;
  WordCache cache_;
};

}  // namespace tessera::text
