// Rotary settings in config.json, as transformers 4 and 5 spell them. An unknown type is refused: it would change the numbers.
#include <algorithm>
#include <cmath>

#include "models/lm/architecture/families.h"

namespace tessera::lm {

namespace {

double non_zero(const Keys& table, std::string_view key, double otherwise) {
  const double value = table.get_or<double>(key, otherwise);
  return value == 0 ? otherwise : value;
}

/// A number that counts as absent when it is zero.
std::optional<double> non_zero(const Keys& table, std::string_view key) {
  const std::optional<double> value = table.get<double>(key);
  return value == 0.0 ? std::nullopt : value;
}

std::string type_of(const Keys& table) {
  return table.get_or<std::string>("rope_type", table.get_or<std::string>("type", "default"));
}

/// `table`: the settings themselves; `keys`: the config around them.
std::optional<RopeScaling> read_scaling(const Keys& table, const Keys& keys, const RopeDefaults& defaults,
                                        const LmConfig& c) {
  RopeScaling r{.type = type_of(table)};
  if (defaults.any_scaling_is_longrope && (r.type == "su" || r.type == "yarn")) r.type = "longrope";
  if (r.type == "default") return std::nullopt;
  const bool original = r.type == "llama3" || r.type == "yarn" || r.type == "longrope";
  if (original) {
    r.original_length = keys.get_or<int64_t>(
        "original_max_position_embeddings",
        defaults.original.value_or(table.get_or<int64_t>("original_max_position_embeddings", c.context)));
  }
  if (r.type == "yarn" || r.type == "longrope") {
    r.factor = table.get_or<double>(
        "factor", static_cast<double>(c.context) / static_cast<double>(std::max<int64_t>(r.original_length, 1)));
    r.attention_factor = table.get<double>("attention_factor");
  } else if (r.type == "linear" || r.type == "dynamic" || r.type == "llama3") {
    r.factor = table.need<double>("factor");
  } else {
    detail::throw_wrong_type(keys.source(), "rope_type", r.type,
                             "one of: default, dynamic, linear, llama3, longrope, yarn");
  }
  if (r.type == "llama3") {
    r.low_frequency_factor = table.need<double>("low_freq_factor");
    r.high_frequency_factor = table.need<double>("high_freq_factor");
  }
  if (r.type == "yarn") {
    r.beta_fast = non_zero(table, "beta_fast", 32);
    r.beta_slow = non_zero(table, "beta_slow", 1);
    r.truncate = table.get_or<bool>("truncate", true);
    r.mscale = non_zero(table, "mscale");
    r.mscale_all_dim = non_zero(table, "mscale_all_dim");
  }
  if (r.type == "longrope") {
    r.short_factors = table.need<std::vector<double>>("short_factor");
    r.long_factors = table.need<std::vector<double>>("long_factor");
  }
  return r;
}

void read_partial(const Keys& keys, const std::vector<std::optional<Keys>>& tables, const RopeDefaults& defaults,
                  LmConfig& c) {
  const bool understood = defaults.partial;
  double share = keys.get_or<double>("partial_rotary_factor", defaults.share);
  for (const std::optional<Keys>& table : tables) {
    if (table) share = table->get_or<double>("partial_rotary_factor", share);
  }
  if (share == 1) return;
  if (!understood || !(share > 0 && share < 1))
    throw UserError("[lm] {}: partial_rotary_factor is {}, want {}", keys.source(), share,
                    understood ? "a number above 0, at most 1" : "1");
  c.rotary_dim = static_cast<int64_t>(static_cast<double>(c.head_dim) * share);
}

Json scaling_json(const RopeScaling& r) {
  if (r.type == "longrope") {  // under the names that the releases of Phi-3 have
    Json tree = {{"type", r.type}, {"short_factor", r.short_factors}, {"long_factor", r.long_factors}};
    if (r.attention_factor) tree["attention_factor"] = *r.attention_factor;
    return tree;
  }
  Json tree = {{"rope_type", r.type}, {"factor", r.factor}};
  if (r.type == "llama3") {
    tree["low_freq_factor"] = r.low_frequency_factor;
    tree["high_freq_factor"] = r.high_frequency_factor;
  }
  if (r.type == "yarn") {
    tree["beta_fast"] = r.beta_fast;
    tree["beta_slow"] = r.beta_slow;
    if (!r.truncate) tree["truncate"] = false;
    if (r.attention_factor) tree["attention_factor"] = *r.attention_factor;
    if (r.mscale) tree["mscale"] = *r.mscale;
    if (r.mscale_all_dim) tree["mscale_all_dim"] = *r.mscale_all_dim;
  }
  if (r.type == "llama3" || r.type == "yarn") tree["original_max_position_embeddings"] = r.original_length;
  return tree;
}

}  // namespace

double rotary_share(int64_t turned, int64_t head_dim) {
  double share = static_cast<double>(turned) / static_cast<double>(head_dim);
  while (static_cast<int64_t>(static_cast<double>(head_dim) * share) < turned) share = std::nextafter(share, 1);
  return share;
}

double longrope_attention_factor(double factor, int64_t original_length) {
  return factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original_length)));
}

void read_rope(const Keys& keys, const RopeDefaults& defaults, LmConfig& c) {
  const std::optional<Keys> newer = keys.table("rope_parameters"), older = keys.table("rope_scaling");
  const bool by_layer = newer && (newer->find("full_attention") || newer->find("sliding_attention"));
  if (by_layer && !defaults.by_window)
    throw UserError("[lm] {}: rotary positions that differ between layers are not supported for model_type '{}'",
                    keys.source(), c.family);
  const std::optional<Keys> full = by_layer ? newer->table("full_attention") : newer;
  const std::optional<Keys> sliding = by_layer ? newer->table("sliding_attention") : std::nullopt;
  const auto theta = keys.get<double>("rope_theta");
  c.rope_theta = theta.value_or(defaults.theta);
  if (full) c.rope_theta = full->get_or<double>("rope_theta", c.rope_theta);
  read_partial(keys, {older, newer, full}, defaults, c);
  if (const std::optional<Keys>& settings = full ? full : older)
    c.rope_scaling = read_scaling(*settings, keys, defaults, c);
  if (!defaults.by_window) return;
  c.window_rope_theta = keys.get_or<double>("rope_local_base_freq", defaults.window_theta.value_or(c.rope_theta));
  if (!sliding) return;
  c.window_rope_theta = sliding->get_or<double>("rope_theta", *c.window_rope_theta);
  if (const std::string type = type_of(*sliding); type != "default")
    detail::throw_wrong_type(keys.source(), "rope_parameters.sliding_attention.rope_type", type, "default");
}

void store_rope(const LmConfig& c, Json& tree) {
  tree["rope_theta"] = c.rope_theta;
  if (c.rotary_dim) tree["partial_rotary_factor"] = rotary_share(*c.rotary_dim, c.head_dim);
  else if (c.linear) tree["partial_rotary_factor"] = 1.0;  // absent, it would be a quarter
  if (!c.rope_scaling) return;
  const RopeScaling& r = *c.rope_scaling;
  tree["rope_scaling"] = scaling_json(r);
  if (r.type != "longrope") return;
  tree["original_max_position_embeddings"] = r.original_length;
  // transformers 4 wants three keys in the table, and takes the factor from the two contexts
  if (r.factor != static_cast<double>(c.context) / static_cast<double>(r.original_length))
    tree["rope_scaling"]["factor"] = r.factor;
}

void store_rope_by_window(const LmConfig& c, Json& tree) {
  Json full = c.rope_scaling ? tree["rope_scaling"] : Json{{"rope_type", "default"}};
  full["rope_theta"] = c.rope_theta;
  tree["rope_parameters"] = {
      {"full_attention", full},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", c.window_rope_theta.value_or(c.rope_theta)}}}};
}

}  // namespace tessera::lm
