// Every tensor that is stored is either wanted, known to be of no use, or an error.
#include "models/nvila/model_files.h"

#include <charconv>

#include "core/error.h"
#include "models/lm/architecture/model_files.h"
#include "nn/layers/peft.h"
#include "quant/stored_form.h"
#include "tensor/build.h"
#include "tensor/weights.h"

namespace tessera::nvila {

namespace {

/// Takes `prefix` off the beginning of `name`; false, and nothing taken, when it is not there.
bool take(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

/// Parts of a released tower that the feature does not go through.
bool unused_in_tower(std::string_view name, int64_t blocks) {
  if (name.starts_with("head.") || name.starts_with("post_layernorm.") || name == "embeddings.position_ids")
    return true;
  if (!take(name, "encoder.layers.")) return false;
  int64_t block = -1;
  std::from_chars(name.data(), name.data() + name.size(), block);
  return block >= blocks;
}

/// The module's name of a stored tensor, "" for one that has no use. `name` is that of the flat layout.
std::string own_name(std::string_view name, const NvilaConfig& config) {
  std::string_view rest = name;
  if (!take(rest, "vision_tower.")) return std::string(name);
  take(rest, "vision_tower.");  // some releases have this twice, and some lack the next
  take(rest, "vision_model.");
  if (unused_in_tower(rest, config.vision.used_blocks())) return "";
  return "vision_tower.vision_model." + std::string(rest);
}

/// The weights of either layout under the module's names.
WeightSource source_of(const Path& directory, const NvilaConfig& config) {
  if (!is_legacy(directory))
    return WeightSource(directory).renamed([&](std::string_view name) { return own_name(name, config); });
  std::vector<WeightSource> parts;
  for (const std::string part : {"llm", "vision_tower", "mm_projector"}) {
    parts.push_back(WeightSource(directory / part).renamed([&](std::string_view name) {
      return own_name(part + "." + std::string(name), config);
    }));
  }
  return WeightSource::joined(directory, parts);
}

/// Of the tower and the projector; absent: as stored.
std::optional<at::ScalarType> format_of(const std::string& dtype, at::Device device, const WeightSource& stored) {
  if (dtype == "bf16") return at::kBFloat16;
  if (dtype != "auto") return at::kFloat;
  for (const auto& [name, tensor] : stored.tensors()) {
    if (tensor.dtype == Dtype::f16 && device.is_cpu()) return at::kFloat;
  }
  return std::nullopt;
}

}  // namespace

NvilaModel load_weights(const Path& directory, at::Device device, const WeightOptions& options) {
  const ModelDirectory found = read_model_directory(directory);
  return load_weights(found, read_config(found), device, options);
}

NvilaModel load_weights(const ModelDirectory& found, const StoredConfig& config, at::Device device,
                        const WeightOptions& options) {
  const Path& directory = found.path;
  NvilaModel model;
  {
    const BuildDevice nowhere(at::kMeta);
    model = NvilaModel(config.config);
  }
  const WeightSource all = source_of(directory, model.config);
  const WeightSource seeing =
      all.renamed([](std::string_view name) { return name.starts_with("llm.") ? "" : std::string(name); });
  const quant::PackedLinears packed(nn::named_linears(model.vision_tower, "vision_tower"), {}, seeing);
  std::vector<TensorSlot> slots = tensor_slots(model.vision_tower, "vision_tower");
  for (TensorSlot& slot : tensor_slots(model.mm_projector, "mm_projector")) slots.push_back(std::move(slot));
  map_weights(slots, packed.rest(), "nvila",
              {.device = device, .format = format_of(options.dtype, device, seeing), .writable = options.writable});
  packed.load(device);
  model.llm = lm::load_lm(config.text, all.part("llm."), directory,
                          {.device = device, .dtype = options.dtype, .writable = options.writable});
  for (const Path& adapter : found.adapters) nn::load_adapters(nn::named_linears(model), adapter);
  return model;
}

void save_model(const NvilaModel& model, StoredAs stored, const Path& directory, const Path& tokenizer,
                FileSystem& files) {
  files.create_directories(directory);
  NvilaModel handles = model;
  save_tensors(directory / "model.safetensors", named_tensors(handles), files,
               {.stored_as = stored, .metadata = {{"format", "pt"}}});
  if (!tokenizer.empty()) copy_tokenizer(tokenizer, directory, files);
  write_file_atomically(directory / "config.json", flat_config_json(model.config).dump(2) + "\n", files);
}

void require_same_words(const NvilaConfig& config, const text::Tokenizer& tokenizer, const Path& directory) {
  for (int64_t id = config.text.vocabulary; id < tokenizer.vocabulary(); ++id) {
    const std::string token = tokenizer.token_of(static_cast<int32_t>(id));
    if (token.empty() || std::find(media_tokens.begin(), media_tokens.end(), token) != media_tokens.end()) continue;
    throw UserError("[nvila] {}: the tokenizer's '{}' is word {}, but the embedding has {} rows", directory.string(),
                    token, id, config.text.vocabulary);
  }
}

}  // namespace tessera::nvila
