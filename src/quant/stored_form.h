// Model directories with packed layers: loading and saving them, in whatever format (nn/packed/packed_format.h) a layer has.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "nn/layers/adapters.h"
#include "nn/packed/packed_format.h"
#include "tensor/module.h"
#include "tensor/weight_source.h"

namespace tessera::quant {

/// What 4-bit layers have in common.
struct Int4Format {
  int64_t group = 128;
};
/// `quantization_config` as AutoAWQ and transformers write it. `unconverted`: names of layers that stay as they are.
Json int4_format_json(const Int4Format& format, const std::vector<std::string>& unconverted);

/// The packed layers of a directory. Which layers are packed, and how, is what the files say. A loader makes one of these,
/// loads every other tensor of the module, and calls load().
class PackedLinears {
 public:
  /// Takes `weight` away from each packed layer, so that a module's list of tensors no longer has it. `settings` as from
  /// nn::packing_settings(). Throws UserError when parts of a layer are missing, of another shape or type, or cannot be packed so.
  PackedLinears(const std::vector<nn::NamedLinear>& layers, const Json& settings, const WeightSource& source);

  /// The source without the tensors that load() reads.
  WeightSource rest() const;
  bool empty() const { return packed_.empty(); }
  /// Gives each packed layer its weight, on `device`: a view of the file where that is how it multiplies. Throws UserError for
  /// scales that are no finite numbers. `exact`: see nn::StoredLayer.
  void load(at::Device device = at::kCPU, bool exact = true) const;

 private:
  struct Packed {
    nn::Linear* linear;
    nn::StoredLayer stored;
    const nn::PackedFormat* format;
  };
  std::shared_ptr<const WeightSource> source_;
  std::vector<Packed> packed_;
  std::set<std::string, std::less<>> taken_;
};

/// The tensors of a module under the names and in the shapes of its files.
struct SavingForm {
  std::vector<NamedTensor> plain;   // as named_tensors() gives them
  std::vector<NamedTensor> packed;  // of packed layers, as their formats store them
};
SavingForm saving_form(const std::vector<NamedTensor>& tensors, const std::vector<nn::NamedLinear>& layers);
template <HasTensors M> SavingForm saving_form(M& module, const std::string& prefix = "") {
  return saving_form(named_tensors(module, prefix), nn::named_linears(module, prefix));
}

/// Writes `out`: tokenizer, cards and other small files of `source` as they are, `form` as model.safetensors, and `config` as
/// config.json, last, so that a directory that is whole has it. Plain floating-point tensors become fp16, but bf16 where a number
/// would not fit; packed ones stay as they are. Throws FaultError when the disk fails.
void write_packed_directory(const Path& source, const Path& out, const SavingForm& form, const Json& config,
                            FileSystem& files = disk());

}  // namespace tessera::quant
