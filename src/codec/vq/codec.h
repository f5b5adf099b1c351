// A picture codec with one code per position: 8-bit pictures <-> codes in rows. A codec directory holds config.json and model.safetensors;
// Chameleon's vqgan.ckpt and vqgan.yaml load as they are. What must stay true: codes are those of the published program, to the last tie.
#pragma once

#include <vector>

#include "codec/autoencoder.h"
#include "codec/vq/config.h"
#include "core/files.h"
#include "media/image.h"
#include "tensor/weights.h"

namespace tessera::vq {

struct VqCodec {
  VqConfig config;
  codec::Encoder encoder;
  codec::Decoder decoder;
  Tensor codebook;  // [codes, code_width]
  codec::Conv2d quant_conv, post_quant_conv;

  VqCodec() = default;
  /// Checks `config` and builds the layers with undefined weights. Throws UserError.
  explicit VqCodec(const VqConfig& config);

  /// Pictures [B, 3, H, W] in [-1, 1] -> what is rounded to codes [B, code_width, h, w], in fp32.
  Tensor features(const Tensor& pictures) const { return quant_conv.forward(encoder.forward(pictures)); }
  /// Pictures [B, 3, H, W] in [-1, 1] -> codes [B, h, w] int64.
  Tensor encode(const Tensor& pictures) const;
  /// Rows of the codebook [B, code_width, h, w] -> pictures [B, 3, H, W], not yet clamped.
  Tensor decode_features(const Tensor& rows) const { return decoder.forward(post_quant_conv.forward(rows)); }
  /// Codes [B, h, w] int64, any h and w -> pictures [B, 3, H, W] in [-1, 1]. Throws UserError for a code outside the codebook.
  Tensor decode(const Tensor& codes) const;
  /// Rows of the codebook for codes [B, h, w]: [B, code_width, h, w].
  Tensor rows_of(const Tensor& codes) const;
};
template <class V> void tensors(V& v, VqCodec& m) {
  v("encoder", m.encoder);
  v("decoder", m.decoder);
  v("quantize.embedding.weight", m.codebook);
  v("quant_conv", m.quant_conv);
  v("post_quant_conv", m.post_quant_conv);
}

/// The nearest code of each row [N, code_width] in fp32, as taming-transformers computes it: the smallest |z|^2 + |e|^2 - 2 z e, the
/// first of equals. Another form of the same distance chooses otherwise where two are nearly equal. [N] int64.
Tensor nearest_codes(const Tensor& rows, const Tensor& codebook);

/// Kaiming-uniform convolutions, zero biases, codes uniform in +-1/codes; a pure function of the seed.
void initialise(VqCodec& codec, uint64_t seed);

/// Reads a codec directory of ours, or one with vqgan.ckpt and vqgan.yaml (also a .ckpt file by itself, with the .yaml of its name
/// beside it). Throws UserError when it is neither or its tensors do not fit its sizes.
VqCodec load_vq(const Path& path, at::Device device);
/// Whether a directory holds a codec that load_vq() reads, by the names and the config.json in it.
bool holds_vq(const Path& directory);
void save_vq(const VqCodec& codec, const Path& directory, StoredAs stored, FileSystem& files = disk());

/// The smallest format that holds the codec's numbers as they are: f16, or f32.
StoredAs exact_format(const VqCodec& codec);

/// "NAME/n1024/f8/8x8#d41d8cd9": the sizes and a digest of the codebook, which is what codes mean. A decoder of another size changes nothing.
std::string fingerprint(const VqCodec& codec);

/// 8-bit pictures of one size -> [B, 3, H, W] fp32: v / 255 * 2 - 1 in fp64, then rounded, as the published program does; alpha is laid on
/// white.
Tensor pictures_to_tensor(const std::vector<Image>& pictures, at::Device device);
/// [B, 3, H, W] in [-1, 1] -> 8-bit pictures: (x + 1) / 2 * 255, cut off, not rounded, as the published program does.
std::vector<Image> tensor_to_pictures(const Tensor& pictures);

}  // namespace tessera::vq
