// Decoding large pictures in little memory: layer by layer, each layer in bands of rows. GroupNorm looks at a whole picture, so that a picture
// cannot be decoded tile by tile; here its sums are taken over whole activations first, and every pixel is that of Decoder::forward() but for
// rounding.
#pragma once

#include "codec/autoencoder.h"

namespace tessera::codec {

/// Numbers of a band, about: 64 MB of them.
inline constexpr int64_t usual_band = int64_t{1} << 24;

/// Summed codes [1, d, h, w] -> picture [1, 3, h*f, w*f], not yet clamped. No gradients. At its peak it holds one and a half times the largest
/// activation and a few bands.
Tensor decode_in_bands(const Decoder& decoder, Tensor codes, int64_t band = usual_band);

}  // namespace tessera::codec
