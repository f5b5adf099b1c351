// A vocabulary as one tree of bytes, so that tokens which begin alike are looked at together.
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer.h"

namespace tessera::generate {

/// Made once of a tokenizer. Control tokens are left out, and tokens without a text.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;    // after the last node below this one
    int32_t token = -1;  // that ends here
    uint16_t depth = 0;  // bytes up to and with this one
    uint8_t byte = 0;
  };
  explicit TokenTrie(const text::Tokenizer& tokenizer);

  /// In the order of a walk: a node, then all below it.
  const std::vector<Node>& nodes() const { return nodes_; }
  /// The next token with the same text, or -1.
  int32_t same(int32_t token) const { return same_[static_cast<size_t>(token)]; }
  /// Bytes of a token; empty for one that is left out.
  const std::string& text(int32_t token) const { return texts_[static_cast<size_t>(token)]; }
  int64_t vocabulary() const { return static_cast<int64_t>(texts_.size()); }
  int64_t longest() const { return longest_; }
  /// Whether a token at the beginning of a text loses a space that it has elsewhere.
  bool drops_first_space() const { return drops_first_space_; }

 private:
  std::vector<Node> nodes_;
  std::vector<int32_t> same_;
  std::vector<std::string> texts_;
  int64_t longest_ = 0;
  bool drops_first_space_ = false;
};

}  // namespace tessera::generate
