// Between the projections everything is in fp32, whatever the weights' format. Few positions of a row go one by one, so that their bits do
// not depend on how many come at once; many go chunk by chunk.
#include "models/lm/architecture/gated_delta_net.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/zeros.h>

#include "nn/attention/block_cache.h"
#include "nn/kernels/token_ops.h"
#include "tensor/build.h"

namespace tessera::lm {

namespace {

/// x [B, L, G, D] -> [B, H, L, D], each head repeated for the H / G value heads that share it.
Tensor heads_of(const Tensor& x, const LinearAttention& l) {
  const Tensor by_head = x.transpose(1, 2);
  const int64_t each = l.value_heads / l.key_heads;
  if (each == 1) return by_head;
  return l.tiled ? by_head.repeat({1, each, 1, 1}) : by_head.repeat_interleave(each, 1);
}

Tensor unit_length(const Tensor& x) { return x * ((x * x).sum(-1, true) + 1e-6).rsqrt(); }

}  // namespace

GatedDeltaNet::GatedDeltaNet(const LmConfig& c)
    : in_proj_qkv(c.width, c.linear->channels(), false),
      in_proj_z(c.width, c.linear->value_heads * c.linear->value_dim, false),
      in_proj_b(c.width, c.linear->value_heads, false), in_proj_a(c.width, c.linear->value_heads, false),
      out_proj(c.linear->value_heads * c.linear->value_dim, c.width, false), conv1d{.weight = empty_weight(
                                                                                        {c.linear->channels(), 1,
                                                                                         c.linear->kernel})},
      dt_bias(constant_weight({c.linear->value_heads}, 1)), A_log(constant_weight({c.linear->value_heads}, 0)),
      norm(c.linear->value_dim, c.norm_eps) {}

Tensor GatedDeltaNet::forward(const LmConfig& c, const Tensor& x, const Tensor& since, size_t layer,
                              nn::KvCache* cache) const {
  const LinearAttention& l = *c.linear;
  const Tensor z = in_proj_z.forward(x);  // [B, L, H * value_dim]
  const Tensor inputs = at::cat({in_proj_qkv.forward(x), in_proj_b.forward(x), in_proj_a.forward(x)}, -1);
  Tensor read;  // [B, L, H, value_dim] fp32
  if (cache) {
    const auto step = [&](const Tensor& rows, nn::RecurrentState& state) { return advance(l, rows, state); };
    read = cache->recur(layer, inputs.squeeze(0), step).unsqueeze(0);
  } else {
    read = nn::delta_rule_by_chunks(rule(l, inputs, {}, since), {}, since).out.transpose(1, 2);
  }
  const Tensor normed = norm.forward(read.to(z.scalar_type()).contiguous()).flatten(-2);
  return out_proj.forward(nn::gated_silu(z, normed.to(z.scalar_type())));
}

/// x [B, L, channels] fp32 -> the same, each position the sum of itself and the kernel - 1 before it.
Tensor GatedDeltaNet::convolved(const LinearAttention& l, const Tensor& x, const Tensor& window,
                                const Tensor& since) const {
  const int64_t length = x.size(1), before = l.kernel - 1;
  const Tensor weight = conv1d.weight.squeeze(1).to(at::kFloat);  // [channels, kernel]
  const Tensor past = present(window) ? window.unsqueeze(0) : at::zeros({x.size(0), before, x.size(2)}, x.options());
  const Tensor all = at::cat({past, x}, 1);
  Tensor sum = x * weight.select(1, before);
  for (int64_t back = 1; back <= before; ++back) {
    Tensor term = all.narrow(1, before - back, length) * weight.select(1, before - back);
    if (present(since)) {  // only what is of the same sequence
      const Tensor index = at::arange(length, since.options()).unsqueeze(0);
      term = term.masked_fill((index - back < since).unsqueeze(-1), 0);
    }
    sum = sum + term;
  }
  return sum;
}

nn::DeltaRule GatedDeltaNet::rule(const LinearAttention& l, const Tensor& inputs, const Tensor& window,
                                  const Tensor& since) const {
  const int64_t keys = l.key_heads * l.key_dim, values = l.value_heads * l.value_dim;
  const Tensor wide = inputs.to(at::kFloat);
  const Tensor mixed = at::silu(convolved(l, wide.narrow(-1, 0, l.channels()), window, since));
  const Tensor q = mixed.narrow(-1, 0, keys).unflatten(-1, {l.key_heads, l.key_dim}),
               k = mixed.narrow(-1, keys, keys).unflatten(-1, {l.key_heads, l.key_dim}),
               v = mixed.narrow(-1, 2 * keys, values).unflatten(-1, {l.value_heads, l.value_dim});
  const Tensor b = wide.narrow(-1, l.channels(), l.value_heads),
               a = wide.narrow(-1, l.channels() + l.value_heads, l.value_heads);
  const Tensor decay = -A_log.to(at::kFloat).exp() * at::softplus(a + dt_bias.to(at::kFloat));  // [B, L, H]
  return {.q = heads_of(unit_length(q) * (1 / std::sqrt(static_cast<double>(l.key_dim))), l),
          .k = heads_of(unit_length(k), l),
          .v = v.transpose(1, 2),
          .decay = decay.transpose(1, 2),
          .beta = at::sigmoid(b).transpose(1, 2)};
}

/// New positions of one row: inputs [n, channels + 2 H] -> [n, H, value_dim].
Tensor GatedDeltaNet::advance(const LinearAttention& l, const Tensor& inputs, nn::RecurrentState& state) const {
  const int64_t count = inputs.size(0), before = l.kernel - 1;
  const Tensor fresh = inputs.narrow(1, 0, l.channels()).to(at::kFloat);
  const Tensor past = present(state.window) ? state.window : at::zeros({before, l.channels()}, fresh.options());
  const Tensor all = at::cat({past, fresh});  // [kernel - 1 + n, channels]
  std::vector<Tensor> read;
  const bool many = count >= nn::BlockCache::long_piece;
  for (int64_t from = 0; from < count; from += many ? count : 1) {
    const int64_t n = many ? count : 1;
    const nn::DeltaRule in = rule(l, inputs.narrow(0, from, n).unsqueeze(0), all.narrow(0, from, before), {});
    const nn::DeltaResult result =
        many ? nn::delta_rule_by_chunks(in, state.memory) : nn::delta_rule_by_steps(in, state.memory);
    state.memory = result.state;
    read.push_back(result.out.squeeze(0).transpose(0, 1));
  }
  state.window = all.narrow(0, count, before).clone();
  return at::cat(read);
}

Tensor with_value_heads(const Tensor& rows, const LinearAttention& l, bool tiled) {
  const int64_t each = l.value_heads / l.key_heads;
  const int64_t outer = tiled ? l.key_heads : each, inner = tiled ? each : l.key_heads;  // as they are
  return rows.unflatten(0, {outer, inner, -1}).transpose(0, 1).reshape(rows.sizes());
}

Tensor with_value_heads(const std::string& name, const Tensor& tensor, const LinearAttention& l, bool tiled) {
  if (name == "norm.weight") return tensor;
  if (name == "out_proj.weight") return with_value_heads(tensor.t(), l, tiled).t().contiguous();
  if (name != "in_proj_qkv.weight" && name != "conv1d.weight") return with_value_heads(tensor, l, tiled);
  const int64_t keys = 2 * l.key_heads * l.key_dim;
  return at::cat({tensor.narrow(0, 0, keys), with_value_heads(tensor.narrow(0, keys, l.channels() - keys), l, tiled)});
}

}  // namespace tessera::lm
