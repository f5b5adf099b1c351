// The convolutional parts of the autoencoder. Activations are [B, C, H, W].
#pragma once

#include <optional>

#include "core/rng.h"
#include "tensor/module.h"

namespace tessera::codec {

struct Conv2d {
  Tensor weight, bias;  // [out, in, k, k], [out]
  Tensor reduced;       // the weight in bf16, channels last, where products are to be in bf16; never stored
  int64_t stride = 1, padding = 0;

  Conv2d() = default;
  Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1);
  Tensor forward(const Tensor& x) const { return padded(x, {padding, padding}); }
  /// The same with so many rows and columns of zeros around x.
  Tensor padded(const Tensor& x, at::IntArrayRef zeros) const;
};
template <class V> void tensors(V& v, Conv2d& m) {
  v("weight", m.weight);
  v("bias", m.bias);
}

/// Fills `weight` [out, in, k, k] uniformly within 1/sqrt(fan_in), the usual Kaiming bound, by `rng`.
void initialise_convolution(Tensor& weight, Rng rng);

struct GroupNorm {
  Tensor weight, bias;  // [C]
  int64_t groups = 32;

  GroupNorm() = default;
  GroupNorm(int64_t channels, int64_t groups);
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, GroupNorm& m) {
  v("weight", m.weight);
  v("bias", m.bias);
}

/// x + conv(swish(norm(conv(swish(norm(x)))))), with a 1x1 convolution on the skip where the width changes.
struct ResidualBlock {
  GroupNorm norm1, norm2;
  Conv2d conv1, conv2;
  std::optional<Conv2d> shortcut;

  ResidualBlock() = default;
  ResidualBlock(int64_t in, int64_t out, int64_t groups);
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, ResidualBlock& m) {
  v("norm1", m.norm1);
  v("conv1", m.conv1);
  v("norm2", m.norm2);
  v("conv2", m.conv2);
  v("nin_shortcut", m.shortcut);
}

/// One head over all positions: x + proj(softmax(q k^T / sqrt(C)) v), with q, k, v of the normed x by 1x1 convolutions.
struct AttentionBlock {
  GroupNorm norm;
  Conv2d q, k, v, proj_out;

  AttentionBlock() = default;
  AttentionBlock(int64_t channels, int64_t groups);
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, AttentionBlock& m) {
  v("norm", m.norm);
  v("q", m.q);
  v("k", m.k);
  v("v", m.v);
  v("proj_out", m.proj_out);
}

/// Halves the edge: 3x3 convolution of stride 2 on a picture padded by one row and column at its end.
struct Downsample {
  Conv2d conv;
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, Downsample& m) { v("conv", m.conv); }

/// Doubles the edge: nearest neighbour, then a 3x3 convolution.
struct Upsample {
  Conv2d conv;
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, Upsample& m) { v("conv", m.conv); }

}  // namespace tessera::codec
