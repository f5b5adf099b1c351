// The list of formats and the checks that they share.
#include "nn/packed/packed_format.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/error.h"
#include "tensor/weights.h"

namespace tessera::nn {

std::vector<const PackedFormat*>& packed_formats() {
  static std::vector<const PackedFormat*> all = {&awq_format(), &int8_format(), &block_format()};
  return all;
}

const PackedFormat* packed_format_of(const StoredLayer& layer) {
  const auto& all = packed_formats();
  const auto found = std::find_if(all.begin(), all.end(), [&](const PackedFormat* f) { return f->holds(layer); });
  return found == all.end() ? nullptr : *found;
}

void require_parts(const StoredLayer& layer, const std::vector<StoredPart>& parts) {
  for (const StoredPart& part : parts) {
    const StoredTensor* stored = layer.find(part.suffix);
    if (stored == nullptr) throw UserError("[quant] {}: {}{} is missing", layer.where(), layer.name, part.suffix);
    const bool known = std::find(part.types.begin(), part.types.end(), stored->dtype) != part.types.end();
    if (stored->shape == part.shape && known) continue;
    throw UserError("[quant] {}: {}{} is {} {}, want {} {}", layer.where(), layer.name, part.suffix,
                    dtype_name(stored->dtype), shape_text(stored->shape), dtype_name(part.types.front()),
                    shape_text(part.shape));
  }
}

void require_finite(const StoredLayer& layer, const std::string& suffix) {
  if (count_non_finite(*layer.find(suffix)) > 0)
    throw UserError("[quant] {}: {}{} holds NaN or infinite numbers", layer.where(), layer.name, suffix);
}

Tensor stored_tensor(const StoredLayer& layer, const std::string& suffix) { return mapped_tensor(*layer.find(suffix)); }

Json packing_settings(const Json& config, std::string_view source) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return {};
  if (!found->is_object())
    throw UserError("[quant] {}: quantization_config is {}, want an object", source, found->dump());
  const auto method = found->find("quant_method");
  std::vector<std::string_view> known;
  for (const PackedFormat* format : packed_formats()) {
    if (format->method().empty()) continue;
    known.push_back(format->method());
    if (method == found->end() || *method != Json(format->method())) continue;
    format->check(*found, source);
    return *found;
  }
  const std::string name_of_method = method == found->end() ? "(no quant_method)"
                                     : method->is_string()  ? method->get<std::string>()
                                                            : method->dump();
  throw UserError("[quant] {}: weights are packed as {}; want quant_method {}", source, name_of_method,
                  fmt::join(known, " or "));
}

}  // namespace tessera::nn
