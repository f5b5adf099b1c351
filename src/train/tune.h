// What of a model is trained: all of it, adapters beside a frozen base (plain or in 4 bits), or its norms alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/fields.h"
#include "nn/layers/adapters.h"
#include "train/objective.h"

namespace tessera::train {

/// Of one module; a model of several (tower, projector, language model) has one for each.
struct TuneConfig {
  std::string what = "full";  // full, lora, qlora (lora on a base in 4 bits), norms, or nothing
  int64_t rank = 16;
  double alpha = 32;
  std::vector<std::string> targets = {"all"};
  int64_t last_layers = 0;
  std::string start = "kaiming";
  int64_t group = 64;
  std::vector<std::string> also;
  int64_t fp8 = 0;

  bool operator==(const TuneConfig&) const = default;
};
template <class V> void fields(V& v, TuneConfig& c) {
  v("what", c.what, "full, lora, qlora (lora on a base in 4 bits), norms, or nothing");
  v("rank", c.rank, "rank of the adapters");
  v("alpha", c.alpha, "adapters count alpha / rank");
  v("targets", c.targets, "linear layers with an adapter, by the ends of their names; all: every one but the head");
  v("last_layers", c.last_layers, "number of last blocks with adapters (0: all)");
  v("start", c.start, "how A starts: kaiming or normal");
  v("group", c.group, "qlora: inputs that share a scale");
  v("also", c.also, "parts of names whose tensors are trained in full beside the rest");
  v("fp8", c.fp8,
    "linear layers whose smaller side is at least this multiply in 8-bit floating point (0: none; NVILA: 3584)");
}
/// Throws UserError for an unknown kind or numbers out of range.
void validate(const TuneConfig& config);

/// Attaches adapters to the chosen layers and packs their base, as in `config`; layers that have an adapter keep it.
void prepare_layers(const std::vector<nn::NamedLinear>& linears, const TuneConfig& config, uint64_t seed);
/// The tensors that `config` trains, which now require gradients; all others no longer do. `norms` names the tensors of norms.
/// Matrices take weight decay, vectors do not. Throws UserError when nothing is left to train by mistake ("also" that names nothing).
std::vector<Parameter> chosen_parameters(const std::vector<NamedTensor>& tensors, const std::vector<std::string>& norms,
                                         const TuneConfig& config);

/// The one call that objectives need: makes `module` ready and gives what is trained. `seed` starts the adapters. Empty for "nothing".
template <HasTensors M>
std::vector<Parameter> tuned_parameters(M& module, const TuneConfig& config, uint64_t seed = 1,
                                        const std::string& prefix = "") {
  prepare_layers(nn::named_linears(module, prefix), config, seed);
  return chosen_parameters(named_tensors(module, prefix), nn::norm_tensor_names(module, prefix), config);
}

}  // namespace tessera::train
