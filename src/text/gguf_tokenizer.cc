// Metadata becomes the tree of a tokenizer.json, or the bytes of a SentencePiece model.
#include "text/gguf_tokenizer.h"

#include <cstring>

#include <fmt/ranges.h>

#include "core/error.h"
#include "text/sentencepiece_file.h"

namespace tessera::text {

namespace {

constexpr const char* prefix_of_keys = "tokenizer.ggml.";

/// The keys of the tokenizer.
class TokenizerKeys {
 public:
  TokenizerKeys(const GgufFile& file, const std::string& source) : file_(&file), source_(&source) {}

  const GgufValue* find(const std::string& key) const { return file_->find(prefix_of_keys + key); }
  std::string text(const std::string& key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return "";
    if (!value->text()) wrong(key, "a text");
    return std::string(*value->text());
  }
  std::vector<std::string_view> texts(const std::string& key) const {
    const GgufValue* value = find(key);
    if (value == nullptr)
      throw UserError("[text] {}: no '{}{}'; the file holds no tokenizer", *source_, prefix_of_keys, key);
    auto all = value->texts();
    if (!all) wrong(key, "a list of texts");
    return std::move(*all);
  }
  /// `count` numbers, or none where the key is missing.
  std::vector<double> numbers(const std::string& key, size_t count) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return {};
    auto all = value->numbers();
    if (!all || all->size() != count) wrong(key, fmt::format("a list of {} numbers, one a token", count));
    return std::move(*all);
  }
  std::optional<bool> flag(const std::string& key) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->whole()) wrong(key, "true or false");
    return *value->whole() != 0;
  }
  /// The token of an id; absent where the key is missing or, as some programs write it, out of range.
  std::optional<std::string> token(const std::string& key, const std::vector<std::string_view>& tokens) const {
    const GgufValue* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->whole()) wrong(key, "a token id");
    const int64_t id = *value->whole();
    if (id < 0 || id >= std::ssize(tokens)) return std::nullopt;
    return std::string(tokens[static_cast<size_t>(id)]);
  }

 private:
  [[noreturn]] void wrong(const std::string& key, std::string_view want) const {
    throw UserError("[text] {}: '{}{}' is of another type or length, want {}", *source_, prefix_of_keys, key, want);
  }
  const GgufFile* file_;
  const std::string* source_;
};

LooseJson added_token(std::string_view token, size_t id, bool special) {
  return {{"id", id},        {"content", std::string(token)}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false},           {"special", special}};
}

LooseJson byte_level_json(const TokenizerKeys& keys, const std::vector<std::string_view>& tokens,
                          const std::vector<double>& kinds, const std::string& source) {
  const std::string pre = keys.text("pre");
  const LooseJson pre_tokenizer = pre_tokenizer_named(pre);
  if (pre_tokenizer.is_null())
    throw UserError("[text] {}: the pre-tokenizer '{}' is not known here, want one of: {}", source, pre,
                    fmt::join(pre_tokenizer_names(), ", "));
  LooseJson vocabulary = LooseJson::object(), added = LooseJson::array(), merges = LooseJson::array();
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto kind = kinds.empty() ? PieceKind::normal : static_cast<PieceKind>(static_cast<int>(kinds[id]));
    const bool control = kind == PieceKind::control || kind == PieceKind::unknown;
    vocabulary[std::string(tokens[id])] = id;
    if (control || kind == PieceKind::user_defined) added.push_back(added_token(tokens[id], id, control));
  }
  for (const std::string_view merge : keys.texts("merges")) merges.push_back(std::string(merge));
  const bool composes =
      pre == "qwen2" || pre == "qwen35";  // their tokenizer.json composes characters, GGUF does not say so
  return {{"version", "1.0"},
          {"added_tokens", std::move(added)},
          {"normalizer", composes ? LooseJson{{"type", "NFC"}} : LooseJson()},
          {"pre_tokenizer", pre_tokenizer},
          {"post_processor", nullptr},
          {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
          {"model",
           {{"type", "BPE"},
            {"ignore_merges", ignores_merges(pre)},
            {"vocab", std::move(vocabulary)},
            {"merges", std::move(merges)}}}};
}

void put_varint(std::string& to, uint64_t value) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}
void put_field(std::string& to, uint64_t field, uint64_t value) {
  put_varint(to, field << 3);
  put_varint(to, value);
}
void put_bytes(std::string& to, uint64_t field, std::string_view bytes) {
  put_varint(to, field << 3 | 2);
  put_varint(to, bytes.size());
  to += bytes;
}

}  // namespace

// Field numbers: sentencepiece_model.proto.
std::string sentencepiece_file(const std::vector<PieceRow>& pieces, bool adds_blank) {
  std::string file, row, trainer, normalizer;
  bool bytes = false;
  std::optional<size_t> unknown;
  for (size_t id = 0; id < pieces.size(); ++id) {
    const PieceRow& piece = pieces[id];
    row.clear();
    put_bytes(row, 1, piece.text);
    put_varint(row, 2 << 3 | 5);
    row.append(reinterpret_cast<const char*>(&piece.score), sizeof piece.score);
    if (piece.kind != 1) put_field(row, 3, static_cast<uint64_t>(piece.kind));
    put_bytes(file, 1, row);
    bytes = bytes || piece.kind == static_cast<int>(PieceKind::byte);
    if (piece.kind == static_cast<int>(PieceKind::unknown)) unknown = id;
  }
  put_field(trainer, 3, 2);  // BPE
  put_field(trainer, 4, pieces.size());
  put_field(trainer, 35, bytes ? 1 : 0);
  put_field(trainer, 40, unknown.value_or(0));
  put_bytes(trainer, 45, pieces.empty() || !unknown ? "<unk>" : pieces[*unknown].text);
  put_bytes(normalizer, 1, "identity");
  put_field(normalizer, 3, adds_blank ? 1 : 0);
  put_field(normalizer, 4, 0);
  put_bytes(file, 2, trainer);
  put_bytes(file, 3, normalizer);
  return file;
}

StoredTokenizer read_gguf_tokenizer(const GgufFile& file, const std::string& source) {
  const TokenizerKeys keys(file, source);
  const std::string model = keys.text("model");
  const std::vector<std::string_view> tokens = keys.texts("tokens");
  const std::vector<double> kinds = keys.numbers("token_type", tokens.size());
  if (tokens.empty()) throw UserError("[text] {}: the tokenizer has no tokens", source);
  StoredTokenizer stored;
  stored.config = {.begin = keys.token("bos_token_id", tokens),
                   .end = keys.token("eos_token_id", tokens),
                   .pad = keys.token("padding_token_id", tokens),
                   .unknown = keys.token("unknown_token_id", tokens),
                   .add_begin = keys.flag("add_bos_token"),
                   .add_end = keys.flag("add_eos_token"),
                   .tokenizer_class = "PreTrainedTokenizerFast"};
  if (model == "gpt2") {
    if (!stored.config.add_begin) stored.config.add_begin = ignores_merges(keys.text("pre"));
    stored.json = byte_level_json(keys, tokens, kinds, source);
    return stored;
  }
  if (model != "llama")
    throw UserError("[text] {}: the tokenizer is of kind '{}', want gpt2 (byte-level BPE) or llama (SentencePiece)",
                    source, model);
  const std::vector<double> scores = keys.numbers("scores", tokens.size());
  std::vector<PieceRow> pieces;
  for (size_t id = 0; id < tokens.size(); ++id)
    pieces.push_back({.text = tokens[id],
                      .score = scores.empty() ? 0.0f : static_cast<float>(scores[id]),
                      .kind = kinds.empty() ? 1 : static_cast<int>(kinds[id])});
  stored.sentencepiece = sentencepiece_file(pieces, keys.flag("add_space_prefix").value_or(true));
  if (!stored.config.add_begin) stored.config.add_begin = true;
  stored.config.tokenizer_class = "LlamaTokenizer";
  return stored;
}

}  // namespace tessera::text
