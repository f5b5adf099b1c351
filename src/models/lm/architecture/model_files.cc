// A model is built on the meta device, where nothing is allocated, and its placeholders are exchanged for mapped
// tensors.
#include "models/lm/architecture/model_files.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "models/lm/architecture/adapters.h"
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/fused_files.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/language_part.h"
#include "models/lm/architecture/stored_tensors.h"
#include "quant/stored_form.h"
#include "tensor/build.h"
#include "tensor/device.h"

namespace tessera::lm {

namespace {

/// The format of the weights; absent: as stored.
std::optional<at::ScalarType> format_of(const LoadLmOptions& options, const WeightSource& stored) {
  if (options.dtype == "fp32") return at::kFloat;
  if (options.dtype == "bf16") return at::kBFloat16;
  if (options.dtype != "auto") throw UserError("[lm] dtype is '{}', want one of: auto, fp32, bf16", options.dtype);
  const StoredTensor* embedding = stored.find("model.embed_tokens.weight");
  if (embedding == nullptr || !is_readable(embedding->dtype)) return std::nullopt;  // the comparison of all says so
  const at::ScalarType type = scalar_type(embedding->dtype);
  return type == at::kBFloat16 || (type == at::kHalf && !options.device.is_cpu()) ? type : at::kFloat;
}

/// What decides how fast a gated DeltaNet forgets; releases store it in more bits than the rest.
bool is_decay(std::string_view name) { return name.ends_with(".A_log") || name.ends_with(".dt_bias"); }

const char* torch_dtype(StoredAs stored) {
  return stored == StoredAs::f16 ? "float16" : stored == StoredAs::bf16 ? "bfloat16" : "float32";
}

/// One id as a number, several as a list.
Json ids_json(const std::vector<int32_t>& ids) { return ids.size() == 1 ? Json(ids[0]) : Json(ids); }

}  // namespace

DecoderLm load_lm(const ModelDirectory& directory, const LoadLmOptions& options) {
  const GgufModel file =
      directory.is_gguf() ? open_gguf(directory) : GgufModel{directory.config, WeightSource(directory.path)};
  DecoderLm model = load_lm(file.config, file.weights, directory.path, options);
  if (!directory.adapters.empty()) merge_adapters_into(model, directory.adapters);
  return model;
}

DecoderLm load_lm(const Json& config, const WeightSource& stored, const Path& directory, const LoadLmOptions& options) {
  const bool one_file = std::filesystem::is_regular_file(directory);
  const std::string config_file = one_file ? directory.string() : (directory / "config.json").string();
  LmConfig shape = config_from_json(config, config_file);
  const WeightSource named = with_settled_head(language_weights(without_wrappers(stored), config), shape);
  DecoderLm model = [&] {
    const BuildDevice nowhere(at::kMeta);
    return DecoderLm(shape);
  }();
  const WeightSource source = model.config.fused ? parted(named, model.config) : named;
  std::vector<nn::NamedLinear> linears = nn::named_linears(model);
  nn::Linear words = model.embed_tokens.as_linear();  // GGUF packs the embedding too
  linears.push_back({"model.embed_tokens", &words});
  std::set<std::string, std::less<>> matrices;
  for (const nn::NamedLinear& each : linears) matrices.insert(each.name + ".weight");
  const quant::PackedLinears packed(linears, nn::packing_settings(config, config_file), source);
  model.embed_tokens.weight = words.weight;
  MapOptions map{.device = options.device,
                 .format = format_of(options, source),
                 .writable = options.writable,
                 .copied = !options.writable,
                 .check_numbers = options.check_numbers};
  if (options.dtype == "auto" && !options.writable) map.as_stored = is_decay;
  // On the CPU, matrices stay in the 16 bits that they are stored in where all else is fp32 (beside packed layers, and fp16): what
  // passes between layers is fp32 either way, and reading them is most of a decoding step's work.
  if (options.dtype == "auto" && options.device.is_cpu() && (!packed.empty() || map.format == at::kFloat)) {
    map.format = at::kFloat;
    if (!options.writable)
      map.as_stored = [&](std::string_view name) { return matrices.contains(name) || is_decay(name); };
  }
  const std::vector<TensorSlot> slots = tensor_slots(model);
  map_weights(slots, without_strangers(packed.rest(), slots), "lm", map);
  packed.load(options.device, options.exact);
  const bool in_bf16 = !options.exact && options.device.is_cpu() && multiplies_bfloat16(at::kCPU);
  for (const nn::NamedLinear& each : linears) each.linear->bf16_products = in_bf16 && each.name != "lm_head";
  model.embed_tokens.packed = words.packed;
  return model;
}

void save_lm(const Path& directory, const DecoderLm& model, const SaveLmOptions& options, FileSystem& files) {
  Json config = config_json(model.config), generation = options.generation;
  config["torch_dtype"] = torch_dtype(options.stored_as);
  for (Json* tree : {&config, &generation}) {
    if (options.begin_token) (*tree)["bos_token_id"] = *options.begin_token;
    if (!options.end_tokens.empty()) (*tree)["eos_token_id"] = ids_json(options.end_tokens);
    if (options.pad_token) (*tree)["pad_token_id"] = *options.pad_token;
  }
  DecoderLm handles = model;
  std::vector<NamedTensor> tensors = named_tensors(handles);
  if (model.config.fused) tensors = joined_parts(tensors, model.config);
  files.create_directories(directory);
  save_tensors(directory / "model.safetensors", tensors, files,
               {.stored_as = options.stored_as, .metadata = {{"format", "pt"}}});  // transformers asks for the mark
  write_file_atomically(directory / "generation_config.json", generation.dump(2) + "\n", files);
  write_file_atomically(directory / "config.json", config.dump(2) + "\n", files);
}

}  // namespace tessera::lm
