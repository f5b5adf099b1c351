// A directory of a decoder language model as something that writes.
#include <optional>
#include <utility>

#include "core/error.h"
#include "models/lm/architecture/adapters.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/language_part.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/text/writes.h"
#include "tensor/gguf.h"
#include "tensor/live_bytes.h"
#include "tensor/model_dir.h"

namespace tessera::lm {

namespace {

class WritingLm : public LoadedModel {
 public:
  WritingLm(std::string type, WriterParts parts) : type_(std::move(type)), writer_(std::move(parts)) {}
  std::string model_type() const override { return type_; }
  int64_t weight_bytes() const override {
    DecoderLm model = writer_.model();  // shares its tensors
    return bytes_of(model);
  }
  const Writes* writes() const override { return &writer_; }

 private:
  std::string type_;
  LmWriter writer_;
};

/// The template in a GGUF file, or among the files of a directory. Throws UserError where there is none.
text::ChatTemplate stored_chat_template(const ModelDirectory& found, const text::Tokenizer& tokenizer) {
  if (!found.is_gguf()) return text::ChatTemplate::of(found.path);
  const std::string where = found.path.string();
  const MappedFile map(found.path);
  const GgufFile header = parse_gguf(map.bytes(), where);
  const auto stored = [&](std::string_view key) {
    const GgufValue* const value = header.find(key);
    return value == nullptr ? std::string() : std::string(value->text().value_or(""));
  };
  const std::string source = stored("tokenizer.chat_template"), tools = stored("tokenizer.chat_template.tool_use");
  if (source.empty())
    throw UserError("[lm] {} stores no chat template; give one as --chat-template, a file or a name", where);
  auto chat =
      text::ChatTemplate::of_source(source, text::special_tokens_of(tokenizer), "the chat template of " + where);
  if (!tools.empty()) chat.with_tool_template(tools);
  return chat;
}

}  // namespace

std::unique_ptr<LoadedModel> load_lm_model(const ModelDirectory& found, at::Device device, const LoadOptions& options) {
  const Path& directory = found.path;
  const GgufModel file = found.is_gguf() ? open_gguf(found) : GgufModel{found.config, WeightSource(directory)};
  WriterParts parts{.model = load_lm(file.config, file.weights, directory,
                                     {.device = device, .dtype = options.dtype, .exact = options.exact}),
                    .tokenizer = text::load_tokenizer(directory),
                    .defaults = generation_defaults(directory, language_config(file.config, directory.string())),
                    .decode = {.cache_int8 = options.cache_int8, .cache_bf16 = !options.exact}};
  require_rows_for(parts.model.config, *parts.tokenizer, directory);
  add_adapters(parts.model, found.adapters);
  if (!options.chat_template.empty()) {
    parts.chat = text::ChatTemplate::given(options.chat_template, text::special_tokens_of(*parts.tokenizer));
    return std::make_unique<WritingLm>(found.model_type, std::move(parts));
  }
  try {
    parts.chat = stored_chat_template(found, *parts.tokenizer);
  } catch (const UserError& error) {
    parts.no_chat = error.what();  // said when somebody wants to chat
  }
  return std::make_unique<WritingLm>(found.model_type, std::move(parts));
}

}  // namespace tessera::lm
