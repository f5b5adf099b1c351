// A model is built on the meta device, where nothing is allocated, and its placeholders are exchanged for mapped
// tensors.
#include "models/lm/architecture/model_files.h"

#include <algorithm>

#include "core/error.h"
#include "models/lm/architecture/config.h"
#include "quant/stored_form.h"
#include "tensor/build.h"

namespace tessera::lm {

namespace {

/// Stored by old programs beside the weights; computed here.
bool computed(std::string_view name) {
  for (const char* suffix : {"rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

/// The format of the weights; absent: as stored.
std::optional<at::ScalarType> format_of(const LoadLmOptions& options, const StoredTensors& stored) {
  if (options.dtype == "fp32") return at::kFloat;
  if (options.dtype == "bf16") return at::kBFloat16;
  if (options.dtype != "auto") throw UserError("[lm] dtype is '{}', want one of: auto, fp32, bf16", options.dtype);
  const StoredTensors::Item* embedding = stored.find(options.prefix + "model.embed_tokens.weight");
  if (embedding == nullptr) return std::nullopt;  // missing; the comparison of all names says so
  const at::ScalarType type = scalar_type(embedding->entry->dtype);
  return type == at::kBFloat16 || (type == at::kHalf && !options.device.is_cpu()) ? type : at::kFloat;
}

/// Embedding and head, which packing leaves alone.
bool is_words(std::string_view name) {
  return name.ends_with("model.embed_tokens.weight") || name.ends_with("lm_head.weight");
}

/// Fills the slots. With packed layers on the CPU, words stay in the 16 bits that they are stored in and all else is
/// fp32: what passes between layers is fp32 either way, and reading the words is much of a decoding step's work.
void map_slots(const std::vector<TensorSlot>& slots, const std::shared_ptr<const StoredTensors>& stored,
               const Path& directory, bool packed, const MapOptions& map) {
  if (!packed || !map.device.is_cpu() || map.writable || map.format == at::kBFloat16) {
    map_weights(slots, stored, directory, "lm", map);
    return;
  }
  for (const bool words : {true, false}) {
    std::vector<TensorSlot> part;
    for (const TensorSlot& slot : slots) {
      if (is_words(slot.name) == words) part.push_back(slot);
    }
    MapOptions of_part = map;
    of_part.format = words ? std::nullopt : std::optional(at::kFloat);
    of_part.passed_over = [&](std::string_view name) { return is_words(name) != words || map.passed_over(name); };
    map_weights(part, stored, directory, "lm", of_part);
  }
}

const char* torch_dtype(StoredAs stored) {
  return stored == StoredAs::f16 ? "float16" : stored == StoredAs::bf16 ? "bfloat16" : "float32";
}

/// One id as a number, several as a list.
Json ids_json(const std::vector<int32_t>& ids) { return ids.size() == 1 ? Json(ids[0]) : Json(ids); }

}  // namespace

DecoderLm load_lm(const ModelDirectory& directory, const LoadLmOptions& options) {
  return load_lm(directory.config, std::make_shared<const StoredTensors>(directory.path), directory.path, options);
}

DecoderLm load_lm(const Json& config, const std::shared_ptr<const StoredTensors>& stored, const Path& directory,
                  const LoadLmOptions& options) {
  DecoderLm model = [&] {
    const BuildDevice nowhere(at::kMeta);
    return DecoderLm(config_from_json(config, (directory / "config.json").string()));
  }();
  const std::string place = options.prefix.substr(0, std::max<size_t>(options.prefix.size(), 1) - 1);
  const quant::PackedLinears packed(nn::named_linears(model, place),
                                    nn::packing_settings(config, (directory / "config.json").string()), stored,
                                    directory);
  const auto passed_over = [&](std::string_view name) {
    if (!name.starts_with(options.prefix) || packed.takes(name)) return true;
    return computed(name) || (model.config.tied && name == options.prefix + "lm_head.weight");
  };
  std::optional<at::ScalarType> format = format_of(options, *stored);
  if (!packed.empty() && options.dtype == "auto" && options.device.is_cpu()) format = at::kFloat;
  map_slots(tensor_slots(model, place), stored, directory, !packed.empty() && options.dtype == "auto",
            {.device = options.device,
             .format = format,
             .writable = options.writable,
             .check_numbers = options.check_numbers,
             .passed_over = passed_over});
  packed.load(options.device);
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
  files.create_directories(directory);
  save_tensors(directory / "model.safetensors", named_tensors(handles), files,
               {.stored_as = options.stored_as, .metadata = {{"format", "pt"}}});  // transformers asks for the mark
  write_file_atomically(directory / "generation_config.json", generation.dump(2) + "\n", files);
  write_file_atomically(directory / "config.json", config.dump(2) + "\n", files);
}

}  // namespace tessera::lm
