// A picture codec: 8-bit pictures <-> bits on a pyramid of scales. A codec directory holds config.json and model.safetensors.
#pragma once

#include <vector>

#include "codec/autoencoder.h"
#include "codec/bsq.h"
#include "codec/config.h"
#include "core/files.h"
#include "media/image.h"
#include "tensor/weights.h"

namespace tessera::codec {

struct Codec {
  CodecConfig config;
  Encoder encoder;
  Decoder decoder;

  Codec() = default;
  /// Checks `config` and builds the layers with undefined weights. Throws UserError.
  explicit Codec(const CodecConfig& config);

  /// Pictures [B, 3, H, W] in [-1, 1] -> latents [B, d, H/f, W/f]; the encoder runs in fp32.
  Tensor encode(const Tensor& pictures) const { return encoder.forward(pictures); }
  /// Summed codes [B, d, h, w] -> pictures [B, 3, h*f, w*f] in [-1, 1]. Large ones one by one in bands of rows (codec/banded.h), unless they
  /// are to have gradients.
  Tensor decode(const Tensor& codes) const;
  /// The square schedule of the config.
  std::vector<ScaleShape> scales() const { return square_scales(config.scales); }
};
template <class V> void tensors(V& v, Codec& m) {
  v("encoder", m.encoder);
  v("decoder", m.decoder);
}

/// Kaiming-uniform convolutions (the usual 1/sqrt(fan_in) bound), zero biases; a pure function of the seed.
void initialise(Codec& codec, uint64_t seed);

/// Reads a codec directory. Throws UserError when it is not one or its tensors do not fit its config.
Codec load_codec(const Path& directory, at::Device device);
void save_codec(const Codec& codec, const Path& directory, StoredAs stored, FileSystem& files);

/// 8-bit pictures of one size -> [B, 3, H, W] in [-1, 1]; pictures with alpha are laid on white.
Tensor pictures_to_tensor(const std::vector<Image>& pictures, at::Device device);
/// [B, 3, H, W] in [-1, 1] -> 8-bit pictures, rounded to nearest.
std::vector<Image> tensor_to_pictures(const Tensor& pictures);

/// Peak signal-to-noise ratio of each picture pair, in dB of the 8-bit range: [B].
Tensor psnr(const Tensor& a, const Tensor& b);

}  // namespace tessera::codec
