// Initial weights of the transformer, by the published rule. Each tensor draws from a stream of its own name.
#include <cmath>

#include "models/infinity/module.h"
#include "tensor/build.h"

namespace tessera::infinity {

namespace {

bool contains(const std::string& name, std::string_view part) { return name.find(part) != std::string::npos; }

/// Scales the rows or slots [0, 2) of 6 (gates) apart from the other four (scales and shifts).
void shrink_modulation(Tensor sixfold, int64_t dim, const InitialScales& scales) {
  const int64_t slot = sixfold.size(dim) / 6;
  sixfold.slice(dim, 0, 2 * slot).mul_(scales.gate);
  sixfold.slice(dim, 2 * slot, 6 * slot).mul_(scales.adaptive);
}

}  // namespace

void initialise(Infinity& model, uint64_t seed, const InitialScales& scales) {
  const at::NoGradGuard no_grad;
  const Rng rng(seed);
  const double std = std::sqrt(1.0 / (3.0 * static_cast<double>(model.config.width)));
  const double into_residual = 1 / std::sqrt(2.0 * static_cast<double>(model.config.depth));
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    if (name.starts_with("text_encoder.") || t.dim() < 2 || name.ends_with("scale_mul_1H11"))
      return;  // biases, norms and scales are set
    fill_truncated_normal(t, std, rng.split(hash_text(name)));
    if (name == "cfg_uncond") t.mul_(1.2 / std / std::sqrt(static_cast<double>(t.size(1))));
    if (name.ends_with("ada_gss")) shrink_modulation(t.mul_(std::sqrt(3.0)), 2, scales);  // deviation sqrt(1 / C)
    if (name == "shared_ada_lin.1.weight") shrink_modulation(t, 0, scales);
    if (name == "head_nm.ada_lin.1.weight") t.mul_(scales.adaptive);
    if (name == "head.weight") t.mul_(scales.head);
    if (contains(name, "blocks.") && (contains(name, "proj.weight") || contains(name, "fc2.weight")))
      t.mul_(into_residual);
  });
  if (model.text_encoder) nn::initialise(*model.text_encoder, mix64(seed));
}

}  // namespace tessera::infinity
