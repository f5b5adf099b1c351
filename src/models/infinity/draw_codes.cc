// The step of the scale loop is the transformer's: with its cache, or without (every scale from the start again).
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones.h>

#include "core/error.h"
#include "models/infinity/draw.h"

namespace tessera::infinity {

namespace {

/// Gives the logits of scale k, conditional rows first, then, under guidance, the unconditional ones.
class Stepper {
 public:
  Stepper(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan)
      : model_(model), cached_(plan.use_cache),
        positions_(positions_of(model.config, plan.schedule, text.states.device(), /*with_mask=*/false)) {
    condition_ = model.condition(text);
    if (!cached_) return;
    state_ = model.start(condition_, positions_, plan.kept);
    nn::LocalAttention local{.radius = plan.fast.local_attention, .grids = {}};
    for (const ScaleShape& scale : plan.schedule.scales) local.grids.emplace_back(scale.height, scale.width);
    state_.cache.see_locally(std::move(local));
    state_.keeps_hidden = plan.fast.settled > 0;
  }

  /// features [B, tokens of k, bits per token], absent for k = 0.
  Tensor logits(size_t k, const Tensor& features, const HiddenGuidance& guidance, double settled) {
    if (cached_) return model_.step(k, features, state_, positions_, {.guidance = guidance, .settled = settled});
    if (k > 0) seen_ = present(seen_) ? at::cat({seen_, features}, 1) : features;
    Schedule so_far = positions_.schedule;
    so_far.scales.resize(k + 1);
    const Positions part = positions_of(model_.config, so_far, condition_.pooled.device());
    return model_.forward(seen_, condition_, part).slice(1, so_far.begin(k));
  }

  void keep_rows(int64_t rows) { state_.keep_rows(rows); }
  int64_t cache_bytes() const { return state_.cache.bytes(); }

 private:
  const Infinity& model_;
  bool cached_;
  Positions positions_;
  Condition condition_;
  DrawState state_;
  Tensor seen_;
};

/// States [B, T, C] with zeros behind them up to `length`.
Tensor padded_to(const Tensor& states, int64_t length) {
  return at::constant_pad_nd(states, {0, 0, 0, length - states.size(1)});
}

/// The prompts' states followed by those that guidance leads away from: of "no prompt", each at its prompt's length, or of the negative
/// prompt, at its own.
nn::TextStates with_unconditional(const Infinity& model, const nn::TextStates& text,
                                  const std::optional<nn::TextStates>& negative) {
  const int64_t batch = text.states.size(0);
  if (!negative) {
    const Tensor all = at::ones({batch}, text.lengths.options().dtype(at::kBool));
    const nn::TextStates nothing = model.without_prompt(text, all);
    return {at::cat({text.states, nothing.states}), at::cat({text.lengths, text.lengths}), text.padded};
  }
  const int64_t width = std::max(text.states.size(1), negative->states.size(1));
  const Tensor states = negative->states.expand({batch, -1, -1}), lengths = negative->lengths.expand({batch});
  const bool padded = text.padded || negative->padded || text.states.size(1) != negative->states.size(1);
  return {at::cat({padded_to(text.states, width), padded_to(states, width)}), at::cat({text.lengths, lengths}), padded};
}

/// Scales before this one run under guidance.
size_t end_of_guidance(const std::vector<double>& cfg) {
  size_t end = cfg.size();
  while (end > 0 && cfg[end - 1] == 1) --end;
  return end;
}

/// Which blocks mix, from 0.
std::vector<int64_t> mixing_blocks(const DrawPlan& plan, int64_t depth) {
  std::vector<int64_t> after;
  for (const int64_t layer : plan.guided_layers) {
    if (layer < 0) after.push_back(depth + layer);
  }
  return after;
}

}  // namespace

DrawnCodes draw_codes(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan) {
  const at::NoGradGuard no_grad;
  const bool patchify = model.config.patchify;
  const int64_t batch = text.states.size(0);
  const size_t guided_until = end_of_guidance(plan.cfg);
  const bool guides = guided_until > 0;
  const std::vector<int64_t> after = mixing_blocks(plan, model.config.depth);
  if (!after.empty() && !plan.use_cache)
    throw UserError("[draw] guidance inside the transformer needs its cache of keys and values");
  const bool on_logits = std::ranges::count(plan.guided_layers, 0) > 0;
  Stepper stepper(model, guides ? with_unconditional(model, text, plan.negative) : text, plan);
  DrawnCodes drawn{.cache_bytes = stepper.cache_bytes()};

  const auto step = [&](size_t k, const Tensor& sum) {
    const ScaleShape scale = plan.schedule.scales[k];
    const bool unguided = plan.use_cache && k >= guided_until;
    if (guides && unguided && k == guided_until) stepper.keep_rows(batch);
    Tensor features = k == 0 ? Tensor() : features_of(sum, scale, patchify);
    if (guides && !unguided && k > 0) features = at::cat({features, features});
    const double settled = k + 2 >= plan.schedule.scales.size() ? plan.fast.settled : 0;
    Tensor logits = stepper.logits(k, features, {.cfg = plan.cfg[k], .after = after}, settled);
    if (guides && !unguided) {
      const Tensor conditional = logits.slice(0, 0, batch);
      const bool mixes = on_logits && plan.cfg[k] != 1;
      logits = mixes ? generate::guided(conditional, logits.slice(0, batch), plan.cfg[k]) : conditional;
    }
    drawn.logits.push_back(logits);
    generate::BitSampling sampling{
        .tau = plan.tau[k], .top_p = plan.top_p, .seed = plan.seed, .first_picture = plan.first_picture, .scale = k};
    if (k < plan.exponentials.size()) sampling.exponentials = plan.exponentials[k];
    return to_grid(generate::sample_bits(logits, sampling), scale, patchify);
  };
  drawn.codes = generate::run({.scales = plan.schedule.latent_scales(patchify),
                               .bits = model.config.bits,
                               .batch = batch,
                               .device = text.states.device(),
                               .given = plan.given,
                               .on_scale = plan.on_scale},
                              step);
  return drawn;
}

}  // namespace tessera::infinity
