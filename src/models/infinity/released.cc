// Names and shapes. What must stay true: nothing is left at random; the reference loads half a model without a word.
#include "models/infinity/released.h"

#include <charconv>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "tensor/build.h"

namespace tessera::infinity {

namespace {

constexpr std::string_view dump_prefix = "trainer.gpt_fsdp.", chunk_prefix = "block_chunks.", vae_prefix = "vae.";

/// The number that `text` begins with, which is taken off it, with the dot behind it; absent when there is none.
std::optional<int64_t> taken_number(std::string_view& text) {
  int64_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end == text.data() + text.size() || *end != '.') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return number;
}

bool has_prefix(const WeightSource& source, std::string_view prefix) {
  const auto first = source.tensors().lower_bound(prefix);
  return first != source.tensors().end() && first->first.starts_with(prefix);
}

struct ChunkPlace {
  int64_t chunk = 0, block = 0;
  std::string rest;
};

/// Of "block_chunks.I.module.J.rest".
std::optional<ChunkPlace> chunk_place(std::string_view name) {
  constexpr std::string_view middle = "module.";
  if (!name.starts_with(chunk_prefix)) return std::nullopt;
  name.remove_prefix(chunk_prefix.size());
  const auto chunk = taken_number(name);
  if (!chunk || !name.starts_with(middle)) return std::nullopt;
  name.remove_prefix(middle.size());
  const auto block = taken_number(name);
  if (!block) return std::nullopt;
  return ChunkPlace{*chunk, *block, std::string(name)};
}

/// Blocks of a chunk; 0 where there are no chunks.
int64_t blocks_of_chunks(const WeightSource& source) {
  std::map<int64_t, int64_t> lengths;
  for (const auto& [name, tensor] : source.tensors()) {
    if (const auto place = chunk_place(name)) lengths[place->chunk] = std::max(lengths[place->chunk], place->block + 1);
  }
  std::set<int64_t> unlike;
  for (const auto& [chunk, length] : lengths) unlike.insert(length);
  if (unlike.size() > 1)
    throw UserError("[infinity] {}: its chunks have {} and {} blocks, want as many in each", source.path().string(),
                    *unlike.begin(), *unlike.rbegin());
  return unlike.empty() ? 0 : *unlike.begin();
}

/// Temperatures of heads lie in another order of dimensions in files of the authors' own attention.
StoredTensor with_heads_second(const StoredTensor& tensor) {
  StoredTensor changed = tensor;
  if (tensor.name.ends_with("scale_mul_1H11") && tensor.shape.size() == 4)
    changed.shape = {1, scalar_count(tensor.shape), 1, 1};
  return changed;
}

/// Sizes of a tensor; throws when it is missing or has another number of dimensions.
const std::vector<int64_t>& shape_of(const WeightSource& source, const std::string& name, size_t dimensions) {
  const StoredTensor* tensor = source.find(name);
  if (tensor == nullptr)
    throw UserError("[infinity] {} has no tensor '{}'; is it the file that its name says?", source.path().string(),
                    name);
  if (tensor->shape.size() != dimensions)
    throw UserError("[infinity] {}: '{}' has shape {}, want {} dimensions", source.path().string(), name,
                    shape_text(tensor->shape), dimensions);
  return tensor->shape;
}

/// How many numbers follow one another from 0 in names "PREFIX.N.".
int64_t count_of(const WeightSource& source, const std::string& prefix) {
  int64_t count = 0;
  while (has_prefix(source, prefix + "." + std::to_string(count) + ".")) ++count;
  return count;
}

/// Without the ".conv" and ".norm" that the reference puts between a layer's name and its tensors'.
std::string without_inserted(const std::string& name) {
  const size_t last = name.rfind('.');
  if (last == std::string::npos) return name;
  const std::string_view module = std::string_view(name).substr(0, last);
  const size_t dot = module.rfind('.');
  if (dot == std::string::npos) return name;
  const std::string_view inserted = module.substr(dot + 1), layer = module.substr(0, dot);
  const std::string_view own = layer.substr(layer.rfind('.') + 1);
  const bool drops = (inserted == "conv" && (own.starts_with("conv") || own == "nin_shortcut")) ||
                     (inserted == "norm" && own.starts_with("norm"));
  return drops ? std::string(layer) + name.substr(last) : name;
}

/// The quantiser's square scales of an area, and the edge of the pictures.
std::vector<int64_t> square_edges(std::string_view pixels, bool patchify) {
  std::vector<int64_t> edges;
  for (const ScaleShape& scale : published_schedule(1, pixels).latent_scales(patchify)) edges.push_back(scale.height);
  return edges;
}

}  // namespace

WeightSource transformer_tensors(const WeightSource& released) {
  const WeightSource flat = has_prefix(released, dump_prefix) ? released.part(dump_prefix) : released;
  const int64_t length = blocks_of_chunks(flat);
  const std::set<std::string_view> dropped = {"lvl_1L", "attn_bias_for_masking", "Infinity_visible_kvlen",
                                              "Infinity_invisible_qlen"};
  return flat
      .renamed([&](std::string_view name) {
        if (dropped.contains(name)) return std::string();
        const auto place = chunk_place(name);
        return place ? fmt::format("blocks.{}.{}", place->chunk * length + place->block, place->rest)
                     : std::string(name);
      })
      .changed(with_heads_second);
}

WeightSource vae_tensors(const WeightSource& released) {
  const WeightSource flat = has_prefix(released, vae_prefix) ? released.part(vae_prefix) : released;
  return flat.renamed([](std::string_view name) {
    return name.starts_with("quantize") ? std::string() : without_inserted(std::string(name));
  });
}

InfinityConfig released_config(const WeightSource& transformer, int64_t latent_bits, std::string_view pixels) {
  InfinityConfig c;
  c.width = shape_of(transformer, "pos_start", 3)[2];
  c.depth = count_of(transformer, "blocks");
  c.heads = shape_of(transformer, "blocks.0.sa.scale_mul_1H11", 4)[1];
  c.hidden = shape_of(transformer, "blocks.0.ffn.fc1.weight", 2)[0];
  c.text_width = shape_of(transformer, "cfg_uncond", 2)[1];
  c.text_length = shape_of(transformer, "cfg_uncond", 2)[0];
  c.pool_heads = shape_of(transformer, "text_proj_for_sos.ca.mat_q", 3)[1];
  c.levels = shape_of(transformer, "lvl_embed.weight", 2)[0];
  c.pixels = pixels;
  const int64_t bits = shape_of(transformer, "word_embed.weight", 2)[1];
  if (bits != latent_bits && bits != 4 * latent_bits)
    throw UserError(
        "[infinity] {} writes {} bits a token, but the VAE has {} bits a position; want as many, or four times as many "
        "(2x2 patches): these files do not belong together",
        transformer.path().string(), bits, latent_bits);
  c.patchify = bits != latent_bits;
  c.bits = latent_bits;
  validate(c);
  return c;
}

codec::CodecConfig released_codec_config(const WeightSource& vae, std::string_view name, std::string_view pixels) {
  codec::CodecConfig c;
  c.name = name;
  c.channels = shape_of(vae, "encoder.conv_in.weight", 4)[0];
  c.bits = shape_of(vae, "decoder.conv_in.weight", 4)[1];
  c.multipliers.clear();
  const int64_t levels = count_of(vae, "encoder.down");
  for (int64_t i = 0; i < levels; ++i) {
    const int64_t width = shape_of(vae, fmt::format("encoder.down.{}.block.0.conv1.weight", i), 4)[0];
    if (c.channels < 1 || width % c.channels != 0)
      throw UserError("[infinity] {}: level {} is {} wide, want a multiple of {}", vae.path().string(), i, width,
                      c.channels);
    c.multipliers.push_back(width / c.channels);
  }
  c.encoder_blocks = count_of(vae, "encoder.down.0.block");
  c.decoder_blocks = count_of(vae, "decoder.up.0.block");
  c.middle_blocks = 0;
  while (has_prefix(vae, fmt::format("encoder.mid.block_{}.", c.middle_blocks + 1))) ++c.middle_blocks;
  constexpr size_t levels_of_a_token = 5;  // a token is 16 pixels wide, in every released model
  c.scales = square_edges(pixels, c.multipliers.size() < levels_of_a_token);
  c.picture_size = c.scales.back() * c.spatial_factor();
  codec::validate(c);
  return c;
}

Bundle load_released(const Path& transformer_file, const Path& vae_file, std::string_view pixels,
                     const LoadBundleOptions& options) {
  const WeightSource vae = vae_tensors(WeightSource(vae_file));
  const WeightSource transformer = transformer_tensors(WeightSource(transformer_file));
  const codec::CodecConfig codec_config = released_codec_config(vae, vae_file.stem().string(), pixels);
  const InfinityConfig config = released_config(transformer, codec_config.bits, pixels);
  Bundle bundle;
  {
    const BuildDevice nowhere(at::kMeta);
    bundle.codec = codec::Codec(codec_config);
    bundle.model = Infinity(config);
  }
  map_weights(tensor_slots(bundle.codec), vae, "codec",
              {.device = options.device, .format = at::kFloat, .writable = options.writable});
  bundle.kept = fill_transformer(bundle.model, transformer, Json(), options);
  bundle.model.config.codec = fingerprint(bundle.codec);
  if (multiplies_in_bf16(options)) codec::multiply_in_bf16(bundle.codec.decoder);
  return bundle;
}

std::string pixels_of_file(const Path& transformer) {
  const std::string name = transformer.filename().string();
  if (name.starts_with("infinity_125M") || name.find("256x256") != std::string::npos) return "0.06M";
  if (name.find("512x512") != std::string::npos) return "0.25M";
  return "1M";
}

bool is_unregularised_vae(const Path& vae) { return vae.stem() == "infinity_vae_d32"; }

namespace {

/// Of transformers: a file "infinity_*.pth" that is no VAE, or a folder "infinity_*_weights" of shards.
bool is_transformer(const Path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with("infinity_") || name.starts_with("infinity_vae")) return false;
  return std::filesystem::is_directory(path) ? holds_weights(path) : path.extension() == ".pth";
}

bool is_t5(const Path& path) {
  if (!std::filesystem::is_regular_file(path / "config.json")) return false;
  const Json config = read_json_file(path / "config.json");
  return config.is_object() && config.value("model_type", Json()) == "t5";
}

/// Names of the VAEs that a transformer was trained with, the best first.
std::vector<std::string> vaes_of(const Path& transformer) {
  const std::string name = transformer.filename().string();
  if (name.starts_with("infinity_8b")) return {"infinity_vae_d56_f8_14_patchify"};
  if (name.starts_with("infinity_2b")) return {"infinity_vae_d32reg", "infinity_vae_d32_reg"};
  if (name.starts_with("infinity_125M")) return {"infinity_vae_d16"};
  return {};
}

Path vae_for(const Path& transformer, const std::vector<Path>& vaes, const Path& folder) {
  if (vaes.empty())
    throw UserError("[infinity] {} holds {}, but no VAE; want infinity_vae_*.pth beside it", folder.string(),
                    transformer.filename().string());
  for (const std::string& name : vaes_of(transformer)) {
    for (const Path& vae : vaes) {
      if (vae.stem() == name) return vae;
    }
  }
  if (vaes.size() > 1)
    throw UserError("[infinity] {} holds several VAEs, none of which is known to belong to {}; leave the one that does",
                    folder.string(), transformer.filename().string());
  return vaes.front();
}

}  // namespace

std::optional<ReleasedFolder> released_folder(const Path& folder) {
  std::vector<Path> all, transformers, vaes, texts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) all.push_back(entry.path());
  std::ranges::copy_if(all, std::back_inserter(transformers), is_transformer);
  std::ranges::copy_if(all, std::back_inserter(vaes), [](const Path& path) {
    return path.filename().string().starts_with("infinity_vae") && path.extension() == ".pth";
  });
  if (transformers.empty() && !vaes.empty() && !std::filesystem::exists(folder / "config.json"))
    throw UserError(
        "[infinity] {} holds {}, but no transformer; want infinity_2b_reg.pth, infinity_125M_256x256.pth or the folder "
        "infinity_8b_weights beside it",
        folder.string(), vaes.front().filename().string());
  if (transformers.empty()) return std::nullopt;
  std::ranges::sort(transformers);
  if (transformers.size() > 1)
    throw UserError("[infinity] {} holds {} and {}; want one transformer to a folder", folder.string(),
                    transformers[0].filename().string(), transformers[1].filename().string());
  std::ranges::copy_if(all, std::back_inserter(texts), is_t5);
  const Path vae = vae_for(transformers.front(), vaes, folder);
  if (texts.size() != 1)
    throw UserError(
        "[infinity] {} holds {} folders of a T5, want one, such as flan-t5-xl (config.json, weights, tokenizer)",
        folder.string(), texts.size());
  return ReleasedFolder{transformers.front(), vae, texts.front()};
}

Bundle load_released_folder(const Path& folder, const LoadBundleOptions& options) {
  const std::optional<ReleasedFolder> files = released_folder(folder);
  if (!files) throw UserError("[infinity] {} holds no released transformer (infinity_*.pth)", folder.string());
  if (is_unregularised_vae(files->vae))
    log_warning("[infinity] {} loads, but draws poorly with the 2B, which was trained with infinity_vae_d32reg.pth",
                files->vae.filename().string());
  Bundle bundle = load_released(files->transformer, files->vae, pixels_of_file(files->transformer), options);
  bundle.text = prompt_encoder_of(bundle.model.config, files->text, options.device);
  return bundle;
}

}  // namespace tessera::infinity
