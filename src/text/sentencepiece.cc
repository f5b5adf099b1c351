// See sentencepiece.h. Added tokens are found before the model sees a text.
#include "text/sentencepiece.h"

#include <algorithm>

#include "core/error.h"
#include "core/placeholder.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
bool takes_turns(std::string_view name) { return name == "<start_of_turn>" || name == "<end_of_turn>"; }
/// The added_tokens of the tokenizer.json in a directory, where there is one.
std::vector<AddedToken> tokens_beside(const Path& directory) {
  std::vector<AddedToken> all;
  const Path json = directory / "tokenizer.json";
  if (!std::filesystem::exists(json)) return all;
  const LooseJson tree = read_loose_json(json);
  for (const LooseJson& token : member(tree, "added_tokens"))
    all.push_back(read_added_token(token, token_id(member(token, "id"), json.string()), json.string()));
  return all;
}

SentencePieceFile read_model(std::string_view bytes, const std::string& source) {
  refuse_placeholder(bytes, source, "text");
  return read_sentencepiece_file(bytes, source);
}
}  // namespace

SentencePiece::SentencePiece(const Path& path)
    : SentencePiece(read_file(path), read_tokenizer_config(path.parent_path()), tokens_beside(path.parent_path()),
                    path.string()) {}

SentencePiece::SentencePiece(std::string_view bytes, const TokenizerConfig& config,
                             const std::vector<AddedToken>& added, const std::string& source)
    : source_(source), file_(read_model(bytes, source)), encoder_(file_) {
  for (const auto& piece : file_.pieces) {
    ids_[piece.text] = static_cast<int32_t>(tokens_.size());
    tokens_.push_back(piece.text);
  }
  const bool t5 =
      config.tokenizer_class.empty() ? source_.ends_with("spiece.model") : config.tokenizer_class.starts_with("T5");
  read_added(config, added, t5);
  const auto named = [&](const std::optional<std::string>& name, const std::string& otherwise) {
    return name ? id_of(*name) : file_.control(otherwise);
  };
  begin_ = named(config.begin, file_.begin);
  end_ = named(config.end, file_.end);
  pad_ = named(config.pad, file_.pad);
  if (begin_ && config.add_begin.value_or(!t5)) prefix_ = {*begin_};
  if (end_ && config.add_end.value_or(t5)) suffix_ = {*end_};
}

void SentencePiece::add_token(AddedToken token) {
  if (token.content.empty()) return;
  if (const auto known = id_of(token.content)) token.id = *known;
  const auto index = static_cast<size_t>(token.id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  if (!tokens_[index].empty() && tokens_[index] != token.content)
    throw UserError("[text] {}: tokens {} and {} share the id {}", source_, shown(LooseJson(tokens_[index])),
                    shown(LooseJson(token.content)), token.id);
  tokens_[index] = token.content;
  ids_[token.content] = token.id;
  added_.add(token);
}

void SentencePiece::read_added(const TokenizerConfig& config, const std::vector<AddedToken>& added, bool t5) {
  const auto special = [](const std::string& name, size_t id) {
    return AddedToken{.content = name, .id = static_cast<int32_t>(id), .special = true, .normalized = false};
  };
  for (size_t id = 0; id < file_.pieces.size(); ++id) {
    const auto& piece = file_.pieces[id];
    if (piece.kind == PieceKind::control || piece.kind == PieceKind::unknown || takes_turns(piece.text))
      add_token(special(piece.text, id));
  }
  for (const AddedToken& token : added) add_token(token);
  for (const AddedToken& token : config.added) add_token(token);
  for (const AddedToken& token : config.legacy_added) {
    if (added_.find(token.content) == nullptr) add_token(token);
  }
  if (t5 && !id_of("<extra_id_0>")) {  // T5's sentinels follow the model's pieces, the last one first
    for (int64_t i = config.extra_ids - 1; i >= 0; --i)
      add_token(special(fmt::format("<extra_id_{}>", i), tokens_.size()));
  }
  for (const AddedToken& token : config.named) {
    const AddedToken* const known = added_.find(token.content);
    AddedToken named = known == nullptr ? token : *known;
    named.special = named.special || config.has_name(token.content);
    if (known == nullptr) named.id = static_cast<int32_t>(tokens_.size());
    add_token(named);
  }
  for (const auto& [id, token] : added_.by_id()) {
    finder_.add(token, token.content);
    const bool in_model = static_cast<size_t>(id) < file_.pieces.size();
    const auto kind = in_model ? file_.pieces[static_cast<size_t>(id)].kind : PieceKind::control;
    if (token.special && (kind == PieceKind::normal || kind == PieceKind::user_defined)) {
      typed_.add({.content = token.content, .id = id}, token.content);
    }
  }
}

std::vector<int32_t> SentencePiece::encode(std::string_view text, const EncodeOptions& options) const {
  return encode_parts({{std::string(text), options.parse_special}}, options.add_special);
}

std::vector<int32_t> SentencePiece::encode_parts(const std::vector<TextPart>& parts, bool add_special) const {
  const JoinedText joined = join(parts);
  std::vector<int32_t> ids;
  if (add_special) ids = prefix_;
  for (const Section& section : finder_.split(joined.text, joined.control)) {
    if (section.id) ids.push_back(*section.id);
    else
      encode_stretch(std::string_view(joined.text).substr(section.range.begin, section.range.end - section.range.begin),
                     false, ids);
  }
  if (add_special) ids.insert(ids.end(), suffix_.begin(), suffix_.end());
  return ids;
}

/// Text without tokens that may be found in it. Where the model would take typed words for a control token, they are
/// cut after their first character.
void SentencePiece::encode_stretch(std::string_view text, bool goes_on, std::vector<int32_t>& ids) const {
  for (const Section& section : typed_.split(text, {})) {
    const auto stretch = text.substr(section.range.begin, section.range.end - section.range.begin);
    if (section.id) {
      const size_t first = character_at(stretch, 0).length;
      if (first == stretch.size()) continue;  // one character that is a control token: nothing is left of it
      encode_stretch(stretch.substr(0, first), goes_on, ids);
      encode_stretch(stretch.substr(first), true, ids);
    } else {
      std::vector<int32_t> pieces;
      encoder_.encode(stretch, pieces);
      const bool added_blank =
          goes_on && file_.adds_dummy_prefix && !pieces.empty() && tokens_[static_cast<size_t>(pieces[0])] == blank;
      ids.insert(ids.end(), pieces.begin() + added_blank, pieces.end());
    }
    goes_on = true;
  }
}

size_t SentencePiece::checked(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= tokens_.size())
    throw UserError("[text] token id {} is out of range; the vocabulary has {} tokens", id, tokens_.size());
  return static_cast<size_t>(id);
}

std::string SentencePiece::text_of(int32_t id, bool first) const {
  const size_t index = checked(id);
  if (index >= file_.pieces.size()) return tokens_[index];
  const PieceKind kind = file_.pieces[index].kind;
  if (kind == PieceKind::control || kind == PieceKind::unknown) return tokens_[index];
  if (kind == PieceKind::byte) return std::string(1, *byte_named(tokens_[index]));
  std::string text = tokens_[index];
  for (size_t at = text.find(blank); at != std::string::npos; at = text.find(blank, at + 1))
    text.replace(at, blank.size(), " ");
  if (first && file_.adds_dummy_prefix && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::string SentencePiece::decode(const std::vector<int32_t>& ids, bool skip_special) const {
  std::string text;
  bool first = true;
  for (const int32_t id : ids) {
    checked(id);
    if (skip_special && is_special(id)) continue;
    text += text_of(id, first);
    first = false;
  }
  return text;
}

std::optional<int32_t> SentencePiece::id_of(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::string SentencePiece::token_of(int32_t id) const { return tokens_[checked(id)]; }

bool SentencePiece::is_special(int32_t id) const {
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special;
}

}  // namespace tessera::text
