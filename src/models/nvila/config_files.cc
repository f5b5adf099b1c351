// Reading is by key, with the releases' defaults: their files hold many more keys than a model needs.
#include "models/nvila/model_files.h"

#include <charconv>

#include "core/error.h"
#include "models/lm/architecture/config.h"

namespace tessera::nvila {

namespace {

/// Looks keys up in one object of one file.
class Keys {
 public:
  Keys(const Json& tree, std::string source) : tree_(&tree), source_(std::move(source)) {
    if (!tree.is_object()) throw UserError("[nvila] {}: want an object", source_);
  }

  const Json* find(const std::string& key) const {
    const auto found = tree_->find(key);
    return found == tree_->end() || found->is_null() ? nullptr : &*found;
  }
  template <class T> T get(const std::string& key, T fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    from_json(*value, fallback, source_, key);
    return fallback;
  }
  template <class T> T require(const std::string& key) const {
    if (find(key) == nullptr) throw UserError("[nvila] {}: no '{}'", source_, key);
    return get<T>(key, {});
  }
  const Json& object(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_object()) throw UserError("[nvila] {}: no '{}', an object", source_, key);
    return *value;
  }
  const std::string& source() const { return source_; }

 private:
  const Json* tree_;
  std::string source_;
};

VisionConfig vision_config(const Keys& keys) {
  const std::string type = keys.get<std::string>("model_type", "siglip_vision_model");
  if (type != "siglip_vision_model")
    throw UserError("[nvila] {}: vision tower '{}' is not supported, want siglip_vision_model", keys.source(), type);
  const std::string act = keys.get<std::string>("hidden_act", "gelu_pytorch_tanh");
  if (act != "gelu_pytorch_tanh")
    throw UserError("[nvila] {}: hidden_act '{}' is not supported, want gelu_pytorch_tanh", keys.source(), act);
  return {.image_size = keys.require<int64_t>("image_size"),
          .patch = keys.require<int64_t>("patch_size"),
          .width = keys.require<int64_t>("hidden_size"),
          .depth = keys.require<int64_t>("num_hidden_layers"),
          .heads = keys.require<int64_t>("num_attention_heads"),
          .hidden = keys.require<int64_t>("intermediate_size"),
          .norm_eps = keys.get("layer_norm_eps", 1e-6)};
}

/// A list, or numbers with commas between them.
std::vector<int64_t> scales(const Keys& keys, std::vector<int64_t> fallback) {
  const Json* value = keys.find("s2_scales");
  if (value == nullptr || !value->is_string()) return keys.get("s2_scales", std::move(fallback));
  std::vector<int64_t> list;
  const std::string text = value->get<std::string>();
  const char *at = text.data(), *const end = at + text.size();
  while (at != end) {
    const auto [after, error] = std::from_chars(at, end, list.emplace_back());
    if (error != std::errc() || (after != end && *after != ','))
      throw UserError("[nvila] {}: s2_scales is '{}', want numbers with commas between them", keys.source(), text);
    at = after == end ? end : after + 1;
  }
  return list;
}

TileConfig tile_config(const Keys& keys, const std::string& mode_fallback, int64_t edge) {
  TileConfig c;
  const std::string aspect = keys.get("image_aspect_ratio", mode_fallback);
  if (aspect != "resize" && aspect != "single" && aspect != "dynamic" && aspect != "dynamic_s2") {
    throw UserError("[nvila] {}: image_aspect_ratio '{}' is not supported, want resize, dynamic or dynamic_s2",
                    keys.source(), aspect);
  }
  c.mode = aspect == "resize" ? "single" : aspect;
  c.min_tiles = keys.get("min_tiles", c.min_tiles), c.max_tiles = keys.get("max_tiles", c.max_tiles);
  c.scales = scales(keys, {edge, 2 * edge, 3 * edge});
  if (!c.stitches()) return c;
  const auto resized_to = keys.get<int64_t>("s2_resize_output_to_scale_idx", -1);
  if (resized_to != -1 && resized_to != std::ssize(c.scales) - 1) {
    throw UserError("[nvila] {}: s2_resize_output_to_scale_idx is {}; features are joined at the last scale, -1",
                    keys.source(), resized_to);
  }
  return c;
}

VideoConfig video_config(const Keys& keys) {
  VideoConfig c;
  c.frames = keys.get("num_video_frames", c.frames);
  const Json* encoder = keys.find("video_encoder");
  if (encoder == nullptr) return c;
  const Json tree =
      encoder->is_string() ? parse_json(encoder->get<std::string>(), keys.source() + ": video_encoder") : *encoder;
  const auto pools =
      Keys(tree, keys.source() + ": video_encoder").get<std::vector<std::vector<int64_t>>>("pool_sizes", {});
  if (pools.size() > 1)
    throw UserError("[nvila] {}: video_encoder has {} pool sizes, want one", keys.source(), pools.size());
  if (!pools.empty()) c.pool = pools.front();
  return c;
}

/// What all layouts keep at the top.
void read_top(NvilaConfig& config, const Keys& keys, const std::string& mode_fallback) {
  config.vision.select_layer = keys.get<int64_t>("mm_vision_select_layer", config.vision.select_layer);
  config.tiles = tile_config(keys, mode_fallback, config.vision.image_size);
  config.video = video_config(keys);
  validate(config);
}

}  // namespace

bool is_legacy(const Path& directory) { return std::filesystem::exists(directory / "llm" / "config.json"); }

Path tokenizer_directory(const Path& directory) { return is_legacy(directory) ? directory / "llm" : directory; }

NvilaConfig flat_config(const Json& tree, const std::string& source) {
  const Keys keys(tree, source);
  NvilaConfig config;
  const bool lite = keys.get<std::string>("model_type", "") == "nvila_lite";
  config.vision = vision_config({keys.object("vision_config"), source + ": vision_config"});
  config.projector =
      keys.get<std::string>("mm_projector_type", lite ? "mlp_downsample_3x3_fix" : "mlp_downsample_2x2_fix");
  config.text = lm::config_from_json(keys.object("text_config"), source + ": text_config");
  read_top(config, keys, lite ? "dynamic" : "dynamic_s2");
  return config;
}

StoredConfig read_config(const ModelDirectory& directory) {
  const Json& tree = directory.config;
  const std::string source = directory.config_path().string();
  if (!is_legacy(directory.path)) {
    StoredConfig stored{.config = flat_config(tree, source), .text = tree["text_config"]};
    // other programs say at the top how the language model is packed
    if (tree.contains("quantization_config") && !stored.text.contains("quantization_config"))
      stored.text["quantization_config"] = tree["quantization_config"];
    return stored;
  }
  const Path vision = directory.path / "vision_tower" / "config.json",
             projector = directory.path / "mm_projector" / "config.json";
  const Path text = directory.path / "llm" / "config.json";
  const Json vision_tree = read_json_file(vision), projector_tree = read_json_file(projector);
  StoredConfig stored{.config = {}, .text = read_json_file(text)};
  stored.config.vision = vision_config({vision_tree, vision.string()});
  stored.config.projector = Keys(projector_tree, projector.string()).require<std::string>("mm_projector_type");
  stored.config.text = lm::config_from_json(stored.text, text.string());
  read_top(stored.config, {tree, source}, "resize");
  return stored;
}

Json flat_config_json(const NvilaConfig& config) {
  const VisionConfig& v = config.vision;
  Json tree = {{"architectures", {"NVILAForConditionalGeneration"}},
               {"model_type", "nvila"},
               {"mm_projector_type", config.projector},
               {"mm_vision_select_layer", -1},
               {"image_aspect_ratio", config.tiles.mode == "single" ? "resize" : config.tiles.mode},
               {"min_tiles", config.tiles.min_tiles},
               {"max_tiles", config.tiles.max_tiles},
               {"s2_scales", config.tiles.scales},
               {"num_video_frames", config.video.frames},
               {"video_encoder", {{"pool_sizes", Json::array({config.video.pool})}}}};
  tree["text_config"] = lm::config_json(config.text);
  tree["vision_config"] = {{"model_type", "siglip_vision_model"},
                           {"hidden_size", v.width},
                           {"image_size", v.image_size},
                           {"intermediate_size", v.hidden},
                           {"num_attention_heads", v.heads},
                           {"num_hidden_layers", v.used_blocks()},
                           {"patch_size", v.patch},
                           {"hidden_act", "gelu_pytorch_tanh"},
                           {"layer_norm_eps", v.norm_eps},
                           {"num_channels", 3}};
  return tree;
}

}  // namespace tessera::nvila
