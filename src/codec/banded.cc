// A convolution of 3 x 3 reads one row above and one below a band; outside the picture they are zeros.
#include "codec/banded.h"

#include <functional>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <ATen/ops/var_mean.h>

namespace tessera::codec {

namespace {

/// Rows [begin, end) of a layer's input [1, C, end - begin, W].
using Rows = std::function<Tensor(int64_t begin, int64_t end)>;

/// GroupNorm over a whole activation as a factor and a summand for each channel, [1, C, 1, 1].
struct FoldedNorm {
  Tensor factor, summand;

  FoldedNorm(const GroupNorm& norm, const Tensor& x) {
    constexpr double epsilon = 1e-6;
    const int64_t channels = x.size(1), each = channels / norm.groups;
    std::vector<Tensor> factors, summands;
    for (int64_t g = 0; g < norm.groups; ++g) {
      const auto [variance, mean] = at::var_mean(x.narrow(1, g * each, each), /*unbiased=*/false);
      const Tensor weight = norm.weight.narrow(0, g * each, each) * at::rsqrt(variance + epsilon);
      factors.push_back(weight);
      summands.push_back(norm.bias.narrow(0, g * each, each) - mean * weight);
    }
    factor = at::cat(factors).view({1, channels, 1, 1});
    summand = at::cat(summands).view({1, channels, 1, 1});
  }
  /// Normalised and through the swish.
  Rows of(const Tensor& x) const {
    return [this, x](int64_t begin, int64_t end) { return at::silu(x.slice(2, begin, end) * factor + summand); };
  }
};

/// Calls `each(begin, end)` for bands of rows of an activation of `height` rows that have `row` numbers.
void for_bands(int64_t height, int64_t row, int64_t band, const std::function<void(int64_t, int64_t)>& each) {
  const int64_t rows = std::max<int64_t>(1, band / row);
  for (int64_t begin = 0; begin < height; begin += rows) each(begin, std::min(height, begin + rows));
}

/// Rows [begin, end) of a convolution of 3 x 3 over an input of `height` rows.
Tensor convolved(const Conv2d& conv, const Rows& input, int64_t height, int64_t begin, int64_t end) {
  const int64_t first = std::max<int64_t>(0, begin - 1), last = std::min(height, end + 1);
  const Tensor x = at::constant_pad_nd(input(first, last), {0, 0, first - (begin - 1), (end + 1) - last});
  return conv.padded(x, {0, 1});
}

Tensor whole(const Conv2d& conv, const Rows& input, int64_t height, int64_t width, int64_t band) {
  const int64_t channels = conv.weight.size(0), wider = std::max(channels, conv.weight.size(1));
  const Tensor y = at::empty({1, channels, height, width}, conv.weight.options());
  for_bands(height, wider * width, band, [&](int64_t begin, int64_t end) {
    y.slice(2, begin, end).copy_(convolved(conv, input, height, begin, end));
  });
  return y;
}

/// Writes its result over `x`, into the first channels where they become fewer.
Tensor through(const ResidualBlock& block, Tensor x, int64_t band) {
  const int64_t height = x.size(2), width = x.size(3);
  const Tensor h = [&] {
    const FoldedNorm norm(block.norm1, x);
    return whole(block.conv1, norm.of(x), height, width, band);
  }();
  const FoldedNorm norm(block.norm2, h);
  const int64_t out = block.conv2.weight.size(0);
  const bool fits = out <= x.size(1);
  const Tensor y = fits ? x.slice(1, 0, out) : at::empty({1, out, height, width}, x.options());
  for_bands(height, std::max(out, x.size(1)) * width, band, [&](int64_t begin, int64_t end) {
    const Tensor skipped = x.slice(2, begin, end);
    const Tensor sum = convolved(block.conv2, norm.of(h), height, begin, end);
    sum.add_(block.shortcut ? block.shortcut->forward(skipped) : skipped);
    y.slice(2, begin, end).copy_(sum);
  });
  return y;
}

Tensor through(const Upsample& up, const Tensor& x, int64_t band) {
  const Rows grown = [&](int64_t begin, int64_t end) {
    const int64_t first = begin / 2, last = (end + 1) / 2;
    const Tensor part = at::upsample_nearest2d(x.slice(2, first, last), {2 * (last - first), 2 * x.size(3)});
    return part.slice(2, begin - 2 * first, end - 2 * first);
  };
  return whole(up.conv, grown, 2 * x.size(2), 2 * x.size(3), band);
}

}  // namespace

Tensor decode_in_bands(const Decoder& decoder, Tensor codes, int64_t band) {
  const at::NoGradGuard no_grad;
  Tensor x = decoder.conv_in.forward(codes);
  for (const ResidualBlock& block : decoder.mid.blocks) x = through(block, x, band);
  for (size_t i = decoder.up.size(); i-- > 0;) {
    for (const ResidualBlock& block : decoder.up[i].block) x = through(block, x, band);
    if (decoder.up[i].upsample) x = through(*decoder.up[i].upsample, x, band);
  }
  const FoldedNorm norm(decoder.norm_out, x);
  x = whole(decoder.conv_out, norm.of(x), x.size(2), x.size(3), band);
  return decoder.patch == 1 ? x : at::pixel_shuffle(x, decoder.patch);
}

}  // namespace tessera::codec
