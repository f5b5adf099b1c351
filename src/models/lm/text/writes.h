// Text from decoder language models: prompts and conversations become batches of token ids, batches become
// continuations.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "generate/token_sampling.h"
#include "models/capabilities.h"
#include "models/lm/text/decode.h"
#include "models/registry.h"
#include "text/chat_template.h"

namespace tessera::lm {

struct GenerationDefaults {
  generate::TokenSampling sampling;                 // greedy where the files do not say do_sample
  generate::TokenSampling drawn{.temperature = 1};  // their numbers, whatever they say of do_sample
  std::vector<int32_t> end_tokens;                  // of both files, each once
};

/// `config`: the contents of config.json. Keys that Tessera does not know are passed over, as in the reference.
/// Throws UserError for a file that is no JSON and for values of a wrong type or out of range.
GenerationDefaults generation_defaults(const Path& directory, const Json& config);

/// What a writer is made of.
struct WriterParts {
  DecoderLm model;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat;
  std::string no_chat;  // why there is no chat template, for the error
  GenerationDefaults defaults;
  DecodeOptions decode;
  int64_t batch_tokens = 16384;  // prompt positions that are written at once at most
  int64_t batch_rows = 32;
};

class LmWriter : public Writes {
 public:
  /// Ids without a row in the embedding are refused when a prompt holds them.
  explicit LmWriter(WriterParts parts);

  const text::Tokenizer& tokenizer() const override { return *parts_.tokenizer; }
  int64_t context() const override { return parts_.model.config.context; }
  generate::TokenSampling sampling() const override { return parts_.defaults.sampling; }
  generate::TokenSampling drawn_sampling() const override { return parts_.defaults.drawn; }
  std::vector<Written> write(const std::vector<std::string>& prompts,
                             const generate::TextOptions& options) const override;
  Written chat(const std::vector<text::Message>& messages, const generate::TextOptions& options) const override {
    return chat(messages, options, {});
  }
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages) const override {
    return chat_prompt(messages, {});
  }
  Written chat(const std::vector<text::Message>& messages, const generate::TextOptions& options,
               const text::TemplateInputs& inputs) const override;
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages,
                                   const text::TemplateInputs& inputs) const override;
  /// What requests have in common in front of their continuations is read once.
  std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests,
                                              int64_t* positions = nullptr) const override;
  Tensor represent(const std::vector<std::string>& texts) const override;

  /// Continues rows of token ids. What write() and chat() come down to.
  std::vector<Written> continue_ids(const std::vector<std::vector<int32_t>>& prompts,
                                    const generate::TextOptions& options) const;
  /// The same over steps of the caller's: what a model that sees has made of pictures. Prompts of one batch; sets what it took.
  std::vector<Written> continue_prompts(LmSteps& steps, std::vector<generate::Prompt> prompts,
                                        const generate::TextOptions& completed) const;
  const DecoderLm& model() const { return parts_.model; }
  const DecodeOptions& decode() const { return parts_.decode; }
  /// Options with what the model adds to them. A stop text that is a special token is that token: its text is never
  /// shown.
  generate::TextOptions completed(generate::TextOptions options) const override;
  std::unique_ptr<generate::TokenSteps> steps(int64_t positions) const override;
  int64_t position_bytes() const override;
  void require_known(std::span<const int32_t> ids, std::string_view what) const override;
  const text::ChatTemplate* chat_template() const override { return parts_.chat ? &*parts_.chat : nullptr; }

 private:
  WriterParts parts_;
  std::vector<int32_t> end_tokens_;
  mutable std::mutex chatting_;              // held by the chat() that uses the memory; others go without
  mutable std::unique_ptr<LmSteps> memory_;  // of the last conversation
};

/// The loader of the registry: config, weights, tokenizer, chat template, generation defaults.
std::unique_ptr<LoadedModel> load_lm_model(const ModelDirectory& directory, at::Device device,
                                           const LoadOptions& options = {});

}  // namespace tessera::lm
