// See stored_tensors.h. Names decide, and bytes where two tensors may be one.
#include "models/lm/architecture/stored_tensors.h"

#include <algorithm>
#include <set>

#include <ATen/ops/equal.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"

namespace tessera::lm {

namespace {
constexpr std::string_view embedding_name = "model.embed_tokens.weight", head_name = "lm_head.weight";

/// As the model runs them: numbers of two formats are compared in the embedding's.
bool same_numbers(const StoredTensor& a, const StoredTensor& b) {
  if (a.shape != b.shape || a.blocks != b.blocks) return false;
  if (a.dtype == b.dtype) return a.bytes == b.bytes;
  if (!a.blocks.empty()) return false;
  const Tensor first = mapped_tensor(a);
  return at::equal(first, mapped_tensor(b).to(first.scalar_type()));
}

bool is_computed_buffer(std::string_view name) {
  for (const char* suffix : {"rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

/// Numbers that a scale beside them turns into weights.
bool needs_scale(const StoredTensor& weight) { return weight.blocks.empty() && dtype_bits(weight.dtype) <= 8; }

void refuse_scale_of_weight(const WeightSource& source, const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || name.find("scale", dot) == std::string::npos) return;
  const StoredTensor* const weight = source.find(name.substr(0, dot) + ".weight");
  if (weight == nullptr || !needs_scale(*weight)) return;
  throw UserError(
      "[lm] {}: {} is {} with the scales {}, a packing that is not read here; want weights in 16 or 32 bits",
      source.path().string(), weight->name, dtype_name(weight->dtype), name);
}
}  // namespace

WeightSource without_wrappers(const WeightSource& source) {
  constexpr std::string_view compiled = "_orig_mod.", parallel = "module.";
  const auto plain = [&](std::string_view stored) {
    std::string name(stored);
    for (size_t at = name.find(compiled); at != std::string::npos; at = name.find(compiled))
      name.erase(at, compiled.size());
    return name;
  };
  const auto& tensors = source.tensors();
  const bool every = !tensors.empty() && std::ranges::all_of(tensors, [&](const auto& each) {
    return plain(each.first).starts_with(parallel);
  });
  const bool any = every || std::ranges::any_of(tensors, [&](const auto& each) {
                     return each.first.find(compiled) != std::string::npos;
                   });
  if (!any) return source;
  return source.renamed([&](std::string_view stored) { return plain(stored).substr(every ? parallel.size() : 0); });
}

WeightSource with_settled_head(const WeightSource& source, LmConfig& config) {
  const StoredTensor* const head = source.find(head_name);
  if (!config.tied || head == nullptr) return source;
  const StoredTensor* const embedding = source.find(embedding_name);
  if (embedding == nullptr) {
    return source.renamed([](std::string_view name) { return std::string(name == head_name ? embedding_name : name); });
  }
  if (same_numbers(*embedding, *head))
    return source.renamed([](std::string_view name) { return std::string(name == head_name ? "" : name); });
  config.tied = false;
  log_warning(
      "[lm] {}: tie_word_embeddings is true, but the {} stored differs from the embedding; both are kept, as "
      "transformers does (set tie_word_embeddings to false to say that it is meant)",
      source.path().string(), head_name);
  return source;
}

WeightSource without_strangers(const WeightSource& source, const std::vector<TensorSlot>& slots) {
  std::set<std::string_view> known;
  for (const TensorSlot& slot : slots) known.insert(slot.name);
  std::vector<std::string> strangers;
  bool any = false;
  for (const auto& [name, stored] : source.tensors()) {
    if (known.contains(name)) continue;
    any = true;
    if (is_computed_buffer(name)) continue;
    refuse_scale_of_weight(source, name);
    strangers.push_back(stored.name);
  }
  if (!any) return source;
  if (!strangers.empty()) {
    constexpr size_t most = 8;
    const size_t shown = std::min(strangers.size(), most);
    log_warning("[lm] {}: {} tensors belong to no part of this model and are left out: {}{}", source.path().string(),
                strangers.size(), fmt::join(strangers.begin(), strangers.begin() + static_cast<int64_t>(shown), ", "),
                strangers.size() > most ? ", ..." : "");
  }
  return source.renamed([&](std::string_view name) { return known.contains(name) ? std::string(name) : ""; });
}

}  // namespace tessera::lm
