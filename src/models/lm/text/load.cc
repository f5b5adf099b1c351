// A directory of a decoder language model as something that writes.
#include <utility>

#include "core/error.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/text/writes.h"
#include "tensor/model_dir.h"

namespace tessera::lm {

namespace {

class WritingLm : public LoadedModel {
 public:
  WritingLm(std::string type, WriterParts parts) : type_(std::move(type)), writer_(std::move(parts)) {}
  std::string model_type() const override { return type_; }
  const Writes* writes() const override { return &writer_; }

 private:
  std::string type_;
  LmWriter writer_;
};

}  // namespace

std::unique_ptr<LoadedModel> load_lm_model(const ModelDirectory& found, at::Device device, const LoadOptions& options) {
  const Path& directory = found.path;
  const GgufModel file = found.is_gguf() ? open_gguf(found) : GgufModel{found.config, WeightSource(directory)};
  WriterParts parts{.model = load_lm(file.config, file.weights, directory, {.device = device, .dtype = options.dtype}),
                    .tokenizer = text::load_tokenizer(directory),
                    .defaults = generation_defaults(directory, file.config),
                    .decode = {.cache_int8 = options.cache_int8}};
  require_rows_for(parts.model.config, parts.tokenizer->vocabulary(), directory);
  try {
    parts.chat = text::ChatTemplate::of(directory);
  } catch (const UserError& error) {
    parts.no_chat = error.what();  // said when somebody wants to chat
  }
  return std::make_unique<WritingLm>(found.model_type, std::move(parts));
}

}  // namespace tessera::lm
