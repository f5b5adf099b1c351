// The language model's part of a directory is read by the code that reads language models.
#include "models/liquid/model_files.h"

#include "core/error.h"
#include "core/json.h"
#include "models/lm/architecture/fused_files.h"
#include "tensor/device.h"
#include "tensor/weight_source.h"

namespace tessera::liquid {

namespace {

constexpr const char* codec_folder = "codec";

LiquidConfig own_config(const ModelDirectory& found) {
  Json tree = found.config;
  for (const char* key : {"model_type", "text_config", "architectures", "torch_dtype", "transformers_version"})
    tree.erase(key);
  LiquidConfig config;
  from_json(tree, config, found.config_path().string());
  return config;
}

const Json& text_part(const ModelDirectory& found) {
  const auto part = found.config.find("text_config");
  if (part == found.config.end() || !part->is_object())
    throw UserError("[liquid] {}: no 'text_config', the language model's own settings", found.config_path().string());
  return *part;
}

}  // namespace

std::optional<Path> released_codec(const Path& folder) {
  for (const Path& where : {folder / "chameleon", folder / codec_folder, folder}) {
    if (std::filesystem::is_regular_file(where / "vqgan.ckpt")) return where;
  }
  return std::nullopt;
}

Bundle load_bundle(const ModelDirectory& found, const text::Tokenizer& tokenizer, const lm::LoadLmOptions& options) {
  const std::string where = found.path.string();
  const bool released = found.model_type == released_type;
  Bundle bundle;
  bundle.directory = found.path;
  bundle.text_config = released ? found.config : text_part(found);
  if (!released) bundle.config = own_config(found);
  const std::optional<Path> codec = released ? released_codec(found.path) : found.path / codec_folder;
  if (!codec) throw UserError("[liquid] {} holds no vqgan.ckpt; want Chameleon's as chameleon/vqgan.ckpt", where);
  bundle.codec = vq::load_vq(*codec, options.device);

  const lm::LmConfig shape = lm::config_from_json(bundle.text_config, found.config_path().string());
  if (released) bundle.config.pictures = released_pictures(shape, tokenizer, bundle.codec.config, where);
  validate(bundle.config.pictures, shape, tokenizer, where);
  validate(bundle.config.drawing);
  require_same_codes(bundle.config.pictures, bundle.codec.config);
  const std::string own = vq::fingerprint(bundle.codec);
  if (!bundle.config.codec.empty() && bundle.config.codec != own)
    throw UserError(
        "[liquid] codec and language model do not belong together: codec '{}', language model trained with '{}'", own,
        bundle.config.codec);
  bundle.config.codec = own;
  const bool rounds = !options.exact && !options.writable && options.dtype != "fp32" && options.device.is_cpu();
  if (rounds && multiplies_bfloat16(at::kCPU)) codec::multiply_in_bf16(bundle.codec.decoder);
  bundle.drafts = PictureDrafts::in(found.path, bundle.config.pictures.count(), bundle.config.pictures.codes);
  bundle.model = lm::load_lm(bundle.text_config, WeightSource(found.path), found.path, options);
  return bundle;
}

Json text_config_json(const Bundle& bundle) {
  Json text = lm::config_json(bundle.model.config);
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (const auto at = bundle.text_config.find(key); at != bundle.text_config.end()) text[key] = *at;
  }
  return text;
}

Json config_json(const LiquidConfig& config, const Json& text_config) {
  Json tree = {{"model_type", model_type}};
  tree.update(to_json(config));
  tree["text_config"] = text_config;
  return tree;
}

void save_bundle(const Bundle& bundle, StoredAs stored, const Json& generation, const Path& directory,
                 FileSystem& files) {
  files.create_directories(directory);
  vq::save_vq(bundle.codec, directory / codec_folder, vq::exact_format(bundle.codec), files);
  lm::DecoderLm handles = bundle.model;
  LiquidConfig config = bundle.config;
  config.codec = vq::fingerprint(bundle.codec);
  if (bundle.drafts) bundle.drafts->save(directory / PictureDrafts::file_name, files);
  if (bundle.directory != directory) copy_tokenizer(bundle.directory, directory, files);
  std::vector<NamedTensor> tensors = named_tensors(handles);
  if (handles.config.fused) tensors = lm::joined_parts(tensors, handles.config);
  save_tensors(directory / "model.safetensors", tensors, files, {.stored_as = stored, .metadata = {{"format", "pt"}}});
  write_file_atomically(directory / "generation_config.json", generation.dump(2) + "\n", files);
  write_file_atomically(directory / "config.json", config_json(config, text_config_json(bundle)).dump(2) + "\n", files);
}

}  // namespace tessera::liquid
