// Forward passes of the transformer, and its initial weights. The teacher-forced pass and the cached step share every line
// but mask and cache.
#include "models/infinity/module.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "nn/kernels/fused.h"
#include "tensor/build.h"

namespace tessera::infinity {

Positions positions_of(const InfinityConfig& config, const Schedule& schedule, at::Device device, bool with_mask) {
  Positions p{.schedule = schedule};
  std::vector<int64_t> levels;
  for (size_t k = 0; k < schedule.scales.size(); ++k)
    levels.insert(levels.end(), schedule.scales[k].area(), static_cast<int64_t>(k));
  p.levels = at::tensor(levels, at::kLong);
  p.rope = nn::rope_2d(schedule.rope_grids(), config.head_dim(), device);
  if (!with_mask) {
    p.levels = p.levels.to(device);
    return p;
  }
  const Tensor later = p.levels.unsqueeze(0) > p.levels.unsqueeze(1);  // [L, L]: row looks, column is looked at
  p.mask = at::zeros(later.sizes(), at::kFloat).masked_fill_(later, -std::numeric_limits<float>::infinity());
  p.mask = p.mask.unsqueeze(0).unsqueeze(0).to(device);
  p.levels = p.levels.to(device);
  return p;
}

InfinityBlock::InfinityBlock(const InfinityConfig& c)
    : ada_gss(empty_weight({1, 1, 6, c.width})), sa(c.width, c.heads), ca(c.width, c.heads, c.width),
      ffn(c.width, c.feed_forward_width()), ca_norm(c.width) {}

BlockCondition InfinityBlock::prepare(const Condition& condition) const {
  const Tensor six = (ada_gss + condition.modulation).permute({2, 0, 1, 3}).contiguous();  // [6, B, 1, C]
  const std::vector<Tensor> m = six.unbind(0);
  return {{m[0], m[1], m[2], m[3], m[4], m[5]}, sa.constants(), ca.keys(condition.prompt), condition.padding};
}

Tensor InfinityBlock::forward(Tensor x, const BlockCondition& c, const nn::Rope2d& rope, const Tensor& mask,
                              size_t layer, nn::KvCache* cache) const {
  const Modulation& m = c.modulation;
  x = nn::gated_add(
      x, m.gate_attention,
      sa.forward(nn::modulated_norm(x, m.scale_attention, m.shift_attention), c.attention, rope, mask, layer, cache));
  x = x + ca.forward(ca_norm.forward(x), c.prompt, c.padding);
  return nn::gated_add(x, m.gate_feed_forward,
                       ffn.forward(nn::modulated_norm(x, m.scale_feed_forward, m.shift_feed_forward)));
}

Tensor SiluLinear::forward(const Tensor& condition) const { return linear.forward(at::silu(condition)); }

Tensor TextProjection::forward(const Tensor& states) const {
  return second.forward(at::gelu(first.forward(states), "tanh"));
}

Infinity::Infinity(const InfinityConfig& c)
    : config((validate(c), c)), cfg_uncond(empty_weight({c.text_length, c.text_width})),
      pos_start(empty_weight({1, 1, c.width})),
      text_norm(c.text_width), text_proj_for_sos{{c.width, c.pool_heads, c.text_width}},
      text_proj_for_ca{{c.text_width, c.width}, {c.width, c.width}}, lvl_embed(empty_weight({c.levels, c.width})),
      word_embed(c.bits_per_token(), c.width), shared_ada_lin{{c.width, 6 * c.width}}, head_nm{{{c.width,
                                                                                                 2 * c.width}}},
      head(c.width, c.head_outputs()) {
  for (int64_t i = 0; i < c.depth; ++i) blocks.emplace_back(c);
  if (c.text_encoder) text_encoder.emplace(*c.text_encoder, c.text_length);
}

nn::TextStates Infinity::encode(const std::vector<std::string>& prompts) const {
  if (!text_encoder) {
    throw UserError("[infinity] this model has no text encoder of its own; it wants states of flan-t5-xl, {} wide",
                    config.text_width);
  }
  return text_encoder->forward(nn::byte_tokens(prompts, config.text_length, pos_start.device()));
}

nn::TextStates Infinity::without_prompt(const nn::TextStates& text, const Tensor& drop) const {
  const Tensor nothing = cfg_uncond.slice(0, 0, text.states.size(1)).to(text.states.scalar_type());  // [T, Ct]
  return {at::where(drop.view({-1, 1, 1}), nothing, text.states), text.lengths, text.padded};
}

Condition Infinity::condition(const nn::TextStates& text) const {
  const Tensor states = text_norm.forward(text.states);
  const Tensor padding = text.padded ? nn::padding_mask(text.lengths, states.size(1)) : Tensor();
  Condition c;
  c.pooled = text_proj_for_sos.pool.forward(states, padding);
  c.modulation = shared_ada_lin.forward(c.pooled).view({-1, 1, 6, config.width});
  c.prompt = text_proj_for_ca.forward(states);
  c.padding = padding;
  return c;
}

Tensor Infinity::start_token(const Condition& c) const { return c.pooled.unsqueeze(1) + (pos_start + lvl_embed[0]); }

Tensor Infinity::embed(const Tensor& features, const Tensor& levels) const {
  return word_embed.forward(features) + at::index_select(lvl_embed, 0, levels);
}

Tensor Infinity::forward(const Tensor& features, const Condition& c, const Positions& positions) const {
  const int64_t length = positions.levels.size(0);
  Tensor x = start_token(c);
  if (length > 1) x = at::cat({x, embed(features, positions.levels.slice(0, 1))}, 1);  // [B, L, C]
  for (const InfinityBlock& block : blocks)
    x = block.forward(x, block.prepare(c), positions.rope, positions.mask, 0, nullptr);
  return logits(x, c.pooled);
}

void DrawState::keep_rows(int64_t rows) {
  const auto first = [&](Tensor& t) {
    if (present(t) && t.size(0) > 1) t = t.slice(0, 0, rows);
  };
  for (BlockCondition& block : blocks) {
    Modulation& m = block.modulation;
    for (Tensor* t :
         {&m.gate_attention, &m.gate_feed_forward, &m.scale_attention, &m.scale_feed_forward, &m.shift_attention,
          &m.shift_feed_forward, &block.prompt.keys, &block.prompt.values, &block.padding})
      first(*t);
  }
  for (Tensor* t :
       {&condition.pooled, &condition.modulation, &condition.prompt, &condition.padding, &hidden, &hidden_before})
    first(*t);
  cache.keep_rows(rows);
}

DrawState Infinity::start(Condition c, const Positions& positions, at::ScalarType kept) const {
  DrawState state;
  for (const InfinityBlock& block : blocks) state.blocks.push_back(block.prepare(c));
  state.cache = nn::ScaleCache(config.depth, c.pooled.size(0), config.heads,
                               positions.schedule.begin(positions.schedule.scales.size() - 1), config.head_dim(),
                               c.pooled.options(), kept);
  state.condition = std::move(c);
  return state;
}

namespace {
/// Both halves of the batch [2B, L, C] become their guided mix.
Tensor mixed(const Tensor& x, double cfg) {
  const std::vector<Tensor> halves = x.chunk(2, 0);
  const Tensor mix = cfg * halves[0] + (1 - cfg) * halves[1];
  return at::cat({mix, mix});
}
}  // namespace

namespace {

/// The positions [m] of a grid, in order, where what left the last block changed most between the two scales before.
Tensor unsettled(const DrawState& state, ScaleShape scale, double settled) {
  const Tensor before = codec::grow(state.hidden_before, {state.hidden.size(2), state.hidden.size(3)});
  const Tensor change = (state.hidden - before).square().sum({0, 1}, /*keepdim=*/true);  // [1, 1, h, w]
  const int64_t count = scale.area() - static_cast<int64_t>(settled * static_cast<double>(scale.area()));
  const Tensor grown = codec::grow(change, scale).flatten();
  return std::get<0>(std::get<1>(grown.topk(std::max<int64_t>(1, count))).sort());
}

}  // namespace

Tensor Infinity::step(size_t k, const Tensor& features, DrawState& state, const Positions& positions,
                      const StepOptions& options) const {
  const ScaleShape scale = positions.schedule.scales[k];
  const int64_t begin = positions.schedule.begin(k), end = begin + scale.area();
  Tensor x = k == 0 ? start_token(state.condition) : embed(features, positions.levels.slice(0, begin, end));
  nn::Rope2d rope = positions.rope.slice(begin, end);
  Tensor running;  // absent: all
  if (options.settled > 0 && present(state.hidden_before)) {
    running = unsettled(state, scale, options.settled);
    x = x.index_select(1, running);
    rope = {rope.cos.index_select(0, running), rope.sin.index_select(0, running)};
  }
  const HiddenGuidance& guidance = options.guidance;
  for (size_t i = 0; i < blocks.size(); ++i) {
    x = blocks[i].forward(x, state.blocks[i], rope, {}, i, &state.cache);
    const bool mixes = guidance.cfg != 1 && std::ranges::count(guidance.after, static_cast<int64_t>(i)) > 0;
    if (mixes) x = mixed(x, guidance.cfg);
  }
  if (present(running)) {
    const Tensor whole = codec::grow(state.hidden, scale).flatten(2).transpose(1, 2).contiguous();
    x = whole.index_copy(1, running, x);
  }
  if (state.keeps_hidden) {
    state.hidden_before = state.hidden;
    state.hidden = x.transpose(1, 2).unflatten(2, {scale.height, scale.width}).contiguous();
  }
  return logits(x, state.condition.pooled);
}

/// The head runs in fp32 under autocast too: two logits that differ by little decide a bit.
Tensor Infinity::logits(const Tensor& x, const Tensor& pooled) const {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const std::vector<Tensor> adaptive =
      head_nm.ada_lin.forward(pooled.to(at::kFloat)).unsqueeze(1).chunk(2, -1);  // 2 x [B, 1, C]
  const Tensor out = head.forward(nn::modulated_norm(x.to(at::kFloat), adaptive[0], adaptive[1]));
  return config.head == "index" ? out : out.unflatten(-1, {config.bits_per_token(), 2});
}

bool is_constant(std::string_view tensor_name) { return tensor_name.ends_with("zero_k_bias"); }

// Initial weights, by the published rule. Each tensor draws from a stream of its own name.

namespace {

bool contains(const std::string& name, std::string_view part) { return name.find(part) != std::string::npos; }

/// Scales the rows or slots [0, 2) of 6 (gates) apart from the other four (scales and shifts).
void shrink_modulation(Tensor sixfold, int64_t dim, const InitialScales& scales) {
  const int64_t slot = sixfold.size(dim) / 6;
  sixfold.slice(dim, 0, 2 * slot).mul_(scales.gate);
  sixfold.slice(dim, 2 * slot, 6 * slot).mul_(scales.adaptive);
}

}  // namespace

void initialise(Infinity& model, uint64_t seed, const InitialScales& scales) {
  const at::NoGradGuard no_grad;
  const Rng rng(seed);
  const double std = std::sqrt(1.0 / (3.0 * static_cast<double>(model.config.width)));
  const double into_residual = 1 / std::sqrt(2.0 * static_cast<double>(model.config.depth));
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    if (name.starts_with("text_encoder.") || t.dim() < 2 || name.ends_with("scale_mul_1H11"))
      return;  // biases, norms and scales are set
    fill_truncated_normal(t, std, rng.split(hash_text(name)));
    if (name == "cfg_uncond") t.mul_(1.2 / std / std::sqrt(static_cast<double>(t.size(1))));
    if (name.ends_with("ada_gss")) shrink_modulation(t.mul_(std::sqrt(3.0)), 2, scales);  // deviation sqrt(1 / C)
    if (name == "shared_ada_lin.1.weight") shrink_modulation(t, 0, scales);
    if (name == "head_nm.ada_lin.1.weight") t.mul_(scales.adaptive);
    if (name == "head.weight") t.mul_(scales.head);
    if (contains(name, "blocks.") && (contains(name, "proj.weight") || contains(name, "fc2.weight")))
      t.mul_(into_residual);
  });
  if (model.text_encoder) nn::initialise(*model.text_encoder, mix64(seed));
}

}  // namespace tessera::infinity
