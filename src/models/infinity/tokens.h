// Between latent grids and token sequences. Tokens run row by row, scale after scale.
#pragma once

#include <vector>

#include "models/infinity/module.h"

namespace tessera::infinity {

/// A scale's grid [B, d, H, W] -> tokens [B, h * w, bits per token]; with patchify a token is a 2x2 patch (pixel-unshuffle).
Tensor to_tokens(const Tensor& grid, bool patchify);
/// The way back: tokens [B, h * w, bits per token] -> [B, d, H, W]. `scale` is the grid in tokens.
Tensor to_grid(const Tensor& tokens, ScaleShape scale, bool patchify);

/// The transformer's input made of `sum` [B, d, H, W], the codes up to and with the scale before `scale` (in tokens).
Tensor features_of(const Tensor& sum, ScaleShape scale, bool patchify);

/// Teacher forcing: from the sums after each scale, the features of all scales but the first, [B, L - 1, bits per token].
Tensor forced_features(const std::vector<Tensor>& sums, const Schedule& schedule, bool patchify);
/// The bits of all scales as tokens [B, L, bits per token].
Tensor all_tokens(const std::vector<Tensor>& bits, bool patchify);

/// Codeword numbers of bits [..., bits per token]: bit i counts 2^i. int64.
Tensor codewords(const Tensor& bits);

}  // namespace tessera::infinity
