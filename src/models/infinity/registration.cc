// What the program may ask of this folder.
#include <map>

#include "core/error.h"
#include "models/infinity/draw.h"
#include "models/infinity/grpo.h"
#include "models/infinity/quantize.h"
#include "models/infinity/recipe.h"
#include "models/infinity/released.h"
#include "models/registry.h"
#include "nn/layers/peft.h"

namespace tessera::infinity {

namespace {

constexpr const char* released_type = "infinity (released files)";

Bundle load_bundle(const ModelDirectory& directory, const LoadBundleOptions& options) {
  Bundle bundle = directory.model_type == released_type ? load_released_folder(directory.path, options)
                                                        : load_model(directory, options);
  for (const Path& adapter : directory.adapters) nn::load_adapters(nn::named_linears(bundle.model), adapter);
  return bundle;
}

std::unique_ptr<LoadedModel> load(const ModelDirectory& directory, at::Device device, const LoadOptions& options) {
  return std::make_unique<DrawingInfinity>(load_bundle(directory, {.device = device,
                                                                   .dtype = options.dtype,
                                                                   .exact = options.exact,
                                                                   .cache_int8 = options.cache_int8,
                                                                   .writable = false}));
}

std::unique_ptr<Quantizable> load_quantizable(const ModelDirectory& directory, at::Device device) {
  if (directory.config.contains("quantization_config"))
    throw UserError("[quant] {} is packed already; give the model that it was made from", directory.path.string());
  return quantizable(load_bundle(directory, {.device = device, .dtype = "fp32", .writable = true}));
}

std::optional<ModelDirectory> released(const Path& folder) {
  if (!released_folder(folder)) return std::nullopt;
  return ModelDirectory{.path = folder, .model_type = released_type, .config = Json::object(), .weight_files = {}};
}

/// Released files become one model directory; a model directory becomes one of fewer bits.
void convert(const ModelDirectory& found, const Path& out, const ConvertOptions& options) {
  const std::map<std::string, StoredAs> plain{{"f32", StoredAs::f32}, {"f16", StoredAs::f16}, {"bf16", StoredAs::bf16}};
  const std::map<std::string, int64_t> packed{{"int8", 8}, {"int4", 4}};
  const auto format = plain.find(options.format);
  const auto bits = packed.find(options.format);
  if (format == plain.end() && bits == packed.end())
    throw UserError("[convert] an Infinity model's weights cannot be {}, want f32, f16, bf16, int8 or int4",
                    options.format);
  if (found.model_type != released_type && bits == packed.end() && found.adapters.empty())
    throw UserError("[convert] {} is a model directory already; of those int8 and int4 ones are made",
                    found.path.string());
  if (out.extension() == ".gguf") throw UserError("[convert] GGUF has no place for Infinity; name a directory");
  if (std::filesystem::exists(out) && !(std::filesystem::is_directory(out) && std::filesystem::is_empty(out)))
    throw UserError("[convert] {} exists; give a new directory", out.string());
  Bundle bundle = load_bundle(found, {.writable = false});
  if (!found.adapters.empty()) bundle.model = merged(bundle.model);
  if (bits == packed.end()) {
    save_bundle(bundle, format->second, out);
  } else {
    const Packed made = pack_blocks(bundle.model, bits->second);
    save_bundle(bundle, StoredAs::bf16, out, disk(), made.group);
  }
  if (options.on_progress) options.on_progress(1, 1);
}

}  // namespace

ModelRegistration registration() {
  return {.model_types = {model_type, released_type},
          .load = load,
          .load_quantizable = load_quantizable,
          .convert = convert,
          .released = released,
          .objectives = {{.name = model_type, .make = make_infinity_objective, .whole_samples = {{"drop_prompt", 0.0}}},
                         {.name = "infinity-grpo", .make = make_picture_grpo_objective}},
          .adapters = true};
}

}  // namespace tessera::infinity
