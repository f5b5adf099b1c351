// What the program may ask of this folder.
#include <map>

#include "core/error.h"
#include "models/infinity/draw.h"
#include "models/infinity/objective.h"
#include "models/infinity/released.h"
#include "models/registry.h"

namespace tessera::infinity {

namespace {

constexpr const char* released_type = "infinity (released files)";

std::unique_ptr<LoadedModel> load(const ModelDirectory& directory, at::Device device, const LoadOptions&) {
  return std::make_unique<DrawingInfinity>(directory.model_type == released_type
                                               ? load_released_folder(directory.path, device)
                                               : load_model(directory, device));
}

std::optional<ModelDirectory> released(const Path& folder) {
  if (!released_folder(folder)) return std::nullopt;
  return ModelDirectory{.path = folder, .model_type = released_type, .config = Json::object(), .weight_files = {}};
}

/// Released files become one model directory.
void convert(const ModelDirectory& found, const Path& out, const ConvertOptions& options) {
  const std::map<std::string, StoredAs> formats{
      {"f32", StoredAs::f32}, {"f16", StoredAs::f16}, {"bf16", StoredAs::bf16}};
  const auto format = formats.find(options.format);
  if (format == formats.end())
    throw UserError("[convert] an Infinity model's weights cannot be {}, want f32, f16 or bf16", options.format);
  if (found.model_type != released_type)
    throw UserError("[convert] {} is a model directory already", found.path.string());
  if (out.extension() == ".gguf") throw UserError("[convert] GGUF has no place for Infinity; name a directory");
  if (std::filesystem::exists(out) && !(std::filesystem::is_directory(out) && std::filesystem::is_empty(out)))
    throw UserError("[convert] {} exists; give a new directory", out.string());
  save_bundle(load_released_folder(found.path, at::kCPU), format->second, out);
  if (options.on_progress) options.on_progress(1, 1);
}

}  // namespace

ModelRegistration registration() {
  return {
      .model_types = {model_type, released_type},
      .load = load,
      .convert = convert,
      .released = released,
      .objectives = {{.name = model_type, .make = make_infinity_objective, .whole_samples = {{"drop_prompt", 0.0}}}}};
}

}  // namespace tessera::infinity
