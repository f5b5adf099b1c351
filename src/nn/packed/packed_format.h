// How files hold packed weights, one PackedFormat for each way; packed_formats() is the list of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "nn/packed/packed_weight.h"
#include "tensor/weight_source.h"

namespace tessera::nn {

/// A linear layer as a loader meets it.
struct StoredLayer {
  std::string name;  // of the layer in `source`
  int64_t out = 0, in = 0;
  std::shared_ptr<const WeightSource> source;
  Json settings;  // config.json's `quantization_config`; null when it has none
  bool exact =
      true;  // activations are rounded as finely as there are kernels for; false: where that costs speed, to 8 bits

  const StoredTensor* find(const std::string& suffix) const { return source->find(name + suffix); }
  /// The file or directory, for messages.
  std::string where() const { return source->path().string(); }
};

/// One tensor of a stored layer: name, shape, and the types that it may have.
struct StoredPart {
  std::string suffix;  // ".qweight"
  std::vector<int64_t> shape;
  std::vector<Dtype> types;
};
/// Throws UserError that names the file and the tensor when one is missing, of another shape or of another type.
void require_parts(const StoredLayer& layer, const std::vector<StoredPart>& parts);
/// Throws UserError for scales that are NaN or infinite.
void require_finite(const StoredLayer& layer, const std::string& suffix);
/// A stored tensor of a layer: a view of the file, which stays mapped as long as the view lives.
Tensor stored_tensor(const StoredLayer& layer, const std::string& suffix);

class PackedFormat {
 public:
  virtual ~PackedFormat() = default;
  /// `quant_method` in config.json; "" where files alone say that weights are packed so.
  virtual std::string_view method() const { return ""; }
  /// Throws UserError for a `quantization_config` of this method that asks for what is not supported. `source` names the file.
  virtual void check(const Json& /*settings*/, std::string_view /*source*/) const {}
  /// Whether the files hold the layer's weight in this format.
  virtual bool holds(const StoredLayer& layer) const = 0;
  /// The tensors that load() reads. Throws UserError when the layer cannot be packed so.
  virtual std::vector<StoredPart> parts(const StoredLayer& layer) const = 0;
  /// Called after parts() were required. Throws UserError for scales that are no finite numbers.
  virtual std::shared_ptr<const PackedWeight> load(const StoredLayer& layer) const = 0;
};

/// Every format that is read; a further one is added to the list in packed_format.cc.
std::vector<const PackedFormat*>& packed_formats();
/// The format that a layer is stored in; null when its weight is plain.
const PackedFormat* packed_format_of(const StoredLayer& layer);

/// config.json's `quantization_config`, checked by the format that it names; null when there is none. `source` names the file.
/// Throws UserError for a method that no format has.
Json packing_settings(const Json& config, std::string_view source);

/// AutoAWQ's gemm layout: awq_layout.cc.
const PackedFormat& awq_format();
/// Int8Weight as it is: int8_weight.cc.
const PackedFormat& int8_format();
/// Blocks of a GGUF file: block_weight.cc.
const PackedFormat& block_format();

}  // namespace tessera::nn
