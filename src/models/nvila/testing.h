// Small NVILA models for tests.
#pragma once

#include <string>

#include "models/lm/testing.h"
#include "models/nvila/module.h"

namespace tessera::nvila {

/// Tiles of 24 pixels, 3 patches along an edge, a tower of two blocks; `mode` as in TileConfig.
inline NvilaConfig tiny_config(const std::string& mode = "single",
                               const std::string& projector = "mlp_downsample_2x2_fix") {
  NvilaConfig c;
  c.vision = {.image_size = 24, .patch = 8, .width = 16, .depth = 2, .heads = 2, .hidden = 20, .select_layer = -1};
  c.projector = projector;
  c.tiles.mode = mode;
  c.tiles.scales = {24, 48, 72};
  c.video = {.frames = 4, .pool = {2, 1, 1}};
  c.text = lm::tiny_config("qwen2");
  c.text.vocabulary = 280;
  c.text.context = 512;
  return c;
}

/// A model whose every part matters: biases and norms away from where they start.
inline NvilaModel tiny_nvila(const NvilaConfig& config = tiny_config(), uint64_t seed = 7) {
  const at::NoGradGuard no_grad;
  NvilaModel model(config);
  initialise(model, seed);
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    if (t.dim() >= 2) return;
    const Tensor start = t.clone();
    fill_truncated_normal(t, 0.2, Rng(seed).split(hash_text(name)));
    t.add_(start);
  });
  return model;
}

/// One whose language model has weights large enough for pictures to change the most likely words.
inline NvilaModel outspoken_nvila(const NvilaConfig& config = tiny_config(), uint64_t seed = 7) {
  NvilaModel model = tiny_nvila(config, seed);
  model.llm = lm::tiny_lm(config.text, seed);
  return model;
}

/// A picture of noise that depends on `seed` alone.
inline Image noise_picture(uint64_t seed, int64_t width = 24, int64_t height = 24, int64_t channels = 3) {
  Image picture(width, height, channels);
  Rng rng(seed);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(rng.below(256));
  return picture;
}

inline Media picture_of(uint64_t seed, int64_t width = 24, int64_t height = 24) {
  return {.frames = {noise_picture(seed, width, height)}, .source = "picture.png"};
}

inline Media clip_of(uint64_t seed, int64_t frames) {
  Media clip{.clip = true, .source = "clip.mp4"};
  for (int64_t i = 0; i < frames; ++i) clip.frames.push_back(noise_picture(seed + static_cast<uint64_t>(i)));
  return clip;
}

}  // namespace tessera::nvila
