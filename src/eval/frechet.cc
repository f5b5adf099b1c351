// Symmetric matrices only: both roots are taken of positive semidefinite ones, whose eigenvalues below 0 are rounding.
#include "eval/frechet.h"

#include <algorithm>
#include <limits>
#include <memory>

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>

#include "core/error.h"
#include "core/files.h"
#include "models/registry.h"

namespace tessera::eval {

Gaussian gaussian_of(const Tensor& features) {
  const int64_t count = features.size(0);
  if (count < 2) throw UserError("[eval] a distribution of {} pictures; want at least 2", count);
  if (!at::isfinite(features).all().item<bool>())
    throw UserError("[eval] the features hold numbers that are not finite");
  const Tensor rows = features.to(at::kCPU, at::kDouble);
  const Tensor mean = rows.mean(0);
  const Tensor centred = rows - mean;
  return {mean, centred.t().matmul(centred) / static_cast<double>(count - 1), count};
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  const auto [values, vectors] = at::linalg_eigh(a.covariance);
  const Tensor root = (vectors * values.clamp_min(0).sqrt()).matmul(vectors.t());  // C1^1/2
  const Tensor middle = root.matmul(b.covariance).matmul(root);
  const Tensor squares = at::linalg_eigvalsh((middle + middle.t()) / 2);
  // What rounding leaves of a variance of 0 is noise of 1e-16, but its root is 1e-8: values below the bound of that noise are 0.
  const double noise = static_cast<double>(squares.numel()) * std::numeric_limits<double>::epsilon() *
                       values.abs().max().item<double>() * b.covariance.norm().item<double>();
  const Tensor shared = squares.masked_fill(squares <= noise, 0).sqrt().sum();
  const Tensor distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * shared;
  return std::max(0.0, distance.item<double>());
}

Features model_features(const Path& directory, at::Device device) {
  const std::shared_ptr<const LoadedModel> model = load_model(directory, device, {.dtype = "fp32"});
  if (model->embeds() == nullptr)
    throw UserError(
        "[eval] {} holds a model of type '{}', which has no features of pictures; want one with a vision tower",
        directory.string(), model->model_type());
  return [model](const std::vector<Image>& pictures) { return model->embeds()->embed(pictures); };
}

Tensor features_of(int64_t count, const std::function<Image(int64_t)>& picture, const Features& features, int64_t batch,
                   const std::function<void(int64_t done)>& on_progress) {
  std::vector<Tensor> rows;
  for (int64_t first = 0; first < count; first += batch) {
    std::vector<Image> pictures;
    for (int64_t i = first; i < std::min(count, first + batch); ++i) pictures.push_back(picture(i));
    rows.push_back(features(pictures));
    if (on_progress) on_progress(std::min(count, first + batch));
  }
  if (rows.empty()) throw UserError("[eval] there are no pictures");
  return at::cat(rows);
}

std::vector<Path> pictures_in(const Path& folder) {
  const std::vector<Path> files = find_files(folder, picture_files, "eval");
  if (files.size() < 2) throw UserError("[eval] {} holds {} pictures, want at least 2", folder.string(), files.size());
  return files;
}

}  // namespace tessera::eval
