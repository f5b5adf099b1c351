// Checks of a config. Everything after them may rely on it.
#include "models/lm/architecture/config.h"

#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace tessera::lm {

namespace {
void require_within(std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) throw UserError("[lm] {} is {}, want {} to {}", name, value, low, high);
}
void require_positive(std::string_view name, double value) {
  if (!std::isfinite(value) || value <= 0) throw UserError("[lm] {} is {}, want a number above 0", name, value);
}

void check_factors(std::string_view name, const std::vector<double>& factors, const LmConfig& c) {
  if (std::ssize(factors) != c.turned() / 2)
    throw UserError("[lm] rope_scaling.{} has {} entries, want {}, one for each frequency", name, factors.size(),
                    c.turned() / 2);
  for (const double factor : factors) require_positive(fmt::format("an entry of rope_scaling.{}", name), factor);
}

void check_scaling(const RopeScaling& r, const LmConfig& c) {
  require_positive("rope_scaling.factor", r.factor);
  require_within("rope_scaling.original_length", r.original_length, 1, int64_t{1} << 40);
  if (r.attention_factor) require_positive("rope_scaling.attention_factor", *r.attention_factor);
  if (r.type == "llama3") {
    require_positive("rope_scaling.low_frequency_factor", r.low_frequency_factor);
    require_positive("rope_scaling.high_frequency_factor", r.high_frequency_factor);
    if (r.high_frequency_factor <= r.low_frequency_factor)
      throw UserError("[lm] rope_scaling.high_frequency_factor is {}, want more than low_frequency_factor {}",
                      r.high_frequency_factor, r.low_frequency_factor);
  } else if (r.type == "yarn") {
    require_positive("rope_scaling.beta_fast", r.beta_fast);
    require_positive("rope_scaling.beta_slow", r.beta_slow);
    if (r.mscale) require_positive("rope_scaling.mscale", *r.mscale);
    if (r.mscale_all_dim) require_positive("rope_scaling.mscale_all_dim", *r.mscale_all_dim);
    if (c.rope_theta == 1) throw UserError("[lm] rope_theta is 1, which leaves yarn no wave lengths to choose from");
  } else if (r.type == "longrope") {
    check_factors("short_factors", r.short_factors, c);
    check_factors("long_factors", r.long_factors, c);
    if (r.original_length < 2) throw UserError("[lm] rope_scaling.original_length is 1, want 2 or more for longrope");
  } else if (r.type != "linear" && r.type != "dynamic") {
    throw UserError("[lm] rope_scaling.type is '{}', want one of: dynamic, linear, llama3, longrope, yarn", r.type);
  }
}

void check_linear(const LinearAttention& l, int64_t most) {
  for (const auto& [name, value] : {std::pair{"linear.key_heads", l.key_heads},
                                    {"linear.value_heads", l.value_heads},
                                    {"linear.key_dim", l.key_dim},
                                    {"linear.value_dim", l.value_dim}}) {
    require_within(name, value, 1, most);
  }
  if (l.value_heads % l.key_heads != 0)
    throw UserError("[lm] linear.value_heads is {}, want a multiple of linear.key_heads {}", l.value_heads,
                    l.key_heads);
  for (const auto& [what, heads, dim] :
       {std::tuple{"key", l.key_heads, l.key_dim}, {"value", l.value_heads, l.value_dim}})
    if (heads * dim > most)
      throw UserError("[lm] {} {} heads of {} numbers in a gated DeltaNet, want at most {} numbers", heads, what, dim,
                      most);
  require_within("linear.kernel", l.kernel, 1, 64);
  require_within("linear.full_every", l.full_every, 1, 4097);
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
  require_within("unrotated_every", c.unrotated_every, 0, 4096);
  require_within("full_every", c.full_every, 0, 4096);
  if (c.window_rope_theta) require_positive("window_rope_theta", *c.window_rope_theta);
  if (c.window_rope_theta && !c.window) throw UserError("[lm] window_rope_theta without a window");
  if (c.qk_norm && c.head_norm) throw UserError("[lm] both qk_norm and head_norm, want one of them");
  if (c.rotary_dim && (*c.rotary_dim < 2 || *c.rotary_dim > c.head_dim || *c.rotary_dim % 2 != 0))
    throw UserError("[lm] rotary_dim is {}, want an even number from 2 to head_dim {}", *c.rotary_dim, c.head_dim);
  if (c.rope_scaling) check_scaling(*c.rope_scaling, c);
  if (c.linear) check_linear(*c.linear, most);
  if (c.linear && c.window) throw UserError("[lm] a window beside gated DeltaNets is not supported");
}

}  // namespace tessera::lm
