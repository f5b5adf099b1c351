// Tokens that are found in a text before the model sees it: control tokens and words added to a vocabulary.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/byte_trie.h"
#include "text/regex.h"
#include "text/tokenizer.h"

namespace tessera::text {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;      // a control token
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool single_word = false;  // only where no word continues on either side
  bool normalized = true;    // looked for in the normalized text
  bool operator==(const AddedToken&) const = default;
};

/// Part of a text: an added token, or what is left for the model.
struct Section {
  Range range;
  std::optional<int32_t> id;
};

/// Parts joined to one text of valid UTF-8, with the ranges in which control tokens may occur.
struct JoinedText {
  std::string text;
  std::vector<Range> control;
};
JoinedText join(const std::vector<TextPart>& parts);
/// Whether `range` is inside one of `ranges`, which are in order and apart.
bool inside(const Range& range, const std::vector<Range>& ranges);

/// Finds tokens in a text; at each position the longest one.
class AddedTokenFinder {
 public:
  void add(const AddedToken& token, std::string_view content);
  /// Sections in order. Control tokens are found only inside one of the ranges of `control`; elsewhere they stay text.
  std::vector<Section> split(std::string_view text, const std::vector<Range>& control) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie contents_;  // to indices into tokens_
  bool begins_[256] = {};
};

/// The added tokens of one tokenizer, by id.
class AddedTokens {
 public:
  /// Empty contents are left out; an id or a content that comes again replaces the earlier one.
  void add(const AddedToken& token);
  const AddedToken* find(int32_t id) const;
  const AddedToken* find(std::string_view content) const;
  const std::map<int32_t, AddedToken>& by_id() const { return by_id_; }

 private:
  std::map<int32_t, AddedToken> by_id_;
  std::unordered_map<std::string, int32_t> ids_;
};

}  // namespace tessera::text
