// Checks of a config. Everything after them may rely on it.
#include "models/lm/architecture/config.h"

#include <cmath>

#include "core/error.h"

namespace tessera::lm {

namespace {
void require_within(std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) throw UserError("[lm] {} is {}, want {} to {}", name, value, low, high);
}
void require_positive(std::string_view name, double value) {
  if (!std::isfinite(value) || value <= 0) throw UserError("[lm] {} is {}, want a number above 0", name, value);
}
}  // namespace

double LmConfig::softmax_scale() const { return 1 / std::sqrt(query_scale.value_or(static_cast<double>(head_dim))); }

void validate(const LmConfig& c) {
  constexpr int64_t most = int64_t{1} << 24;  // so that no product of two sizes leaves int64
  for (const auto& [name, value] : {std::pair{"vocabulary", c.vocabulary},
                                    {"width", c.width},
                                    {"heads", c.heads},
                                    {"kv_heads", c.kv_heads},
                                    {"head_dim", c.head_dim},
                                    {"hidden", c.hidden}}) {
    require_within(name, value, 1, most);
  }
  require_within("depth", c.depth, 1, 4096);
  require_within("context", c.context, 1, int64_t{1} << 40);
  if (c.heads % c.kv_heads != 0)
    throw UserError("[lm] kv_heads is {}, want a divisor of heads {}", c.kv_heads, c.heads);
  if (c.head_dim % 2 != 0) throw UserError("[lm] head_dim is {}, want an even number", c.head_dim);
  if (!c.norm_before && !c.norm_after) throw UserError("[lm] a model without norms; want norm_before or norm_after");
  require_positive("norm_eps", c.norm_eps);
  require_positive("rope_theta", c.rope_theta);
  for (const auto& [name, value] :
       {std::pair{"attention_cap", c.attention_cap}, {"logit_cap", c.logit_cap}, {"query_scale", c.query_scale}}) {
    if (value) require_positive(name, *value);
  }
  if (c.window) require_within("window", *c.window, 1, int64_t{1} << 40);
  require_within("window_first", c.window_first, 0, 4096);
  require_within("window_every", c.window_every, 1, 4096);
  if (c.rope_scaling) {
    const RopeScaling& r = *c.rope_scaling;
    require_positive("rope_scaling.factor", r.factor);
    require_positive("rope_scaling.low_frequency_factor", r.low_frequency_factor);
    require_positive("rope_scaling.high_frequency_factor", r.high_frequency_factor);
    require_within("rope_scaling.original_length", r.original_length, 1, int64_t{1} << 40);
    if (r.high_frequency_factor <= r.low_frequency_factor) {
      throw UserError("[lm] rope_scaling.high_frequency_factor is {}, want more than low_frequency_factor {}",
                      r.high_frequency_factor, r.low_frequency_factor);
    }
  }
}

}  // namespace tessera::lm
