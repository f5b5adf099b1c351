// A SentencePiece tokenizer (Gemma's BPE with byte fallback, T5's unigram, Llama's), with the added tokens and begin
// and end tokens of the directory's other files.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/sentencepiece_encoder.h"
#include "text/sentencepiece_file.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace tessera::text {

class SentencePiece final : public Tokenizer {
 public:
  /// `path`: tokenizer.model or spiece.model, with tokenizer_config.json and tokenizer.json beside it. Throws UserError where it is
  /// damaged.
  explicit SentencePiece(const Path& path);
  /// `bytes` of such a file, `added` tokens beside its own; `source` names it.
  SentencePiece(std::string_view bytes, const TokenizerConfig& config, const std::vector<AddedToken>& added,
                const std::string& source);

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
  void read_added(const TokenizerConfig& config, const std::vector<AddedToken>& added, bool t5);
  void add_token(AddedToken token);
  void encode_stretch(std::string_view text, bool goes_on, std::vector<int32_t>& ids) const;
  size_t checked(int32_t id) const;

  std::string source_;
  SentencePieceFile file_;
  SentencePieceEncoder encoder_;
  std::vector<std::string> tokens_;  // by id; "" where an id has no token
  std::unordered_map<std::string, int32_t> ids_;
  AddedTokens added_;
  AddedTokenFinder finder_;
  AddedTokenFinder typed_;  // control words that the model itself would take for one piece
  std::vector<int32_t> prefix_, suffix_;
  std::optional<int32_t> begin_, end_, pad_;
};

}  // namespace tessera::text
