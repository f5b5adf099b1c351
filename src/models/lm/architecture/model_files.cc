// A model is built on the meta device, where nothing is allocated, and its placeholders are exchanged for mapped
// tensors.
#include "models/lm/architecture/model_files.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/fused_files.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/language_part.h"
#include "quant/stored_form.h"
#include "tensor/build.h"

namespace tessera::lm {

namespace {

/// The module's name of a stored tensor; "" for what old programs stored beside the weights and is computed here, and for a head
/// that is the embedding.
std::string own_name(std::string_view name, bool tied) {
  for (const char* suffix : {"rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"}) {
    if (name.ends_with(suffix)) return "";
  }
  return tied && name == "lm_head.weight" ? "" : std::string(name);
}

/// The format of the weights; absent: as stored.
std::optional<at::ScalarType> format_of(const LoadLmOptions& options, const WeightSource& stored) {
  if (options.dtype == "fp32") return at::kFloat;
  if (options.dtype == "bf16") return at::kBFloat16;
  if (options.dtype != "auto") throw UserError("[lm] dtype is '{}', want one of: auto, fp32, bf16", options.dtype);
  const StoredTensor* embedding = stored.find("model.embed_tokens.weight");
  if (embedding == nullptr) return std::nullopt;  // missing; the comparison of all names says so
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
  if (directory.is_gguf()) {
    const GgufModel file = open_gguf(directory);
    return load_lm(file.config, file.weights, directory.path, options);
  }
  return load_lm(directory.config, WeightSource(directory.path), directory.path, options);
}

DecoderLm load_lm(const Json& config, const WeightSource& stored, const Path& directory, const LoadLmOptions& options) {
  const bool one_file = std::filesystem::is_regular_file(directory);
  const std::string config_file = one_file ? directory.string() : (directory / "config.json").string();
  DecoderLm model = [&] {
    const BuildDevice nowhere(at::kMeta);
    return DecoderLm(config_from_json(config, config_file));
  }();
  const WeightSource named = language_weights(stored, config).renamed([&](std::string_view name) {
    return own_name(name, model.config.tied);
  });
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
  map_weights(tensor_slots(model), packed.rest(), "lm", map);
  packed.load(options.device);
  model.embed_tokens.packed = words.packed;
  return model;
}

void require_rows_for(const LmConfig& config, int64_t ids, const Path& directory) {
  if (ids <= config.vocabulary) return;
  throw UserError("[lm] {}: the tokenizer has {} ids, the embedding only {} rows; they do not belong together",
                  directory.string(), ids, config.vocabulary);
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
