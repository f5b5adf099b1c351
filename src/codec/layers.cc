// Convolutional parts; shapes are checked where a codec is built, not here.
#include "codec/layers.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/pad.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <cmath>

#include "tensor/build.h"

namespace tessera::codec {

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, int64_t stride)
    : weight(empty_weight({out, in, kernel, kernel})), bias(constant_weight({out}, 0)), stride(stride),
      padding(stride == 1 ? kernel / 2 : 0) {}

Tensor Conv2d::padded(const Tensor& x, at::IntArrayRef zeros) const {
  if (!present(reduced)) return at::conv2d(x, weight, bias, stride, zeros);
  const Tensor rounded = x.to(at::kBFloat16, /*non_blocking=*/false, /*copy=*/false, at::MemoryFormat::ChannelsLast);
  return at::conv2d(rounded, reduced, bias.to(at::kBFloat16), stride, zeros).to(x.scalar_type());
}

void initialise_convolution(Tensor& weight, Rng rng) {
  const double fan_in = static_cast<double>(weight.numel() / weight.size(0));
  fill_uniform(weight, 1 / std::sqrt(fan_in), rng);
}

GroupNorm::GroupNorm(int64_t channels, int64_t wanted)
    : weight(constant_weight({channels}, 1)), bias(constant_weight({channels}, 0)),
      groups(channels % wanted == 0 ? wanted : 24) {}

Tensor GroupNorm::forward(const Tensor& x) const { return at::group_norm(x, groups, weight, bias, 1e-6); }

ResidualBlock::ResidualBlock(int64_t in, int64_t out, int64_t groups)
    : norm1(in, groups), norm2(out, groups), conv1(in, out, 3), conv2(out, out, 3) {
  if (in != out) shortcut.emplace(in, out, 1);
}

Tensor ResidualBlock::forward(const Tensor& x) const {
  const Tensor h = conv1.forward(at::silu(norm1.forward(x)));
  return (shortcut ? shortcut->forward(x) : x) + conv2.forward(at::silu(norm2.forward(h)));
}

AttentionBlock::AttentionBlock(int64_t channels, int64_t groups)
    : norm(channels, groups), q(channels, channels, 1), k(channels, channels, 1), v(channels, channels, 1),
      proj_out(channels, channels, 1) {}

Tensor AttentionBlock::forward(const Tensor& x) const {
  const Tensor h = norm.forward(x);
  const auto rows = [](const Tensor& t) { return t.flatten(2).transpose(1, 2).unsqueeze(1); };  // [B, 1, HW, C]
  const Tensor seen = at::scaled_dot_product_attention(rows(q.forward(h)), rows(k.forward(h)), rows(v.forward(h)));
  return x + proj_out.forward(seen.squeeze(1).transpose(1, 2).reshape(x.sizes()));
}

Tensor Downsample::forward(const Tensor& x) const { return conv.forward(at::pad(x, {0, 1, 0, 1})); }

Tensor Upsample::forward(const Tensor& x) const {
  return conv.forward(at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2}));
}

}  // namespace tessera::codec
