// Finds the tokenizer of a directory; streaming.
#include "text/tokenizer.h"

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "text/byte_level_bpe.h"
#include "text/gguf_tokenizer.h"
#include "text/sentencepiece.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
std::unique_ptr<Tokenizer> load_gguf_tokenizer(const Path& path) {
  const MappedFile file(path);
  const std::string source = path.string();
  StoredTokenizer stored = read_gguf_tokenizer(parse_gguf(file.bytes(), source), source);
  if (stored.sentencepiece.empty()) return std::make_unique<ByteLevelBpe>(stored.json, stored.config, source);
  return std::make_unique<SentencePiece>(stored.sentencepiece, stored.config, std::vector<AddedToken>{}, source);
}
}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Path& directory) {
  if (std::filesystem::is_regular_file(directory)) return load_gguf_tokenizer(directory);
  Path model;
  for (const char* name : {"spiece.model", "tokenizer.model"}) {
    if (std::filesystem::exists(directory / name)) model = directory / name;
  }
  const Path json = directory / "tokenizer.json";
  if (std::filesystem::exists(json)) {
    const LooseJson tree = read_loose_json(json);
    // Unigram and BPE with byte fallback are conversions of the SentencePiece model beside them
    const LooseJson& kind = member(tree, "model");
    const bool converted = member(kind, "type") == "Unigram" || member(kind, "byte_fallback") == true;
    if (!converted || model.empty()) {
      TokenizerConfig config = read_tokenizer_config(directory);
      config.add_begin = config.add_end = std::nullopt;  // transformers 5 passes them over beside a tokenizer.json
      return std::make_unique<ByteLevelBpe>(tree, config, json.string());
    }
  }
  if (!model.empty()) return std::make_unique<SentencePiece>(model);
  throw UserError("[text] no tokenizer in {}; want tokenizer.json, tokenizer.model or spiece.model",
                  directory.string());
}

std::vector<int32_t> Tokenizer::encode_parts(const std::vector<TextPart>& parts, bool add_special) const {
  std::vector<int32_t> ids;
  for (const TextPart& part : parts) {
    const auto more = encode(part.text, {.add_special = add_special && ids.empty(), .parse_special = part.control});
    ids.insert(ids.end(), more.begin(), more.end());
  }
  return ids;
}

std::string Tokenizer::text_of(int32_t id, bool) const { return decode({id}, false); }

std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.encode(text);
  const std::optional<int32_t> begin = tokenizer.begin_token();
  if (!begin || ids.size() < 2 || ids[0] != *begin || ids[1] != *begin) return ids;
  const std::vector<int32_t> written = tokenizer.encode(text, {.add_special = false});
  if (written.size() >= ids.size() || written.front() != *begin) return ids;
  log_warning("[text] the prompt begins with {} itself; it is not added a second time", tokenizer.token_of(*begin));
  ids.erase(ids.begin());
  return ids;
}

std::string fingerprint(const Tokenizer& tokenizer) {
  uint64_t all = static_cast<uint64_t>(tokenizer.vocabulary());
  for (int32_t id = 0; id < tokenizer.vocabulary(); ++id)
    all = mix64(all ^ hash_text(tokenizer.text_of(id, /*first=*/false)) ^
                static_cast<uint64_t>(tokenizer.is_special(id)));
  return fmt::format("{:016x}", all);
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(&tokenizer), skip_special_(skip_special) {}

std::string StreamDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_->is_special(id)) return "";
  const std::string text = tokenizer_->text_of(id, first_);
  first_ = false;
  held_ += text;
  const size_t whole = whole_characters(held_);
  const std::string shown = to_utf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return shown;
}

std::string StreamDecoder::finish() {
  const std::string rest = to_utf8(held_);
  held_.clear();
  first_ = true;
  return rest;
}

}  // namespace tessera::text
