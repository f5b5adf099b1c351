// Adapters on the linear layers of any module: which layers get one, how it starts, and how it becomes part of the weight again.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::nn {

/// A linear layer of a module with its dotted name; writing through the pointer writes into the module.
struct NamedLinear {
  std::string name;
  Linear* linear;
};

/// The linear layers that have a weight, plain or packed, in listed order. A tied head has none and is left out.
template <HasTensors M> std::vector<NamedLinear> named_linears(M& module, const std::string& prefix = "") {
  std::vector<NamedLinear> all;
  for_each_linear(
      module,
      [&](const std::string& name, Linear& linear) {
        if (linear.has_weight()) all.push_back({name, &linear});
      },
      prefix);
  return all;
}

namespace detail {
struct NormWalker {
  std::vector<std::string>& names;
  std::string prefix;

  template <class T> void operator()(std::string_view name, T& item) {
    walk(prefix.empty() ? std::string(name) : prefix + "." + std::string(name), item);
  }
  template <class T> void walk(const std::string& full, T& item) {
    if constexpr (std::is_same_v<T, Tensor>) {
    } else if constexpr (std::is_same_v<T, LayerNorm> || std::is_same_v<T, RmsNorm>) {
      for_each_tensor(item, [&](const std::string& name, Tensor&) { names.push_back(full + "." + name); });
    } else if constexpr (tessera::detail::IsVector<T>::value) {
      for (size_t i = 0; i < item.size(); ++i) walk(full + "." + std::to_string(i), item[i]);
    } else if constexpr (tessera::detail::IsOptional<T>::value) {
      if (item) walk(full, *item);
    } else {
      NormWalker inner{names, full};
      tensors(inner, item);
    }
  }
};
}  // namespace detail

/// Names of the tensors that belong to a LayerNorm or RmsNorm, wherever they stand in the module.
template <HasTensors M> std::vector<std::string> norm_tensor_names(M& module, const std::string& prefix = "") {
  std::vector<std::string> names;
  detail::NormWalker walker{names, prefix};
  tensors(walker, module);
  return names;
}

/// True when `part` stands in a dotted name as whole words: "mlp.up_proj" in "layers.3.mlp.up_proj.weight".
bool name_has(const std::string& name, const std::string& part);
/// True for a name that is `suffix` or ends with "." + suffix.
bool name_ends(const std::string& name, const std::string& suffix);

/// The layers that `targets` names by the ends of their names ("q_proj", "mlp.up_proj"); "all" names every one. Heads ("lm_head")
/// never get an adapter. `last_layers` > 0 keeps the layers whose block number, the first number in the name, is among the last
/// so many. Throws UserError for a target that names none.
std::vector<NamedLinear> chosen_linears(const std::vector<NamedLinear>& all, const std::vector<std::string>& targets,
                                        int64_t last_layers = 0);

struct AdapterOptions {
  int64_t rank = 16;
  double alpha = 32;  // the adapter's product is multiplied by alpha / rank
  std::string start =
      "kaiming";  // of A: kaiming (uniform within 1 / sqrt(in)) or normal (deviation 1 / rank); B starts at zero
  uint64_t seed = 1;
};

/// Gives each layer a new adapter that changes nothing yet. A layer's numbers depend on the seed and its name alone.
/// Throws UserError for a rank below 1, an unknown start, or a layer that has an adapter already.
void attach_adapters(const std::vector<NamedLinear>& linears, const AdapterOptions& options);

/// Packs plain weights in 4 bits (nearest rounding, groups of `group` inputs); packed ones stay. Layers whose input is no
/// multiple of `group` keep their weight; returns how many did.
int64_t pack_weights(const std::vector<NamedLinear>& linears, int64_t group);

/// weight += scale B A; the adapters are gone afterwards. A packed weight is unpacked for good: it could not hold the sum.
void merge_adapters(const std::vector<NamedLinear>& linears);

/// From now on the plain weights whose smaller side is at least `smallest_side` multiply in 8-bit floating point (nn/layers/fp8.h), heads
/// apart; returns how many layers do.
int64_t use_fp8(const std::vector<NamedLinear>& linears, int64_t smallest_side);

}  // namespace tessera::nn
