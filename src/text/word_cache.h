// What BPE over characters does once for words that come again: where a text may be cut into words, and their ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace tessera::text {

/// Ids of words that were met before. Any thread may ask; it stops growing when it is full.
class WordCache {
 public:
  /// Appends the ids of `word`; false where they are not known.
  bool find(std::string_view word, std::vector<int32_t>& ids) const;
  void keep(std::string_view word, const int32_t* ids, size_t count) const;

 private:
  static constexpr size_t shards = 16, words_per_shard = 4096, longest = 48;  // longest: bytes of a word
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> ids;
  };
  mutable Shard shards_[shards];
};

/// Cuts a text in which U+2581 is a space before runs of it, wherever no token reaches across: merges on one side then do not depend on
/// those on the other, so that words by themselves have the ids that they have in the text.
class BlankCuts {
 public:
  /// Every token that a merge can make.
  void add(std::string_view token) {
    for (size_t at = token.find(blank, 1); at != std::string_view::npos; at = token.find(blank, at + 1))
      before_.insert(character_before(token, at).code);
  }

  /// Calls take(word) for each word of `text`, in order.
  template <class Take> void words(std::string_view text, Take take) const {
    size_t begin = 0;
    for (size_t at = text.find(blank, 1); at != std::string_view::npos; at = text.find(blank, at + blank.size())) {
      const char32_t before = character_before(text, at).code;
      if (before == blank_code || (!before_.empty() && before_.contains(before))) continue;
      take(text.substr(begin, at - begin));
      begin = at;
    }
    if (begin < text.size()) take(text.substr(begin));
  }

 private:
  static constexpr char32_t blank_code = 0x2581;
  std::unordered_set<char32_t> before_;  // characters that some token has before a blank
};

}  // namespace tessera::text
