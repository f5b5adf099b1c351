// Encoder and decoder: levels of residual blocks around a narrow middle, with attention where a shape asks for it.
#include "codec/autoencoder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/silu.h>

namespace tessera::codec {

namespace {
Middle make_middle(const AutoencoderShape& c, int64_t width) {
  Middle middle;
  for (int64_t i = 0; i < c.middle_blocks; ++i) middle.blocks.emplace_back(width, width, c.norm_groups);
  if (c.middle_attention) middle.attention.emplace(width, c.norm_groups);
  return middle;
}
bool attends(const AutoencoderShape& c, size_t level) { return level < c.attention.size() && c.attention[level]; }

/// The blocks of one level, each followed by its attention where there is any.
template <class Level> Tensor through(const Level& level, Tensor x) {
  for (size_t j = 0; j < level.block.size(); ++j) {
    x = level.block[j].forward(x);
    if (!level.attn.empty()) x = level.attn[j].forward(x);
  }
  return x;
}
}  // namespace

Tensor Middle::forward(Tensor x) const {
  for (size_t i = 0; i < blocks.size(); ++i) {
    x = blocks[i].forward(x);
    if (i == 0 && attention) x = attention->forward(x);
  }
  return x;
}

Encoder::Encoder(const AutoencoderShape& c)
    : patch(c.patch), upscale(c.upscale), conv_in(3 * c.patch * c.patch, c.channels, 3),
      mid(make_middle(c, c.encoder_widths().back())) {
  const std::vector<int64_t> widths = c.encoder_widths();
  int64_t width = c.channels;
  for (size_t i = 0; i < widths.size(); ++i) {
    DownLevel& level = down.emplace_back();
    for (int64_t j = 0; j < c.encoder_blocks; ++j) {
      level.block.emplace_back(width, widths[i], c.norm_groups);
      width = widths[i];
      if (attends(c, i)) level.attn.emplace_back(width, c.norm_groups);
    }
    if (i + 1 < widths.size()) level.downsample.emplace(Conv2d(width, width, 3, /*stride=*/2));
  }
  norm_out = GroupNorm(width, c.norm_groups);
  conv_out = Conv2d(width, c.latent, 3);
}

Tensor Encoder::forward(const Tensor& pictures) const {
  const Tensor seen = upscale == 1 ? pictures : at::avg_pool2d(pictures, upscale);
  Tensor x = conv_in.forward(patch == 1 ? seen : at::pixel_unshuffle(seen, patch));
  for (const auto& level : down) {
    x = through(level, x);
    if (level.downsample) x = level.downsample->forward(x);
  }
  return conv_out.forward(at::silu(norm_out.forward(mid.forward(x))));
}

Decoder::Decoder(const AutoencoderShape& c)
    : patch(c.patch * c.upscale), conv_in(c.latent, c.decoder_widths().back(), 3),
      mid(make_middle(c, c.decoder_widths().back())), up(c.multipliers.size()) {
  const std::vector<int64_t> widths = c.decoder_widths();
  int64_t width = widths.back();
  for (size_t i = widths.size(); i-- > 0;) {
    for (int64_t j = 0; j < c.decoder_blocks; ++j) {
      up[i].block.emplace_back(width, widths[i], c.norm_groups);
      width = widths[i];
      if (attends(c, i)) up[i].attn.emplace_back(width, c.norm_groups);
    }
    if (i > 0) up[i].upsample.emplace(Conv2d(width, width, 3));
  }
  norm_out = GroupNorm(width, c.norm_groups);
  conv_out = Conv2d(width, 3 * patch * patch, 3);
}

Tensor Decoder::forward(const Tensor& codes) const {
  if (present(conv_in.reduced) && codes.size(0) > 1 && at::get_num_threads() > 1) {
    // Where several threads share a batch, oneDNN's order of sums in bf16 depends on how many pictures there are.
    std::vector<Tensor> pictures;
    for (int64_t b = 0; b < codes.size(0); ++b) pictures.push_back(forward(codes.narrow(0, b, 1)));
    return at::cat(pictures);
  }
  Tensor x = mid.forward(conv_in.forward(codes));
  for (size_t i = up.size(); i-- > 0;) {
    x = through(up[i], x);
    if (up[i].upsample) x = up[i].upsample->forward(x);
  }
  x = conv_out.forward(at::silu(norm_out.forward(x)));
  return patch == 1 ? x : at::pixel_shuffle(x, patch);
}

namespace {
void reduce(Conv2d& conv) {
  conv.reduced = conv.weight.to(at::kBFloat16, /*non_blocking=*/false, /*copy=*/true, at::MemoryFormat::ChannelsLast);
}
void reduce(std::vector<ResidualBlock>& blocks) {
  for (ResidualBlock& block : blocks) {
    reduce(block.conv1);
    reduce(block.conv2);
    if (block.shortcut) reduce(*block.shortcut);
  }
}
}  // namespace

void multiply_in_bf16(Decoder& decoder) {
  reduce(decoder.conv_in);
  reduce(decoder.mid.blocks);
  for (UpLevel& level : decoder.up) {
    reduce(level.block);
    if (level.upsample) reduce(level.upsample->conv);
  }
}

}  // namespace tessera::codec
