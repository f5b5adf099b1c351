// The families of decoder language models: defaults and keys of each in config.json. A further one is an entry of the table.
#pragma once

#include <span>

#include "models/lm/architecture/config.h"
#include "models/lm/architecture/config_keys.h"

namespace tessera::lm {

/// A family's defaults and its own keys.
struct Family {
  const char* model_type;
  const char* architecture;
  const char* releases;
  /// Of `c`, a plain Llama without its sizes, everything.
  void (*fill)(const Keys&, LmConfig& c);
  /// What the common keys do not say.
  void (*store)(const LmConfig& c, Json& tree);
};
std::span<const Family> families();

/// Rotary settings of old files (rope_theta, rope_scaling) and new ones (rope_parameters).
struct RopeDefaults {
  double theta = 1e4;
  bool by_window = false;                // blocks with a window have settings of their own
  std::optional<double> window_theta;    // of those; absent: the others'
  std::optional<int64_t> original;       // the context before stretching; absent: the context
  bool partial = false;                  // partial_rotary_factor is understood
  double share = 1;                      // what it is when absent
  bool any_scaling_is_longrope = false;  // old names for it (Phi-3)
};
/// Wants sizes and context. Throws UserError for an unsupported rope_type (lists those that are supported).
void read_rope(const Keys& keys, const RopeDefaults& defaults, LmConfig& c);
void store_rope(const LmConfig& c, Json& tree);
/// The partial_rotary_factor that transformers, which rounds down, makes `turned` of `head_dim` of.
double rotary_share(int64_t turned, int64_t head_dim);
/// What "longrope" multiplies cosines and sines by where its settings do not say.
double longrope_attention_factor(double factor, int64_t original_length);
/// rope_parameters of a family that has settings by layer type, beside the older keys.
void store_rope_by_window(const LmConfig& c, Json& tree);

}  // namespace tessera::lm
