// Initial weights. Each tensor draws from a stream of its own name.
#include <cmath>

#include "models/lm/architecture/module.h"
#include "tensor/build.h"

namespace tessera::lm {

void initialise(DecoderLm& model, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const Rng rng(seed);
  const double into_residual = 1 / std::sqrt(2.0 * static_cast<double>(model.config.depth));
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    if (name.ends_with(".A_log")) {  // decays as in the paper's code: of A between nearly 0 and 16
      fill_uniform(t, 1, rng.split(hash_text(name)));
      t.add_(1).mul_(8).clamp_min_(0.01).log_();
      return;
    }
    if (t.dim() < 2) return;  // biases and norms are set
    const bool last =
        name.ends_with("o_proj.weight") || name.ends_with("out_proj.weight") || name.ends_with("down_proj.weight");
    fill_truncated_normal(t, last ? 0.02 * into_residual : 0.02, rng.split(hash_text(name)));
  });
}

}  // namespace tessera::lm
