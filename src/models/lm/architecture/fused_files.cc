// Rows of a tensor lie one after the other in every format, so a part is a view.
#include "models/lm/architecture/fused_files.h"

#include <algorithm>

#include <ATen/ops/cat.h>

#include "core/error.h"

namespace tessera::lm {

namespace {

std::string with_ending(std::string_view name, std::string_view ending, std::string_view other) {
  return std::string(name.substr(0, name.size() - ending.size())) + std::string(other);
}

std::string weight_of(const char* layer) { return "." + std::string(layer) + ".weight"; }

StoredTensor rows_of(const StoredTensor& whole, const FusedPart& part, int64_t rows, const Path& source) {
  if (whole.shape.size() != 2 || whole.shape[0] != rows)
    throw UserError("[lm] {}: {} has {} rows, want {}", source.string(), whole.name,
                    whole.shape.empty() ? 0 : whole.shape[0], rows);
  const size_t row_bytes = whole.bytes.size() / static_cast<size_t>(rows);
  StoredTensor view = whole;
  view.shape[0] = part.end - part.begin;
  view.bytes = whole.bytes.substr(static_cast<size_t>(part.begin) * row_bytes,
                                  static_cast<size_t>(part.end - part.begin) * row_bytes);
  return view;
}

}  // namespace

std::vector<FusedPart> fused_parts(const LmConfig& c) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  return {{"self_attn.q_proj", "self_attn.qkv_proj", 0, q},
          {"self_attn.k_proj", "self_attn.qkv_proj", q, q + kv},
          {"self_attn.v_proj", "self_attn.qkv_proj", q + kv, q + 2 * kv},
          {"mlp.gate_proj", "mlp.gate_up_proj", 0, c.hidden},
          {"mlp.up_proj", "mlp.gate_up_proj", c.hidden, 2 * c.hidden}};
}

WeightSource parted(const WeightSource& source, const LmConfig& config) {
  const std::vector<FusedPart> parts = fused_parts(config);
  const auto is_whole = [&](std::string_view name) {
    return std::ranges::any_of(parts, [&](const FusedPart& part) { return name.ends_with(weight_of(part.whole)); });
  };
  std::vector<WeightSource> all = {
      source.renamed([&](std::string_view name) { return is_whole(name) ? std::string() : std::string(name); })};
  for (const FusedPart& part : parts) {
    int64_t rows = 0;
    for (const FusedPart& other : parts) {
      if (std::string_view(other.whole) == part.whole) rows = std::max(rows, other.end);
    }
    const std::string ending = weight_of(part.whole);
    all.push_back(source
                      .renamed([&](std::string_view name) {
                        return name.ends_with(ending) ? with_ending(name, ending, weight_of(part.name)) : std::string();
                      })
                      .changed([&](const StoredTensor& whole) { return rows_of(whole, part, rows, source.path()); }));
  }
  return WeightSource::joined(source.path(), all);
}

std::vector<NamedTensor> joined_parts(const std::vector<NamedTensor>& tensors, const LmConfig& config) {
  std::vector<NamedTensor> all;
  for (const NamedTensor& tensor : tensors) {
    std::string name = tensor.name;
    bool first = true;
    for (const FusedPart& part : fused_parts(config)) {
      const std::string ending = weight_of(part.name);
      if (!tensor.name.ends_with(ending)) continue;
      name = with_ending(tensor.name, ending, weight_of(part.whole));
      first = part.begin == 0;
    }
    if (first) all.push_back({name, tensor.tensor});
    else  // the parts follow each other, as modules list them
      all.back().tensor = at::cat({all.back().tensor, tensor.tensor});
  }
  return all;
}

}  // namespace tessera::lm
