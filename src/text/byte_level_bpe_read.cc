// Reads a tokenizer.json into a ByteLevelBpe: every part is either understood as the reference understands it or
// refused.
#include <algorithm>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/byte_level_bpe.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
constexpr int deepest_sequence = 4;

void require_bpe(const LooseJson& model, const std::string& source) {
  const std::string type = words(model, "type", "BPE", source);  // files of the first releases do not say
  if (type != "BPE")
    throw UserError(
        "[text] {}: model {} is not supported; supported: BPE over bytes, BPE with byte_fallback, and SentencePiece "
        "models "
        "(tokenizer.model, spiece.model)",
        source, shown(type));
  const LooseJson& dropout = member(model, "dropout");
  if (!dropout.is_null() && dropout != 0)
    throw UserError("[text] {}: dropout of merges is not supported; set it to null", source);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!words(model, key, "", source).empty())
      throw UserError("[text] {}: {} is {}, which byte-level BPE does not have", source, key,
                      shown(member(model, key)));
  }
}

/// ByteLevel; for characters a Sequence of Replace (U+2581 by a space), ByteFallback and Fuse.
void check_decoder(const LooseJson& decoder, bool characters, const std::string& source) {
  if (decoder.is_null()) return;
  const std::string type = words(decoder, "type", "", source);
  bool known = !characters && type == "ByteLevel";
  if (characters && type == "Sequence") {
    std::vector<std::string> steps;
    for (const LooseJson& step : member(decoder, "decoders")) steps.push_back(words(step, "type", "", source));
    known = steps == std::vector<std::string>{"Replace", "ByteFallback", "Fuse"};
  }
  if (!known)
    throw UserError(
        "[text] {}: decoder {} is not supported; supported: ByteLevel, and for BPE with byte_fallback a Sequence of "
        "Replace, ByteFallback and Fuse",
        source, shown(member(decoder, "type")));
}

/// The two halves of a merge, written "a b" or ["a", "b"].
std::pair<std::string, std::string> halves_of(const LooseJson& merge, const std::string& source) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
      return {text.substr(0, space), text.substr(space + 1)};
  }
  throw UserError("[text] {}: a merge is {}, want two tokens", source, shown(merge));
}
}  // namespace

ByteLevelBpe::ByteLevelBpe(const LooseJson& tree, const TokenizerConfig& config, const std::string& source) {
  const LooseJson& model = member(tree, "model");
  if (!model.is_object()) throw UserError("[text] {}: holds no model", source);
  require_bpe(model, source);
  characters_ = flag(model, "byte_fallback", false, source);
  read_normalizer(member(tree, "normalizer"), source);
  pre_tokenizers_ = read_pre_tokenizer(member(tree, "pre_tokenizer"), !characters_, source);
  check_decoder(member(tree, "decoder"), characters_, source);
  read_vocabulary(member(model, "vocab"), source);
  read_added(member(tree, "added_tokens"), config, source);
  read_merges(member(model, "merges"), source);
  read_bytes(model, source);
  const auto named = [&](const std::optional<std::string>& token) { return token ? id_of(*token) : std::nullopt; };
  begin_ = named(config.begin);
  end_ = named(config.end);
  pad_ = named(config.pad);
  read_post_processor(member(tree, "post_processor"), source);
  if (config.add_begin || config.add_end) {  // explicit flags replace what the post-processor adds
    prefix_.clear();
    suffix_.clear();
    if (config.add_begin.value_or(false) && begin_) prefix_ = {*begin_};
    if (config.add_end.value_or(false) && end_) suffix_ = {*end_};
  }
}

void ByteLevelBpe::read_normalizer(const LooseJson& tree, const std::string& source, int depth) {
  if (tree.is_null()) return;
  const std::string type = words(tree, "type", "", source);
  if (type == "NFC") {
    compose_ = true;
  } else if (type == "Replace" && characters_ && member(member(tree, "pattern"), "String") == " " &&
             member(tree, "content") == blank) {
    return;  // normalized() does so wherever the model is over characters
  } else if (type == "Sequence" && depth < deepest_sequence) {
    for (const LooseJson& step : member(tree, "normalizers")) read_normalizer(step, source, depth + 1);
  } else {
    throw UserError(
        "[text] {}: normalizer {} is not supported; supported: none, NFC, Sequence, and for BPE with byte_fallback the "
        "Replace of spaces by U+2581",
        source, shown(type));
  }
}

void ByteLevelBpe::set_token(int32_t id, const std::string& token, const std::string& source) {
  const auto index = static_cast<size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1);
  if (!tokens_[index].empty() && tokens_[index] != token)
    throw UserError("[text] {}: tokens {} and {} share the id {}", source, shown(tokens_[index]), shown(token), id);
  tokens_[index] = token;
  ids_[token] = id;
}

void ByteLevelBpe::read_vocabulary(const LooseJson& vocab, const std::string& source) {
  if (!vocab.is_object()) throw UserError("[text] {}: the model's vocab is {}, want an object", source, shown(vocab));
  for (const auto& [token, id] : vocab.items()) {
    if (!token.empty()) set_token(token_id(id, source), token, source);
  }
}

void ByteLevelBpe::read_added(const LooseJson& list, const TokenizerConfig& config, const std::string& source) {
  std::vector<AddedToken> tokens;
  if (!list.is_null() && !list.is_array())
    throw UserError("[text] {}: added_tokens is {}, want a list", source, shown(list));
  for (const LooseJson& tree : list)
    tokens.push_back(read_added_token(tree, token_id(member(tree, "id"), source), source));
  const auto add = [&](AddedToken token) {
    if (token.content.empty()) return;
    if (const auto known = id_of(token.content)) token.id = *known;  // the vocabulary's id goes before the list's
    set_token(token.id, token.content, source);
    added_.add(token);
  };
  const int64_t vocabulary = std::ssize(ids_);
  std::ranges::for_each(tokens, add);
  // Other files do not decide ids: what is new gets the next one, as in the reference.
  const auto add_at_end = [&](AddedToken token) {
    const auto& known = added_.by_id();
    token.id =
        static_cast<int32_t>(known.empty() ? vocabulary : std::max<int64_t>(vocabulary, known.rbegin()->first + 1));
    const auto index = static_cast<size_t>(token.id);
    if (index < tokens_.size() && !tokens_[index].empty()) token.id = static_cast<int32_t>(tokens_.size());
    add(std::move(token));
  };
  std::ranges::for_each(config.added, add_at_end);
  for (const AddedToken& token : config.legacy_added) {
    if (added_.find(token.content) == nullptr) add_at_end(token);
  }
  for (const AddedToken& token : config.named) {
    const AddedToken* const known = added_.find(token.content);
    AddedToken special = known == nullptr ? token : *known;
    special.special =
        special.special || config.has_name(token.content);  // of a list, those that files add stay as they are
    add_at_end(special);
  }
  for (const auto& [id, token] : added_.by_id()) {
    if (token.normalized) normalized_finder_.add(token, normalized(token.content));
    else raw_finder_.add(token, token.content);
  }
}

void ByteLevelBpe::read_merges(const LooseJson& list, const std::string& source) {
  if (!list.is_array()) throw UserError("[text] {}: the model's merges are {}, want a list", source, shown(list));
  int32_t rank = 0;
  for (const LooseJson& merge : list) {
    const auto [left, right] = halves_of(merge, source);
    const auto a = id_of(left), b = id_of(right), both = id_of(left + right);
    if (!a || !b || !both)
      throw UserError("[text] {}: merge {} ({} + {}) names a token that the vocabulary lacks", source, rank,
                      shown(left), shown(right));
    // what was typed never becomes a control token, not even letter by letter
    if (!is_special(*both)) {
      merges_.add(*a, *b, rank, *both);
      if (characters_) cuts_.add(left + right);
    }
    ++rank;
  }
}

void ByteLevelBpe::read_bytes(const LooseJson& model, const std::string& source) {
  for (int b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = id_of(characters_ ? name_of_byte(byte) : to_alphabet({&byte, 1})).value_or(-1);
  }
  if (const std::string unknown = words(model, "unk_token", "", source); !unknown.empty()) {
    const auto id = id_of(unknown);
    if (!id) throw UserError("[text] {}: unk_token {} is not in the vocabulary", source, shown(unknown));
    unknown_ = *id;
  }
  fuse_unknown_ = flag(model, "fuse_unk", false, source);
  const bool whole_words = flag(model, "ignore_merges", false, source);
  cuts_at_blanks_ = characters_ && !whole_words && id_of(blank).has_value();  // a blank that is unknown might fuse
  if (!whole_words) return;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (tokens_[id].empty() || is_special(static_cast<int32_t>(id))) continue;
    if (!member(model, "vocab").contains(tokens_[id])) continue;  // an added token is no word
    const auto bytes = characters_ ? std::optional(tokens_[id]) : from_alphabet(tokens_[id]);
    if (bytes) whole_words_[*bytes] = static_cast<int32_t>(id);
  }
}

void ByteLevelBpe::read_post_processor(const LooseJson& tree, const std::string& source, int depth) {
  if (tree.is_null()) return;
  const std::string type = words(tree, "type", "", source);
  if (type == "ByteLevel") return;  // about offsets into the text, not ids
  if (type == "TemplateProcessing") {
    read_template(tree, source);
  } else if (type == "Sequence" && depth < deepest_sequence) {
    for (const LooseJson& step : member(tree, "processors")) read_post_processor(step, source, depth + 1);
  } else {
    throw UserError(
        "[text] {}: post_processor {} is not supported; supported: ByteLevel, TemplateProcessing and Sequence", source,
        shown(type));
  }
}

void ByteLevelBpe::read_template(const LooseJson& tree, const std::string& source) {
  std::vector<int32_t> before, after;
  bool past_text = false;
  for (const LooseJson& step : member(tree, "single")) {
    if (const LooseJson& token = member(step, "SpecialToken"); !token.is_null()) {
      const std::string name = words(token, "id", "", source);
      const LooseJson& ids = member(member(member(tree, "special_tokens"), name.c_str()), "ids");
      if (!ids.is_array()) throw UserError("[text] {}: the template's token {} has no ids", source, shown(name));
      for (const LooseJson& id : ids) {
        (past_text ? after : before).push_back(token_id(id, source));
        checked((past_text ? after : before).back());
      }
    } else if (!member(step, "Sequence").is_null() && !past_text) {
      past_text = true;
    } else {
      throw UserError("[text] {}: the template holds {}, want tokens and the text once", source, shown(step));
    }
  }
  if (!past_text) throw UserError("[text] {}: the template leaves the text out", source);
  prefix_.insert(prefix_.begin(), before.begin(), before.end());
  suffix_.insert(suffix_.end(), after.begin(), after.end());
}

}  // namespace tessera::text
