// What a model has read, as a suffix array over its training tokens: where a run of tokens occurs and what follows it there, in
// O(log n) comparisons of the mapped file. What must stay true: a damaged file is refused, never searched.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/files.h"
#include "data/sample.h"
#include "tensor/safetensors.h"

namespace tessera::data {

class CitationIndex {
 public:
  /// Runs longer than this are treated as runs of this length.
  static constexpr int64_t longest = 256;

  /// Passages (windows, documents) follow one another in `tokens`; `ends[p]` is where passage p ends. No run goes from one
  /// into the next. Throws UserError for an empty corpus.
  static CitationIndex of(std::vector<int32_t> tokens, std::vector<int64_t> ends);
  /// The token windows of one pass; the source must have an end.
  static CitationIndex of_samples(const SampleSource& source);
  /// Maps the file that save() wrote. Throws UserError when it is no index or damaged, and when it was made with another
  /// tokenizer than the one whose `key` is given (text::fingerprint()).
  static CitationIndex open(const Path& file, const std::string& key);
  /// Throws UserError for a file that save() did not write; what it holds is not looked at.
  static void require(const SafetensorsFile& file);
  void save(const Path& file, const std::string& key, FileSystem& files = disk()) const;

  int64_t tokens() const { return std::ssize(tokens_); }
  int64_t passages() const { return std::ssize(ends_); }
  std::span<const int32_t> passage(int64_t p) const;
  /// Every id that follows `run` somewhere, once each, rising. Empty for an empty run.
  std::vector<int32_t> continuations(std::span<const int32_t> run) const;
  /// How many tokens from the beginning of `text` occur in the corpus as one run; at most `longest`.
  int64_t match(std::span<const int32_t> text) const;
  /// Where a run stands: a passage, and the token of it at which the run begins.
  struct Occurrence {
    int64_t passage = 0, at = 0;
    bool operator==(const Occurrence&) const = default;
  };
  struct Occurrences {
    std::vector<Occurrence> first;  // by passage and place, of those that come first in the index
    int64_t count = 0;              // of all
  };
  /// Where `run` occurs, at most `most` places of it. None for an empty run and for one longer than `longest`.
  Occurrences occurrences(std::span<const int32_t> run, size_t most) const;
  /// The longest run of `text`, from any position, that occurs in the corpus.
  int64_t longest_match(std::span<const int32_t> text) const;

 private:
  CitationIndex() = default;
  /// The rest of the passage from position `at` of the corpus, at most `longest`.
  std::span<const int32_t> passage_from(int64_t at) const;
  void sort();
  bool sound() const;
  std::string digest() const;

  std::unique_ptr<SafetensorsFile> file_;
  std::vector<int32_t> own_tokens_, own_suffixes_;
  std::vector<int64_t> own_ends_;
  std::span<const int32_t> tokens_, suffixes_;  // suffixes: positions of the corpus in the order of their suffixes
  std::span<const int64_t> ends_;
};

}  // namespace tessera::data
