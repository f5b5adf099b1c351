// What the program may ask of this folder.
#include <map>

#include "core/error.h"
#include "models/liquid/loaded.h"
#include "models/liquid/objective.h"
#include "models/liquid/quantize.h"
#include "models/registry.h"

namespace tessera::liquid {

namespace {

/// Gemma's files with Chameleon's codec beside them.
std::optional<ModelDirectory> released(const Path& folder) {
  if (!released_codec(folder) || !std::filesystem::is_regular_file(folder / "config.json")) return std::nullopt;
  ModelDirectory found = read_model_directory(folder);
  if (found.model_type != model_type) found.model_type = released_type;
  return found;
}

/// The released files become one directory of ours.
void convert(const ModelDirectory& found, const Path& out, const ConvertOptions& options) {
  const at::NoGradGuard no_grad;
  const std::map<std::string, StoredAs> formats{
      {"f32", StoredAs::f32}, {"f16", StoredAs::f16}, {"bf16", StoredAs::bf16}};
  const auto format = formats.find(options.format);
  if (format == formats.end())
    throw UserError("[convert] a Liquid model's weights cannot be {}, want f32, f16 or bf16", options.format);
  if (found.model_type != released_type)
    throw UserError("[convert] {} is a model directory already", found.path.string());
  if (out.extension() == ".gguf") throw UserError("[convert] GGUF has no place for Liquid's codec; name a directory");
  if (std::filesystem::exists(out) && !(std::filesystem::is_directory(out) && std::filesystem::is_empty(out)))
    throw UserError("[convert] {} exists; give a new directory", out.string());
  const auto tokenizer = text::load_tokenizer(found.path);
  const Bundle bundle = load_bundle(found, *tokenizer, {.dtype = "auto"});
  const Path generation = found.path / "generation_config.json";
  save_bundle(bundle, format->second, std::filesystem::exists(generation) ? read_json_file(generation) : Json::object(),
              out);
  if (options.on_progress) options.on_progress(1, 1);
}

}  // namespace

ModelRegistration registration() {
  return {
      .model_types = {model_type, released_type},
      .load = load_liquid,
      .load_quantizable = load_for_packing,
      .convert = convert,
      .released = released,
      .objectives = {{.name = model_type, .make = make_liquid_objective, .whole_samples = {{"without_prompt", 0.0}}}}};
}

}  // namespace tessera::liquid
