// What a loaded NVILA model can do: answer about pictures and clips, and, through its language model, write.
#pragma once

#include <memory>
#include <vector>

#include "models/lm/text/writes.h"
#include "models/nvila/model_files.h"

namespace tessera::nvila {

/// Text alone: the language model, asked in NVILA's template.
class NvilaWriter final : public lm::LmWriter {
 public:
  NvilaWriter(lm::WriterParts parts, const Prompter& prompter) : LmWriter(std::move(parts)), prompter_(&prompter) {}
  using LmWriter::chat_prompt;
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages,
                                   const text::TemplateInputs& inputs) const override;

 private:
  const Prompter* prompter_;
};

class LoadedNvila final : public LoadedModel, public Sees, public Embeds {
 public:
  /// `text_config`: the language model's own config.json. Throws UserError when the tokenizer in `directory` does not
  /// belong to the model.
  LoadedNvila(NvilaModel model, const Path& directory, const Json& text_config, const lm::DecodeOptions& decode);

  std::string model_type() const override { return nvila::model_type; }
  int64_t weight_bytes() const override;
  const Writes* writes() const override { return writer_.get(); }
  const Sees* sees() const override { return this; }
  const Embeds* embeds() const override { return this; }

  /// Requests with the same options and no callbacks run as batches; each is what it would be alone. Throws UserError for
  /// conversations that do not end with a user's turn, media that they do not speak of, and prompts over the context length.
  std::vector<Written> see(const std::vector<SeeRequest>& requests) const override;
  int64_t prompt_length(const SeeRequest& request) const override;
  generate::Prompt prompt(const SeeRequest& request) const override;
  int64_t default_frames() const override { return model_.config.video.frames; }

  /// The vision tower's features, averaged over positions; pictures are stretched to its size.
  Tensor embed(const std::vector<Image>& pictures) const override;

  const NvilaModel& model() const { return model_; }
  const Prompter& prompter() const { return *prompter_; }

 private:
  struct Asked;
  Asked asked(const SeeRequest& request, size_t place) const;
  generate::Prompt seen(const Asked& one) const;
  void answer(const std::vector<Asked>& batch, std::vector<Written>& written) const;

  NvilaModel model_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<Prompter> prompter_;
  std::unique_ptr<NvilaWriter> writer_;
  lm::DecodeOptions decode_;
};

/// The loader of the registry.
std::unique_ptr<LoadedModel> load_seeing_model(const ModelDirectory& directory, at::Device device,
                                               const LoadOptions& options = {});

}  // namespace tessera::nvila
