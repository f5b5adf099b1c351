// See sentencepiece_encoder.h. Sums of scores are rounded where the library rounds them, so that ties end alike.
#include "text/sentencepiece_encoder.h"

#include <algorithm>
#include <cfloat>
#include <cstring>

#include "text/byte_alphabet.h"

namespace tessera::text {

namespace {
/// Bytes of the character at `at`, by its first byte; not more than there are.
size_t length_at(std::string_view text, size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const size_t length = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return std::min(length, text.size() - at);
}
}  // namespace

SentencePieceEncoder::SentencePieceEncoder(const SentencePieceFile& file)
    : model_(file.model), byte_fallback_(file.byte_fallback), blank_at_end_(file.blank_at_end),
      adds_dummy_prefix_(file.adds_dummy_prefix), removes_extra_blanks_(file.removes_extra_blanks),
      space_(file.escapes_blanks ? blank : " "), unknown_(file.unknown()), lowest_score_(FLT_MAX),
      highest_score_(FLT_MIN) {
  if (!file.character_map.empty()) {
    uint32_t size = 0;
    std::memcpy(&size, file.character_map.data(), sizeof size);
    map_.resize(size / sizeof(uint32_t));
    std::memcpy(map_.data(), file.character_map.data() + sizeof size, size);
    map_texts_ = file.character_map.substr(sizeof size + size);
  }
  for (const auto& piece : file.pieces) {
    const auto id = static_cast<int32_t>(kinds_.size());
    kinds_.push_back(piece.kind);
    scores_.push_back(piece.score);
    lengths_.push_back(static_cast<uint32_t>(piece.text.size()));
    symbols_.add(piece.text, id);
    cuts_.add(piece.text);
    if (piece.kind == PieceKind::normal) {
      lowest_score_ = std::min(lowest_score_, piece.score);
      highest_score_ = std::max(highest_score_, piece.score);
    } else if (piece.kind == PieceKind::user_defined) {
      user_defined_.add(piece.text, id);
      has_user_defined_ = true;
    } else if (piece.kind == PieceKind::byte) {
      byte_ids_[static_cast<unsigned char>(*byte_named(piece.text))] = id;
    }
  }
  if (model_ == SentencePieceFile::Model::bpe) prepare_bpe(file);
}

/// Any two neighbours merge that are a piece together; the highest score goes first.
void SentencePieceEncoder::prepare_bpe(const SentencePieceFile& file) {
  std::vector<float> ranks;
  const auto merges = [](PieceKind kind) { return kind == PieceKind::normal || kind == PieceKind::unused; };
  for (const auto& piece : file.pieces) {
    if (!merges(piece.kind)) continue;
    ranks.push_back(piece.score);
    for (size_t at = 0; at < piece.text.size();) {
      const size_t length = length_at(piece.text, at);
      const std::string_view character = std::string_view(piece.text).substr(at, length);
      if (symbols_.find(character) < 0) {
        symbols_.add(character, static_cast<int32_t>(lengths_.size()));
        lengths_.push_back(static_cast<uint32_t>(length));
      }
      at += length;
    }
  }
  std::ranges::sort(ranks, std::greater());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  const auto is_half = [&](int32_t symbol, std::string_view text) {
    if (symbol < 0) return false;
    const auto index = static_cast<size_t>(symbol);
    if (index >= kinds_.size()) return true;
    if (kinds_[index] == PieceKind::user_defined) return false;  // these never merge
    return merges(kinds_[index]) || length_at(text, 0) == text.size();
  };
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    const std::string_view text = file.pieces[id].text;
    if (!merges(file.pieces[id].kind)) continue;
    const auto rank = std::ranges::lower_bound(ranks, file.pieces[id].score, std::greater()) - ranks.begin();
    uint32_t node = ByteTrie::root;
    for (size_t at = 0; at + 1 < text.size(); ++at) {
      node = symbols_.step(node, text[at]);
      const std::string_view rest = text.substr(at + 1);
      if (!is_half(symbols_.value(node), text.substr(0, at + 1))) continue;
      const int32_t right = symbols_.find(rest);
      if (is_half(right, rest))
        merges_.add(symbols_.value(node), right, static_cast<int32_t>(rank), static_cast<int32_t>(id));
    }
  }
}

/// The longest rule of the trie that fits; without one the character itself.
SentencePieceEncoder::Rewritten SentencePieceEncoder::mapped(std::string_view text, size_t at) const {
  const auto base_of = [](uint32_t node, uint32_t unit) { return node ^ ((unit >> 10) << ((unit & 0x200) >> 6)); };
  Rewritten longest{text.substr(at, length_at(text, at)), 0};
  uint32_t node = map_.empty() ? 0 : base_of(0, map_[0]);
  for (size_t i = at; i < text.size() && !map_.empty(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    const uint32_t unit = map_[node];
    if ((unit & 0x800000FF) != byte) break;
    node = base_of(node, unit);
    if ((unit >> 8 & 1) != 0) longest = {map_texts_.data() + (map_[node] & 0x7FFFFFFF), i + 1 - at};
  }
  if (longest.length == 0) longest.length = longest.text.size();
  return longest;
}

SentencePieceEncoder::Rewritten SentencePieceEncoder::rewritten(std::string_view text, size_t at) const {
  if (has_user_defined_) {
    if (const size_t length = user_defined_.longest(text, at).length; length > 0)
      return {text.substr(at, length), length};
  }
  return mapped(text, at);
}

std::string SentencePieceEncoder::normalized(std::string_view text) const {
  std::string all;
  size_t at = 0;
  while (removes_extra_blanks_ && at < text.size()) {
    const Rewritten next = rewritten(text, at);
    if (next.text != " ") break;
    at += next.length;
  }
  if (at == text.size()) return all;
  all.reserve(text.size() + text.size() / 2);
  if (adds_dummy_prefix_ && !blank_at_end_) all += space_;
  bool after_blank = removes_extra_blanks_;
  while (at < text.size()) {
    auto [part, length] = rewritten(text, at);
    at += length;
    while (after_blank && part.starts_with(' ')) part.remove_prefix(1);
    if (part.empty()) continue;
    for (const char c : part) {
      if (c == ' ') all += space_;
      else all += c;
    }
    after_blank = removes_extra_blanks_ && part.ends_with(' ');
  }
  while (removes_extra_blanks_ && all.ends_with(space_)) all.resize(all.size() - space_.size());
  if (adds_dummy_prefix_ && blank_at_end_) all += space_;
  return all;
}

/// The id of a piece; what is unknown becomes its bytes, or one id for all that stands together.
void SentencePieceEncoder::add(int32_t id, std::string_view text, std::vector<int32_t>& ids) const {
  if (id != unknown_) {
    ids.push_back(id);
  } else if (byte_fallback_) {
    for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  } else if (ids.empty() || ids.back() != unknown_) {
    ids.push_back(id);
  }
}

std::vector<int32_t> SentencePieceEncoder::symbols_of(std::string_view text) const {
  std::vector<int32_t> symbols;
  for (size_t at = 0; at < text.size();) {
    ByteTrie::Match match = has_user_defined_ ? user_defined_.longest(text, at) : ByteTrie::Match{};
    if (match.length == 0) match = {length_at(text, at), symbols_.find(text.substr(at, length_at(text, at)))};
    symbols.push_back(match.value < 0 ? no_symbol : match.value);
    at += match.length;
  }
  return symbols;
}

/// A piece that is not to be used is taken apart again, into the two that it was merged from.
void SentencePieceEncoder::add_symbol(int32_t symbol, std::string_view text, std::vector<int32_t>& ids) const {
  const auto index = static_cast<size_t>(symbol);
  if (index >= kinds_.size()) return add(unknown_, text, ids);
  if (kinds_[index] == PieceKind::unused) {
    std::vector<int32_t> halves = symbols_of(text);
    merges_.apply(halves, symbol);
    if (halves.size() > 1) return add_symbols(halves, text, ids);
  }
  add(symbol, text, ids);
}

void SentencePieceEncoder::add_symbols(const std::vector<int32_t>& symbols, std::string_view text,
                                       std::vector<int32_t>& ids) const {
  size_t at = 0;
  for (const int32_t symbol : symbols) {
    const size_t length = symbol == no_symbol ? length_at(text, at) : lengths_[static_cast<size_t>(symbol)];
    add_symbol(symbol, text.substr(at, length), ids);
    at += length;
  }
}

void SentencePieceEncoder::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<int32_t> symbols = symbols_of(word);
  merges_.apply(symbols);
  add_symbols(symbols, word, ids);
}

/// Viterbi: of all ways to write a text as pieces the one with the highest sum of scores.
void SentencePieceEncoder::encode_unigram(std::string_view text, std::vector<int32_t>& ids) const {
  struct Best {
    int32_t id = -1, from = -1;  // the last piece of the best way that ends here
    float score = 0;             // of that way
  };
  std::vector<Best> best(text.size() + 1);
  const float unknown_score = lowest_score_ - 10.0f;
  const auto offer = [&](size_t begin, size_t end, int32_t id, auto score) {
    Best& there = best[end];
    if (there.from < 0 || score > there.score) there = {id, static_cast<int32_t>(begin), static_cast<float>(score)};
  };
  for (size_t begin = 0; begin < text.size(); begin += length_at(text, begin)) {
    const float till_here = best[begin].score;
    const size_t single = length_at(text, begin);
    bool has_single = false;
    uint32_t node = ByteTrie::root;
    for (size_t at = begin; at < text.size() && (node = symbols_.step(node, text[at])) != ByteTrie::nowhere; ++at) {
      const int32_t id = symbols_.value(node);
      if (id < 0) continue;
      const PieceKind kind = kinds_[static_cast<size_t>(id)];
      const size_t length = at + 1 - begin;
      if (kind == PieceKind::normal)
        offer(begin, at + 1, id, scores_[static_cast<size_t>(id)] + static_cast<double>(till_here));
      else if (kind == PieceKind::user_defined)  // scored so that it always wins
        offer(begin, at + 1, id, static_cast<float>(length) * highest_score_ - 0.1 + till_here);
      else continue;
      has_single = has_single || length == single;
    }
    if (!has_single) offer(begin, begin + single, unknown_, unknown_score + till_here);
  }
  std::vector<size_t> ends;
  for (size_t end = text.size(); end > 0; end = static_cast<size_t>(best[end].from)) ends.push_back(end);
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const auto from = static_cast<size_t>(best[*end].from);
    add(best[*end].id, text.substr(from, *end - from), ids);
  }
}

/// Each word is a piece or unknown; it begins with its blank.
void SentencePieceEncoder::encode_words(std::string_view text, std::vector<int32_t>& ids) const {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(blank, begin + 1), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    const int32_t id = symbols_.find(word);
    add(id < 0 ? unknown_ : id, word, ids);
    begin = end;
  }
}

void SentencePieceEncoder::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string normal = normalized(text);
  std::vector<int32_t> found;
  using Model = SentencePieceFile::Model;
  if (model_ == Model::unigram) {
    encode_unigram(normal, found);
  } else if (model_ == Model::word) {
    encode_words(normal, found);
  } else {
    std::vector<int32_t> word_ids;
    cuts_.words(normal, [&](std::string_view word) {
      word_ids.clear();
      if (!cache_.find(word, word_ids)) {
        encode_word(word, word_ids);
        cache_.keep(word, word_ids.data(), word_ids.size());
      }
      const bool goes_on = !word_ids.empty() && !found.empty() && word_ids[0] == unknown_ && found.back() == unknown_;
      found.insert(found.end(), word_ids.begin() + goes_on, word_ids.end());
    });
  }
  ids.insert(ids.end(), found.begin(), found.end());
}

}  // namespace tessera::text
