// The two halves of a picture codec, whatever its quantiser. Their tensors carry the names of released VAEs and VQGANs.
#pragma once

#include <optional>
#include <vector>

#include "codec/config.h"
#include "codec/layers.h"

namespace tessera::codec {

/// Residual blocks at one resolution, then, except at the last one, a step to the next.
struct DownLevel {
  std::vector<ResidualBlock> block;
  std::vector<AttentionBlock> attn;  // none, or one after each block
  std::optional<Downsample> downsample;
};
template <class V> void tensors(V& v, DownLevel& m) {
  v("block", m.block);
  v("attn", m.attn);
  v("downsample", m.downsample);
}

struct UpLevel {
  std::vector<ResidualBlock> block;
  std::vector<AttentionBlock> attn;  // none, or one after each block
  std::optional<Upsample> upsample;
};
template <class V> void tensors(V& v, UpLevel& m) {
  v("block", m.block);
  v("attn", m.attn);
  v("upsample", m.upsample);
}

/// Blocks at the lowest resolution.
struct Middle {
  std::vector<ResidualBlock> blocks;
  std::optional<AttentionBlock> attention;  // after the first block
  Tensor forward(Tensor x) const;
};
template <class V> void tensors(V& v, Middle& m) {
  for (size_t i = 0; i < m.blocks.size(); ++i) v("block_" + std::to_string(i + 1), m.blocks[i]);
  v("attn_1", m.attention);
}

/// Pictures [B, 3, H, W] in [-1, 1] -> latents [B, d, H/f, W/f]. With `upscale` it first averages squares of so many pixels.
struct Encoder {
  int64_t patch = 1, upscale = 1;
  Conv2d conv_in;
  std::vector<DownLevel> down;
  Middle mid;
  GroupNorm norm_out;
  Conv2d conv_out;

  Encoder() = default;
  explicit Encoder(const AutoencoderShape& shape);
  Tensor forward(const Tensor& pictures) const;
};
template <class V> void tensors(V& v, Encoder& m) {
  v("conv_in", m.conv_in);
  v("down", m.down);
  v("mid", m.mid);
  v("norm_out", m.norm_out);
  v("conv_out", m.conv_out);
}

/// Sums of codes [B, d, h, w] -> pictures [B, 3, h*f, w*f], not yet clamped.
struct Decoder {
  int64_t patch = 1;  // that of the encoder, times upscale
  Conv2d conv_in;
  Middle mid;
  std::vector<UpLevel> up;  // up[0] is the finest, as in the released names
  GroupNorm norm_out;
  Conv2d conv_out;

  Decoder() = default;
  explicit Decoder(const AutoencoderShape& shape);
  Tensor forward(const Tensor& codes) const;
};
template <class V> void tensors(V& v, Decoder& m) {
  v("conv_in", m.conv_in);
  v("mid", m.mid);
  v("up", m.up);
  v("norm_out", m.norm_out);
  v("conv_out", m.conv_out);
}

/// The decoder's convolutions but the last and those of attention multiply in bf16 from now on; norms, what passes between layers and the
/// pixels stay fp32. On several threads pictures are then decoded one by one, so that each has the same bits alone and
/// among others.
/// The weights stay what they are, for saving. Worth it where the processor multiplies bf16 (tensor/device.h).
void multiply_in_bf16(Decoder& decoder);

}  // namespace tessera::codec
