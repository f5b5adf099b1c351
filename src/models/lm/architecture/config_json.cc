// A config.json as a shape and back. What would change the numbers and is not supported is refused; other keys of released files
// are passed over.
#include "models/lm/architecture/config.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/lm/architecture/families.h"
#include "models/lm/architecture/language_part.h"

namespace tessera::lm {

namespace {

/// Nothing of Qwen2 yet: the shape that read_common fills.
LmConfig plain_shape(std::string_view family) {
  LmConfig c;
  c.family = family;
  c.head_dim = 0;
  c.context = 2048;
  c.tied = false;
  c.qkv_bias = false;
  return c;
}

const Family& family_of(std::string_view model_type, std::string_view source) {
  std::vector<std::string> known;
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
    known.push_back(fmt::format("{} ({})", family.model_type, family.releases));
  }
  detail::throw_wrong_type(source, "model_type", Json(model_type), fmt::format("one of: {}", fmt::join(known, ", ")));
}

}  // namespace

std::vector<std::string> supported_families() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.emplace_back(family.model_type);
  return names;
}

LmConfig config_from_json(const Json& whole, std::string_view source) {
  if (!whole.is_object()) throw UserError("[lm] {}: no table of settings", source);
  const Json tree = language_config(whole, source);
  const Keys keys(tree, source);
  const auto model_type = keys.need<std::string>("model_type");
  LmConfig config = plain_shape(model_type);
  family_of(model_type, source).fill(keys, config);
  if (config.window && config.window_first >= config.depth) config.window.reset();  // no block slides
  if (!config.window) {
    config.window_first = config.full_every = 0;
    config.window_every = 1;
    config.window_rope_theta.reset();
  }
  if (!config.rope_scaling && config.window_rope_theta == config.rope_theta) config.window_rope_theta.reset();
  validate(config);
  return config;
}

Json config_json(const LmConfig& c) {
  const Family& family = family_of(c.family, "config");
  Json tree = {{"architectures", {family.architecture}},
               {"model_type", c.family},
               {"vocab_size", c.vocabulary},
               {"hidden_size", c.width},
               {"intermediate_size", c.hidden},
               {"num_hidden_layers", c.depth},
               {"num_attention_heads", c.heads},
               {"num_key_value_heads", c.kv_heads},
               {"head_dim", c.head_dim},
               {"hidden_act", c.gelu ? "gelu_pytorch_tanh" : "silu"},
               {"max_position_embeddings", c.context},
               {"rms_norm_eps", c.norm_eps},
               {"tie_word_embeddings", c.tied},
               {"attention_dropout", 0.0}};
  if (c.gelu) tree["hidden_activation"] = tree["hidden_act"];
  store_rope(c, tree);
  family.store(c, tree);
  if (config_from_json(tree, "config") != c)
    throw UserError("[lm] a config.json of model_type '{}' cannot hold this shape: {}", c.family, to_json(c).dump());
  return tree;
}

}  // namespace tessera::lm
