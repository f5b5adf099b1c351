// Model directories. A codec that does not belong is refused: with it every picture would be garbage without an error.
#include "models/infinity/model_files.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/json.h"
#include "core/rng.h"
#include "tensor/build.h"

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

void save_model(const Infinity& model, const codec::Codec& codec, const DrawDefaults& defaults, StoredAs stored,
                const Path& directory, FileSystem& files) {
  files.create_directories(directory);
  Infinity handles = model;
  handles.config.codec = fingerprint(codec);
  codec::save_codec(codec, directory / "codec", stored, files);
  save_tensors(directory / "model.safetensors", named_tensors(handles), files, {.stored_as = stored});
  write_file_atomically(directory / "generation_config.json", to_json(defaults).dump(2) + "\n", files);
  Json tree = {{"model_type", model_type}};
  tree.update(to_json(handles.config));
  write_file_atomically(directory / "config.json", tree.dump(2) + "\n", files);
}

void save_bundle(const Bundle& bundle, StoredAs stored, const Path& directory, FileSystem& files) {
  save_model(bundle.model, bundle.codec, bundle.defaults, stored, directory, files);
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

Bundle load_model(const ModelDirectory& found, at::Device device) {
  const Path& directory = found.path;
  if (found.model_type != model_type) {
    throw UserError("[infinity] {} is no Infinity model; its model_type is '{}', want '{}'", directory.string(),
                    found.model_type, model_type);
  }
  Json tree = found.config;
  tree.erase("model_type");
  InfinityConfig config;
  from_json(tree, config, found.config_path().string());

  Bundle bundle;
  bundle.codec = codec::load_codec(directory / "codec", device);
  require_same_codes(config, bundle.codec.config);
  if (const std::string found = fingerprint(bundle.codec); !config.codec.empty() && found != config.codec) {
    throw UserError(
        "[infinity] codec and transformer do not belong together: codec '{}', transformer made for '{}'; use the codec "
        "named in its model card",
        found, config.codec);
  }
  const BuildDevice on(device);
  bundle.model = Infinity(config);
  load_into(named_tensors(bundle.model), directory, "infinity");
  if (!config.text_encoder && std::filesystem::is_directory(directory / text_folder))
    bundle.text = prompt_encoder_of(config, directory / text_folder, device);
  const Path defaults_file = directory / "generation_config.json";
  if (std::filesystem::exists(defaults_file))
    from_json(read_json_file(defaults_file), bundle.defaults, defaults_file.string());
  return bundle;
}

}  // namespace tessera::infinity
