// Model directories. A codec that does not belong is refused: with it every picture would be garbage without an error.
#include "models/infinity/model_files.h"

#include <algorithm>
#include <set>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/json.h"
#include "core/rng.h"
#include "nn/packed/int4_weight.h"
#include "nn/packed/int8_weight.h"
#include "nn/packed/packed_format.h"
#include "quant/stored_form.h"
#include "tensor/build.h"
#include "tensor/device.h"

namespace tessera::infinity {

namespace {
constexpr const char* text_folder = "text_encoder";
}

std::string fingerprint(const codec::Codec& codec) {
  codec::Codec handles = codec;  // tensors are handles: copying shares them
  uint64_t digest = 0;
  for_each_tensor(handles.encoder, [&](const std::string& name, Tensor& t) {
    const Tensor half = t.detach().cpu().to(at::kHalf).contiguous();
    digest = mix64(digest ^ hash_text(name));
    digest = mix64(digest ^ hash_text({static_cast<const char*>(half.const_data_ptr()), half.nbytes()}));
  });
  return fmt::format("{}#{:08x}", codec.config.fingerprint(), digest >> 32);
}

void require_same_codes(const InfinityConfig& config, const codec::CodecConfig& codec) {
  std::vector<std::string> reasons;
  if (codec.bits != config.bits)
    reasons.push_back(fmt::format("the codec has {} bits, the transformer wants {}", codec.bits, config.bits));
  if (!config.scales.empty()) {
    std::vector<int64_t> wanted = config.scales;
    for (int64_t& edge : wanted) edge *= config.patchify ? 2 : 1;
    if (codec.scales != wanted) {
      reasons.push_back(fmt::format("the codec has scales {}, the transformer wants {}", fmt::join(codec.scales, ","),
                                    fmt::join(wanted, ",")));
    }
  }
  if (reasons.empty()) return;
  throw UserError(
      "[infinity] codec and transformer do not belong together: codec '{}', transformer made for '{}': {}; use the "
      "codec "
      "named in its model card",
      codec.name, config.codec.empty() ? "unknown" : config.codec, fmt::join(reasons, "; "));
}

namespace {

/// fp32 weights that take more are held as they are stored where nobody says how.
constexpr int64_t largest_in_fp32 = int64_t{2} << 30;

bool is_block(std::string_view name) { return name.starts_with("blocks."); }

/// The format of the matrices; absent: as stored.
std::optional<at::ScalarType> matrix_format(const LoadBundleOptions& options, const WeightSource& source) {
  if (options.dtype == "fp32") return at::kFloat;
  if (options.dtype == "bf16") return at::kBFloat16;
  if (options.dtype != "auto")
    throw UserError("[infinity] dtype is '{}', want one of: auto, fp32, bf16", options.dtype);
  int64_t numbers = 0;
  for (const auto& [name, tensor] : source.tensors()) numbers += scalar_count(tensor.shape);
  return numbers * 4 <= largest_in_fp32 ? std::optional(at::kFloat) : std::nullopt;
}

StoredAs narrower(StoredAs stored) { return stored == StoredAs::unchanged ? StoredAs::f32 : stored; }

/// The tensors of a module with packed layers under the names of files, plain floating-point ones in `stored`.
std::vector<NamedTensor> packed_form(const quant::SavingForm& form, StoredAs stored) {
  const at::ScalarType type = stored == StoredAs::f16    ? at::kHalf
                              : stored == StoredAs::bf16 ? at::kBFloat16
                                                         : at::kFloat;
  std::vector<NamedTensor> all = form.packed;
  for (const auto& [name, tensor] : form.plain)
    all.push_back({name, at::isFloatingType(tensor.scalar_type()) ? tensor.to(type) : tensor});
  return all;
}

}  // namespace

bool multiplies_in_bf16(const LoadBundleOptions& options) {
  return !options.exact && !options.writable && options.dtype != "fp32" && options.device.is_cpu() &&
         multiplies_bfloat16(at::kCPU);
}

at::ScalarType fill_transformer(Infinity& model, const WeightSource& source, const Json& settings,
                                const LoadBundleOptions& options) {
  const std::vector<nn::NamedLinear> linears = nn::named_linears(model);
  const quant::PackedLinears packed(linears, settings, source);
  std::set<std::string, std::less<>> matrices;
  for (const nn::NamedLinear& each : linears) {
    if (is_block(each.name) && each.linear->has_weight()) matrices.insert(each.name + ".weight");
  }
  const auto is_matrix = [&](std::string_view name) { return matrices.contains(name); };
  const WeightSource plain = packed.rest();
  const bool in_bf16 = multiplies_in_bf16(options);
  std::optional<at::ScalarType> format = packed.empty() ? matrix_format(options, plain) : std::nullopt;
  const bool rounded = in_bf16 && format == at::kFloat && options.dtype == "auto";
  if (rounded) format = at::kBFloat16;
  MapOptions map{.device = options.device, .format = at::kFloat, .writable = options.writable};
  const std::vector<TensorSlot> all = tensor_slots(model);
  require_agreement(named_tensors(model), plain, "infinity");
  std::vector<TensorSlot> wide, narrow;
  for (const TensorSlot& slot : all) (is_matrix(slot.name) ? narrow : wide).push_back(slot);
  const auto part = [&](bool of_matrices) {
    return plain.renamed(
        [&](std::string_view name) { return is_matrix(name) == of_matrices ? std::string(name) : std::string(); });
  };
  map_weights(wide, part(false), "infinity", map);
  map.format = format;
  map_weights(narrow, part(true), "infinity", map);
  packed.load(options.device);
  for (const nn::NamedLinear& each : linears) each.linear->bf16_products = in_bf16 && is_matrix(each.name + ".weight");
  if (options.cache_int8) return at::kChar;
  const nn::Linear& first = model.blocks.front().sa.mat_qkv;
  return !rounded && (first.packed || first.weight.element_size() == 2) ? at::kBFloat16 : at::kFloat;
}

Packed pack_blocks(Infinity& model, int64_t bits) {
  const at::NoGradGuard no_grad;
  Packed made{.bits = bits};
  std::vector<nn::NamedLinear> chosen;
  for (const nn::NamedLinear& each : nn::named_linears(model)) {
    if (is_block(each.name) && !(bits == 8 && nn::name_ends(each.name, "ffn.fc2"))) chosen.push_back(each);
  }
  if (bits == 4) {
    for (const int64_t group : {128, 64, 32}) {
      const bool fits =
          std::ranges::all_of(chosen, [&](const nn::NamedLinear& each) { return each.linear->inputs() % group == 0; });
      if (made.group == 0 && fits) made.group = group;
    }
    if (made.group == 0) throw UserError("[infinity] widths are no multiples of 32, as 4-bit weights want");
  }
  for (const nn::NamedLinear& each : chosen) {
    if (each.linear->packed) throw UserError("[infinity] layer {} is packed already", each.name);
    const Tensor weight = each.linear->weight.to(at::kFloat);
    if (bits == 8) each.linear->pack(std::make_shared<nn::Int8Weight>(nn::round_int8(weight)));
    else
      each.linear->pack(
          std::make_shared<nn::Int4Weight>(nn::round_int4(weight, made.group, nn::full_ranges(weight, made.group))));
  }
  return made;
}

Infinity merged(const Infinity& model) {
  const at::NoGradGuard no_grad;
  Infinity copy = model;
  const std::vector<nn::NamedLinear> linears = nn::named_linears(copy);
  for (const nn::NamedLinear& each : linears) {
    if (each.linear->lora && present(each.linear->weight))
      each.linear->weight = each.linear->weight.detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }
  nn::merge_adapters(linears);
  return copy;
}

void save_model(const Infinity& model, const codec::Codec& codec, const DrawDefaults& defaults, StoredAs stored,
                const Path& directory, FileSystem& files, int64_t group) {
  files.create_directories(directory);
  Infinity handles = model;
  handles.config.codec = fingerprint(codec);
  // bf16 would change the rounded weights that the fingerprint is of, and with them what bits mean.
  codec::save_codec(codec, directory / "codec", stored == StoredAs::bf16 ? StoredAs::f16 : stored, files);
  const quant::SavingForm form = quant::saving_form(handles);
  const bool packs = !form.packed.empty();
  save_tensors(directory / "model.safetensors", packs ? packed_form(form, narrower(stored)) : named_tensors(handles),
               files, {.stored_as = packs ? StoredAs::unchanged : stored});
  write_file_atomically(directory / "generation_config.json", to_json(defaults).dump(2) + "\n", files);
  Json tree = {{"model_type", model_type}};
  tree.update(to_json(handles.config));
  const bool int4 =
      std::ranges::any_of(form.packed, [](const NamedTensor& each) { return each.name.ends_with(".qweight"); });
  if (int4) tree["quantization_config"] = quant::int4_format_json({.group = group}, {});
  write_file_atomically(directory / "config.json", tree.dump(2) + "\n", files);
}

void save_bundle(const Bundle& bundle, StoredAs stored, const Path& directory, FileSystem& files, int64_t group) {
  save_model(bundle.model, bundle.codec, bundle.defaults, stored, directory, files, group);
  if (bundle.text == nullptr) return;
  const Path folder = directory / text_folder;
  files.create_directories(folder);
  nn::T5Encoder encoder = bundle.text->load();
  save_tensors(folder / "model.safetensors", named_tensors(encoder), files, {.stored_as = stored});
  copy_tokenizer(bundle.text->folder(), folder, files);
  Json config = to_json(encoder.config);
  config["model_type"] = "t5";
  config["feed_forward_proj"] = "gated-gelu";
  write_file_atomically(folder / "config.json", config.dump(2) + "\n", files);
}

std::shared_ptr<const PromptEncoder> prompt_encoder_of(const InfinityConfig& config, const Path& folder,
                                                       at::Device device) {
  auto encoder = std::make_shared<const PromptEncoder>(folder, config.text_length, device);
  if (encoder->config().d_model != config.text_width)
    throw UserError("[infinity] {} gives states {} wide, the transformer reads {}", folder.string(),
                    encoder->config().d_model, config.text_width);
  return encoder;
}

Bundle load_model(const ModelDirectory& found, const LoadBundleOptions& options) {
  const Path& directory = found.path;
  if (found.model_type != model_type) {
    throw UserError("[infinity] {} is no Infinity model; its model_type is '{}', want '{}'", directory.string(),
                    found.model_type, model_type);
  }
  Json tree = found.config;
  tree.erase("model_type");
  const Json settings = nn::packing_settings(tree, found.config_path().string());
  tree.erase("quantization_config");
  InfinityConfig config;
  from_json(tree, config, found.config_path().string());

  Bundle bundle;
  bundle.codec = codec::load_codec(directory / "codec", options.device);
  require_same_codes(config, bundle.codec.config);
  if (const std::string found = fingerprint(bundle.codec); !config.codec.empty() && found != config.codec) {
    throw UserError(
        "[infinity] codec and transformer do not belong together: codec '{}', transformer made for '{}'; use the codec "
        "named in its model card",
        found, config.codec);
  }
  if (multiplies_in_bf16(options)) codec::multiply_in_bf16(bundle.codec.decoder);
  {
    const BuildDevice nowhere(at::kMeta);
    bundle.model = Infinity(config);
  }
  bundle.kept = fill_transformer(bundle.model, WeightSource(directory), settings, options);
  if (!config.text_encoder && std::filesystem::is_directory(directory / text_folder))
    bundle.text = prompt_encoder_of(config, directory / text_folder, options.device);
  const Path defaults_file = directory / "generation_config.json";
  if (std::filesystem::exists(defaults_file))
    from_json(read_json_file(defaults_file), bundle.defaults, defaults_file.string());
  return bundle;
}

}  // namespace tessera::infinity
