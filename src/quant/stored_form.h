// How packed layers lie in files. Four bits: AutoAWQ's "gemm" layout, so that others load what is written here and
// released AWQ checkpoints load here. Eight bits: `X.weight` int8 [out, in] and `X.weight_scale` fp32 [out, 1].
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "nn/layers/linear.h"
#include "tensor/module.h"
#include "tensor/stored_tensors.h"

namespace tessera::quant {

/// What config.json's `quantization_config` says of the language model.
struct Int4Format {
  int64_t group = 128;
};
/// Absent when there is no `quantization_config`. Throws UserError for any but 4-bit AWQ with zero points in the gemm
/// layout, naming what it found. `source` names the file.
std::optional<Int4Format> read_int4_format(const Json& config, std::string_view source);
/// `quantization_config` as AutoAWQ and transformers write it. `unconverted`: names of layers that stay as they are.
Json int4_format_json(const Int4Format& format, const std::vector<std::string>& unconverted);

/// A layer X as AWQ's files hold it: qweight [in, out / 8] int32, qzeros [in / group, out / 8] int32, scales [in /
/// group, out] fp16. Eight outputs share a word: nibble i, from the low end, is output 8c + {0, 2, 4, 6, 1, 3, 5,
/// 7}[i] of word c.
struct AwqTensors {
  Tensor qweight, qzeros, scales;
};
/// `out` must be a multiple of 8.
AwqTensors to_awq(const nn::Int4Weight& weight);
/// Sizes must agree with each other and with the group.
nn::Int4Weight from_awq(const AwqTensors& stored, int64_t group);

using NamedLinears = std::vector<std::pair<std::string, nn::Linear*>>;
template <HasTensors M> NamedLinears named_linears(M& module, const std::string& prefix = "") {
  NamedLinears all;
  nn::for_each_linear(
      module, [&](const std::string& name, nn::Linear& layer) { all.emplace_back(name, &layer); }, prefix);
  return all;
}

/// The packed layers of a directory. Which layers are packed is what the files say: a layer X is when they hold
/// X.qweight (4 bits) or X.weight_scale (8 bits). A loader makes one of these, loads every other tensor of the
/// module, and calls load().
class PackedLinears {
 public:
  /// Takes `weight` away from each packed layer, so that a module's list of tensors no longer has it. Throws
  /// UserError when parts of a layer are missing, of another shape or type, cannot be packed so, or when 4-bit
  /// weights come without a `format`.
  PackedLinears(const NamedLinears& layers, const std::optional<Int4Format>& format,
                std::shared_ptr<const StoredTensors> stored, const Path& path);

  /// Whether load() reads this stored tensor.
  bool takes(std::string_view name) const { return taken_.contains(name); }
  bool empty() const { return packed_.empty(); }
  /// Gives each packed layer its weight, on `device`. Throws UserError for scales that are no finite numbers.
  void load(at::Device device = at::kCPU) const;

 private:
  NamedLinears packed_;
  std::optional<Int4Format> format_;
  std::shared_ptr<const StoredTensors> stored_;
  std::set<std::string, std::less<>> taken_;
};

/// The tensors of a module under the names and in the shapes of its files: as named_tensors() gives them, but for
/// packed layers.
std::vector<NamedTensor> saving_form(const std::vector<NamedTensor>& tensors, const NamedLinears& layers);
template <HasTensors M> std::vector<NamedTensor> saving_form(M& module, const std::string& prefix = "") {
  return saving_form(named_tensors(module, prefix), named_linears(module, prefix));
}

}  // namespace tessera::quant
