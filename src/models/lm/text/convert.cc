// A model is loaded as for running and written in the other form.
#include "models/lm/text/convert.h"

#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/text/writes.h"
#include "nn/layers/adapters.h"
#include "text/gguf_tokenizer.h"

namespace tessera::lm {

namespace {

namespace fs = std::filesystem;

/// The model with plain weights.
DecoderLm unpacked(DecoderLm model) {
  for (auto& [name, linear] : nn::named_linears(model)) {
    if (!linear->packed) continue;
    linear->weight = linear->packed->unpack();
    linear->packed = nullptr;
  }
  if (model.embed_tokens.packed) {
    model.embed_tokens.weight = model.embed_tokens.packed->unpack();
    model.embed_tokens.packed = nullptr;
  }
  return model;
}

/// The model, which has plain weights, with value heads of gated DeltaNets in the order that config.json stands for.
DecoderLm grouped(DecoderLm model) {
  if (!model.config.linear || !model.config.linear->tiled) return model;
  const LinearAttention tiled = *model.config.linear;
  for (Block& block : model.layers) {
    if (!block.linear_attn) continue;
    for_each_tensor(*block.linear_attn, [&](const std::string& name, Tensor& tensor) {
      tensor = with_value_heads(name, tensor, tiled, false);
    });
  }
  model.config.linear->tiled = false;
  return model;
}

StoredAs directory_format(const std::string& format) {
  if (format == "f32") return StoredAs::f32;
  if (format == "f16") return StoredAs::f16;
  if (format == "bf16") return StoredAs::bf16;
  throw UserError("[convert] a directory's weights cannot be {}, want one of: f32, f16, bf16; or name a .gguf file",
                  format);
}

/// A directory with its adapters merged in fp32: all small files but those of the weights as they are.
void save_merged(const Path& out, const ModelDirectory& found, StoredAs format, const ConvertOptions& options) {
  const DecoderLm model = unpacked(load_lm(found, {.dtype = "fp32"}));
  SaveLmOptions save{.stored_as = format};
  const Path generation = found.path / "generation_config.json";
  if (fs::exists(generation)) save.generation = read_json_file(generation);
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    const auto at = found.config.find(key);
    if (at != found.config.end() && !save.generation.contains(key)) save.generation[key] = *at;
  }
  disk().create_directories(out);
  for (const auto& entry : fs::directory_iterator(found.path)) {
    const std::string name = entry.path().filename().string();
    const bool kept = entry.is_regular_file() && !name.starts_with('.') && !name.starts_with("README") &&
                      !is_of_kind(entry.path(), {".safetensors", ".bin", ".pt", ".pth", ".gguf"}) &&
                      !name.ends_with(".index.json") && name != "config.json" && name != "generation_config.json";
    if (kept) write_file_atomically(out / name, read_file(entry.path()));
  }
  std::string card = fmt::format("# {} with adapters merged\n\n| | |\n|---|---|\n| base | {} |\n",
                                 found.path.filename().string(), found.path.string());
  for (const Path& adapter : found.adapters) card += fmt::format("| adapter | {} |\n", adapter.string());
  write_file_atomically(out / "README.md", card);
  save_lm(out, model, save);
  if (options.on_progress) options.on_progress(1, 1);
}

/// From a GGUF file to a directory.
void save_directory(const Path& out, const ModelDirectory& found, const ConvertOptions& options) {
  const StoredAs format = directory_format(options.format);
  if (!found.is_gguf() && found.adapters.empty())
    throw UserError("[convert] {} is a model directory already; name a .gguf file to write", found.path.string());
  if (fs::exists(out) && !(fs::is_directory(out) && fs::is_empty(out)))
    throw UserError("[convert] {} exists; give a new directory", out.string());
  if (!found.is_gguf()) return save_merged(out, found, format, options);
  const GgufModel file = open_gguf(found);
  const DecoderLm model = grouped(unpacked(load_lm(found)));
  SaveLmOptions save{.stored_as = format};
  const auto id = [&](const char* key) {
    const auto at = file.config.find(key);
    return at == file.config.end() ? std::nullopt : std::optional(at->get<int32_t>());
  };
  save.begin_token = id("bos_token_id");
  save.pad_token = id("pad_token_id");
  save.end_tokens = generation_defaults(found.path, file.config).end_tokens;
  const MappedFile map(found.path);
  const GgufFile header = parse_gguf(map.bytes(), found.path.string());
  const GgufValue* chat = header.find("tokenizer.chat_template");
  disk().create_directories(out);
  text::save_tokenizer_files(text::read_gguf_tokenizer(header, found.path.string()),
                             std::string(chat != nullptr ? chat->text().value_or("") : ""), out, disk());
  save_lm(out, model, save);
  if (options.on_progress) options.on_progress(1, 1);
}

}  // namespace

void convert_lm(const ModelDirectory& found, const Path& out, const ConvertOptions& options) {
  const at::NoGradGuard no_grad;
  if (out.extension() != ".gguf") return save_directory(out, found, options);
  if (fs::exists(out) && fs::exists(found.path) && fs::equivalent(out, found.path))
    throw UserError("[convert] {} is the file that is read; name another one", out.string());
  save_gguf(out, load_lm(found), found, options);
}

}  // namespace tessera::lm
