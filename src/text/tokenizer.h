// Words to token ids and back. What must stay true: ids equal those of the reference tokenizer of the same files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera::text {

struct EncodeOptions {
  bool add_special = true;  // add the tokens that the tokenizer puts around a text (a begin token, an end token)
  bool parse_special =
      true;  // control tokens written in the text become their ids; false: they are plain text (what users typed)
};

/// A part of a text that is joined from control tokens and typed text.
struct TextPart {
  std::string text;
  bool control = false;  // control tokens are looked for here only
};

/// Pure functions of the files they were loaded from; safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Bytes that are no UTF-8 become U+FFFD first.
  virtual std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;
  /// The parts as one text: words may continue from part to part, control tokens may not. What a tokenizer puts around a
  /// text is added only with `add_special`.
  virtual std::vector<int32_t> encode_parts(const std::vector<TextPart>& parts, bool add_special = false) const;
  /// Ids out of range are an error (UserError). May hold incomplete UTF-8 where the ids end inside a character:
  /// StreamDecoder is for showing.
  virtual std::string decode(const std::vector<int32_t>& ids, bool skip_special = true) const = 0;
  /// What `id` adds to a decoded text, control tokens spelled out; `first`: nothing comes before it. Joined over ids,
  /// and with control tokens left out, these are decode().
  virtual std::string text_of(int32_t id, bool first) const;
  /// Highest id + 1, added tokens with it. A model's embedding has at least this many rows.
  virtual int64_t vocabulary() const = 0;
  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
  virtual std::string token_of(int32_t id) const = 0;
  /// Control tokens: skipped by decode, never counted as text.
  virtual bool is_special(int32_t id) const = 0;
  /// Tokens beside the model's own vocabulary, or of it and found in texts before the model sees them; control tokens among them.
  virtual bool is_added(int32_t id) const { return is_special(id); }
  virtual std::optional<int32_t> begin_token() const = 0;  // of tokenizer_config.json; absent where there is none
  virtual std::optional<int32_t> end_token() const = 0;
  virtual std::optional<int32_t> pad_token() const = 0;
};

/// By what the directory holds: tokenizer.json (byte-level BPE, or BPE with byte fallback), or a SentencePiece model
/// (spiece.model, tokenizer.model), which goes before a tokenizer.json that was converted from it; or a GGUF file, which holds either.
/// Throws UserError when
/// there is none, when it is damaged, or when it is of a kind that is not supported (the message lists those that are).
std::unique_ptr<Tokenizer> load_tokenizer(const Path& directory);

/// encode() of a prompt that people wrote: where it begins with the begin token itself, that is not added a second time.
std::vector<int32_t> encode_prompt(const Tokenizer& tokenizer, std::string_view text);

/// Equal for tokenizers that have the same tokens under the same ids; 16 hexadecimal digits.
std::string fingerprint(const Tokenizer& tokenizer);

/// Ids in, whole characters out: holds back the bytes of a character until it is complete. All that comes out, joined,
/// is decode() of the ids with U+FFFD for broken bytes.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  /// What can be shown now that `id` came; may be empty.
  std::string push(int32_t id);
  /// What was held back; broken bytes as U+FFFD. The next push() begins another text.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  bool first_ = true;
  std::string held_;  // bytes whose character is not complete
};

}  // namespace tessera::text
