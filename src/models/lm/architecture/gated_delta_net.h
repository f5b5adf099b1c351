// A gated DeltaNet (Gated Delta Networks, arXiv 2412.06464) as Qwen3.5 has it: attention whose past is a state of fixed size.
// Tensor names are those of the Hugging Face checkpoints.
#pragma once

#include <string>

#include "models/lm/architecture/config.h"
#include "nn/attention/delta_rule.h"
#include "nn/attention/kv_cache.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::lm {

/// A convolution of each channel with itself over the last few positions.
struct ShortConvolution {
  Tensor weight;  // [channels, 1, kernel]
};
template <class V> void tensors(V& v, ShortConvolution& m) { v("weight", m.weight); }

struct GatedDeltaNet {
  nn::Linear in_proj_qkv, in_proj_z, in_proj_b, in_proj_a, out_proj;
  ShortConvolution conv1d;
  Tensor dt_bias, A_log;  // [H]
  nn::RmsNorm norm;       // of each head of values

  GatedDeltaNet() = default;
  explicit GatedDeltaNet(const LmConfig& config);
  /// x [B, L, C] -> [B, L, C]. `since` as in Positions. `layer` says which block this is, of the cache.
  Tensor forward(const LmConfig& config, const Tensor& x, const Tensor& since, size_t layer, nn::KvCache* cache) const;

 private:
  /// inputs [B, L, channels + 2 H] of the rule: q, k and v before the convolution, b and a before their gates. `window`
  /// [kernel - 1, channels]: what came before; absent: zeros.
  nn::DeltaRule rule(const LinearAttention& l, const Tensor& inputs, const Tensor& window, const Tensor& since) const;
  Tensor convolved(const LinearAttention& l, const Tensor& x, const Tensor& window, const Tensor& since) const;
  Tensor advance(const LinearAttention& l, const Tensor& inputs, nn::RecurrentState& state) const;
};
template <class V> void tensors(V& v, GatedDeltaNet& m) {
  v("in_proj_qkv", m.in_proj_qkv), v("in_proj_z", m.in_proj_z), v("in_proj_b", m.in_proj_b),
      v("in_proj_a", m.in_proj_a);
  v("conv1d", m.conv1d), v("dt_bias", m.dt_bias), v("A_log", m.A_log), v("norm", m.norm), v("out_proj", m.out_proj);
}

/// Rows [n, ...] that belong to value heads, n a multiple of their number, from one order of heads into the other: `tiled` as in
/// LinearAttention.
Tensor with_value_heads(const Tensor& rows, const LinearAttention& l, bool tiled);
/// The same for a tensor of a gated DeltaNet by its name ("conv1d.weight"), whose value heads may be some of its rows or columns.
Tensor with_value_heads(const std::string& name, const Tensor& tensor, const LinearAttention& l, bool tiled);

}  // namespace tessera::lm
