// A BPE tokenizer from tokenizer.json: byte-level (GPT-2, Qwen2, Llama 3, OLMo 2), or over characters with a fallback
// to bytes (Gemma). Ids equal the reference's.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe_merges.h"
#include "text/loose_json.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/word_cache.h"

namespace tessera::text {

class ByteLevelBpe final : public Tokenizer {
 public:
  /// `tree` is a tokenizer.json, `source` names it. Throws UserError where it is damaged or not supported.
  ByteLevelBpe(const LooseJson& tree, const TokenizerConfig& config, const std::string& source);

  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options) const override;
  std::vector<int32_t> encode_parts(const std::vector<TextPart>& parts, bool add_special) const override;
  std::string decode(const std::vector<int32_t>& ids, bool skip_special) const override;
  std::string text_of(int32_t id, bool first) const override;
  int64_t vocabulary() const override { return static_cast<int64_t>(tokens_.size()); }
  std::optional<int32_t> id_of(std::string_view token) const override;
  std::string token_of(int32_t id) const override;
  bool is_special(int32_t id) const override;
  bool is_added(int32_t id) const override { return added_.find(id) != nullptr; }
  std::optional<int32_t> begin_token() const override { return begin_; }
  std::optional<int32_t> end_token() const override { return end_; }
  std::optional<int32_t> pad_token() const override { return pad_; }

 private:
  void read_normalizer(const LooseJson& tree, const std::string& source, int depth = 0);
  void read_vocabulary(const LooseJson& vocab, const std::string& source);
  void read_added(const LooseJson& list, const TokenizerConfig& config, const std::string& source);
  void read_merges(const LooseJson& list, const std::string& source);
  void read_bytes(const LooseJson& model, const std::string& source);
  void read_post_processor(const LooseJson& tree, const std::string& source, int depth = 0);
  void read_template(const LooseJson& tree, const std::string& source);
  void set_token(int32_t id, const std::string& token, const std::string& source);
  void encode_section(std::string_view text, std::vector<int32_t>& ids) const;
  std::string normalized(std::string_view text) const;
  std::vector<int32_t> symbols_of(std::string_view word) const;
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;
  const std::string& checked(int32_t id) const;

  bool compose_ = false;     // NFC
  bool characters_ = false;  // over characters, where U+2581 is a space; else over bytes
  std::vector<std::unique_ptr<PreTokenizer>> pre_tokenizers_;
  std::vector<std::string> tokens_;  // by id; "" where an id has no token
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<std::string, int32_t> whole_words_;  // of bytes; empty unless merges are ignored for them
  int32_t byte_ids_[256];
  int32_t unknown_ = -1;
  bool fuse_unknown_ = false;
  BpeMerges merges_;
  bool cuts_at_blanks_ = false;  // over characters: whether words can be taken one by one
  BlankCuts cuts_;
  AddedTokens added_;
  AddedTokenFinder raw_finder_, normalized_finder_;
  std::vector<int32_t> prefix_, suffix_;
  std::optional<int32_t> begin_, end_, pad_;
  WordCache cache_;
};

}  // namespace tessera::text
