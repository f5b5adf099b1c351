// Words to states by a T5 encoder that lies in a folder of its own, as the released models have it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/layers/t5_encoder.h"
#include "nn/layers/text_encoder.h"
#include "tensor/weights.h"
#include "text/tokenizer.h"

namespace tessera::infinity {

/// Its weights are in memory only while it encodes, so that a large one does not stand beside the drawing.
class PromptEncoder {
 public:
  /// `folder`: transformers' layout (config.json, weights, tokenizer), of the whole T5 or of its encoder. `longest`: tokens of a prompt.
  /// Throws UserError for another model, and for weights that are missing or do not fit.
  PromptEncoder(Path folder, int64_t longest, at::Device device);

  const nn::T5Config& config() const { return config_; }
  const Path& folder() const { return folder_; }
  /// States [L, width] fp32 of each prompt, its end token's included. Throws UserError for a prompt that is too long.
  std::vector<Tensor> encode(const std::vector<std::string>& prompts) const;
  /// Bytes of its weights while they are in memory.
  int64_t bytes() const { return bytes_; }
  /// The encoder alone, in fp32, its weights views of the file where they can be.
  nn::T5Encoder load() const;

 private:
  std::vector<std::vector<int64_t>> tokens_of(const std::vector<std::string>& prompts) const;

  Path folder_;
  int64_t longest_;
  at::Device device_;
  int64_t bytes_ = 0;
  nn::T5Config config_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
};

/// A prompt that speaks of people (the publisher's list of words, found anywhere, so in "mango" too) with the publisher's words about faces
/// behind it; any other as it is.
std::string with_positive_words(const std::string& prompt);

/// Prompts first to last as one batch, padded with zeros to the longest.
nn::TextStates batch_of(const std::vector<Tensor>& states, size_t first, size_t last);

}  // namespace tessera::infinity
