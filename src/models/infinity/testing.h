// Small Infinity models for tests.
#pragma once

#include "models/infinity/module.h"

namespace tessera::infinity {

inline InfinityConfig tiny_config() {
  InfinityConfig c;
  c.width = 32, c.depth = 2, c.heads = 2, c.hidden = 48, c.bits = 4;
  c.text_width = 16, c.text_length = 24, c.pool_heads = 2, c.levels = 4;
  c.scales = {1, 2, 3};
  c.text_encoder = nn::ByteEncoderConfig{.width = 16, .depth = 1, .heads = 2, .hidden = 24};
  return c;
}

/// A model whose every part matters: gates and modulation far from their small beginnings.
inline Infinity tiny_infinity(uint64_t seed = 7, const InfinityConfig& config = tiny_config()) {
  Infinity model(config);
  initialise(model, seed, {.adaptive = 2, .gate = 2, .head = 2});
  return model;
}

}  // namespace tessera::infinity
