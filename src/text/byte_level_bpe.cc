// Encoding and decoding; byte_level_bpe_read.cc reads the file.
#include "text/byte_level_bpe.h"

#include <algorithm>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace tessera::text {

std::string ByteLevelBpe::normalized(std::string_view text) const {
  std::string changed = compose_ ? nfc(text) : std::string(text);
  if (!characters_) return changed;
  std::string blanks;
  for (const char c : changed) c == ' ' ? blanks += blank : blanks += c;
  return blanks;
}

/// What the merges begin with: bytes, or characters with bytes for those that are no token.
std::vector<int32_t> ByteLevelBpe::symbols_of(std::string_view word) const {
  std::vector<int32_t> symbols;
  bool last_unknown = false;
  const auto unknown = [&] {
    if (unknown_ >= 0 && !(last_unknown && fuse_unknown_)) symbols.push_back(unknown_);
    last_unknown = true;
  };
  for (size_t at = 0; at < word.size();) {
    const size_t length = characters_ ? character_at(word, at).length : 1;
    const std::string_view character = word.substr(at, length);
    at += length;
    if (const auto known = characters_ ? id_of(character) : std::nullopt; known) {
      symbols.push_back(*known);
      last_unknown = false;
      continue;
    }
    const auto id_of_byte = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
    if (!std::all_of(character.begin(), character.end(), [&](char c) { return id_of_byte(c) >= 0; })) {
      unknown();
      continue;
    }
    for (const char c : character) symbols.push_back(id_of_byte(c));
    last_unknown = false;
  }
  return symbols;
}

void ByteLevelBpe::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  if (cache_.find(word, ids)) return;
  std::vector<int32_t> symbols;
  if (const auto whole = whole_words_.empty() ? whole_words_.end() : whole_words_.find(std::string(word));
      whole != whole_words_.end()) {
    symbols.push_back(whole->second);
  } else {
    symbols = symbols_of(word);
    merges_.apply(symbols);
  }
  cache_.keep(word, symbols.data(), symbols.size());
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void ByteLevelBpe::encode_section(std::string_view text, std::vector<int32_t>& ids) const {
  Words words;
  words.views.push_back(text);
  for (const auto& step : pre_tokenizers_) step->split(words);
  for (const std::string_view word : words.views) {
    if (cuts_at_blanks_) cuts_.words(word, [&](std::string_view part) { encode_word(part, ids); });
    else encode_word(word, ids);
  }
}

std::vector<int32_t> ByteLevelBpe::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_parts({{std::string(text), options.parse_special}}, options.add_special);
}

std::vector<int32_t> ByteLevelBpe::encode_parts(const std::vector<TextPart>& parts, bool add_special) const {
  const JoinedText joined = join(parts);
  std::vector<int32_t> ids;
  if (add_special) ids = prefix_;
  for (const Section& raw : raw_finder_.split(joined.text, joined.control)) {
    if (raw.id) {
      ids.push_back(*raw.id);
      continue;
    }
    const auto part = std::string_view(joined.text).substr(raw.range.begin, raw.range.end - raw.range.begin);
    const std::string text = normalized(part);
    // offsets are lost here: a control token that is looked for in normalized text needs its whole stretch to be
    // control
    std::vector<Range> control;
    if (inside(raw.range, joined.control)) control.push_back({0, text.size()});
    for (const Section& section : normalized_finder_.split(text, control)) {
      if (section.id) ids.push_back(*section.id);
      else
        encode_section(std::string_view(text).substr(section.range.begin, section.range.end - section.range.begin),
                       ids);
    }
  }
  if (add_special) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
  return ids;
}

const std::string& ByteLevelBpe::checked(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= tokens_.size())
    throw UserError("[text] token id {} is out of range; the vocabulary has {} tokens", id, tokens_.size());
  return tokens_[static_cast<size_t>(id)];
}

std::string ByteLevelBpe::text_of(int32_t id, bool) const {
  const std::string& token = checked(id);
  if (added_.find(id) != nullptr && (is_special(id) || !characters_)) return token;
  if (!characters_) return from_alphabet(token).value_or(token);
  if (const auto byte = byte_named(token)) return std::string(1, *byte);
  std::string text = token;
  for (size_t at = text.find(blank); at != std::string::npos; at = text.find(blank, at + 1))
    text.replace(at, blank.size(), " ");
  return text;
}

std::string ByteLevelBpe::decode(const std::vector<int32_t>& ids, bool skip_special) const {
  std::string text;
  for (const int32_t id : ids) {
    if (!(skip_special && is_special(id))) text += text_of(id, false);
  }
  return text;
}

std::optional<int32_t> ByteLevelBpe::id_of(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::string ByteLevelBpe::token_of(int32_t id) const { return checked(id); }

bool ByteLevelBpe::is_special(int32_t id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special;
}

}  // namespace tessera::text
