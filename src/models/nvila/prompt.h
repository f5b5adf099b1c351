// From a conversation with pictures and clips to token ids in which blocks of rows are left free for features, and from several
// of those to a batch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/nvila/config.h"
#include "models/nvila/preprocess.h"
#include "tensor/tensor.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tessera::nvila {

/// Id at a position where a row of media features takes the place of a token's embedding.
inline constexpr int32_t media_row = -1;

/// One conversation.
struct PromptRow {
  std::vector<int32_t> ids;     // media_row at a feature
  std::vector<uint8_t> learnt;  // 1: the token belongs to an assistant's turn
  /// Ids without the media rows: what penalties and rules look at.
  std::vector<int32_t> words() const;
};

class Prompter {
 public:
  /// `directory`: of the tokenizer. Its stored chat template is used; without one, that of NVILA's releases.
  Prompter(const NvilaConfig& config, const text::Tokenizer& tokenizer, const Path& directory);
  Prompter(const NvilaConfig& config, const text::Tokenizer& tokenizer, text::ChatTemplate chat);

  /// `plans`: of the conversation's media, in order. Texts are stripped of white space around them and of media tokens, and
  /// read as plain text. `add_generation_prompt`: ends where the assistant begins to speak.
  /// Throws UserError when the messages count more or fewer media than there are.
  PromptRow row(const std::vector<text::Message>& messages, const std::vector<MediaPlan>& plans,
                bool add_generation_prompt, const text::TemplateInputs& inputs = {}) const;
  const text::ChatTemplate& chat() const { return chat_; }

 private:
  void add(PromptRow& row, const std::vector<int32_t>& ids) const;
  void add_media(PromptRow& row, const MediaPlan& plan, bool last) const;

  const NvilaConfig* config_;
  const text::Tokenizer* tokenizer_;
  text::ChatTemplate chat_;
  std::vector<int32_t> line_break_;
};

/// The text without media tokens (also those that appear when one is taken out) and without white space around it.
std::string plain_text(std::string text);

/// A batch, padded on the left, ready for NvilaModel::embed.
struct Assembled {
  Tensor ids;        // [B, L] int64; 0 at a feature and in the padding
  Tensor pad;        // [B] int64: padding before each row; absent when no row has any
  Tensor positions;  // [R] int64: where the rows of features go, in ids flattened
  Tensor pixels;     // [N, 3, S, S] fp32: tiles of all media; absent when there are none
  std::vector<MediaPlan> media;
};

/// `pixels` and `media`: of all rows, in order.
Assembled assemble(const std::vector<PromptRow>& rows, const std::vector<Tensor>& pixels, std::vector<MediaPlan> media,
                   at::Device device);

}  // namespace tessera::nvila
