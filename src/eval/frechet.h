// The Fréchet distance between two sets of pictures (Heusel et al. 2017, arXiv 1706.08500), on the features of a
// model of ours instead of Inception's: numbers compare among themselves, not with published FIDs.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/files.h"
#include "media/image.h"
#include "tensor/tensor.h"

namespace tessera::eval {

/// Mean [D] and covariance [D, D] (unbiased), fp64.
struct Gaussian {
  Tensor mean, covariance;
  int64_t count = 0;
};
/// Of rows of features [N, D]; at least 2, finite. Throws UserError.
Gaussian gaussian_of(const Tensor& features);

/// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), roots by eigendecomposition in fp64. Never below 0.
double frechet_distance(const Gaussian& a, const Gaussian& b);

/// Features [N, D] fp32 of pictures.
using Features = std::function<Tensor(const std::vector<Image>&)>;
/// Those of the model in a directory, in fp32 (see Embeds). Throws UserError for a model that has none.
Features model_features(const Path& directory, at::Device device);

/// Features of many pictures, `batch` at a time; `picture(i)` gives the i-th.
Tensor features_of(int64_t count, const std::function<Image(int64_t)>& picture, const Features& features,
                   int64_t batch = 32, const std::function<void(int64_t done)>& on_progress = {});

/// Every picture of a folder, sorted by path. Throws UserError when there are fewer than 2.
std::vector<Path> pictures_in(const Path& folder);

}  // namespace tessera::eval
