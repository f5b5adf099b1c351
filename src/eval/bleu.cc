// Counts of n-grams; the references' largest counts are found once.
#include <cmath>

#include "core/rng.h"
#include "eval/diversity.h"

namespace tessera::eval {

namespace {
constexpr size_t orders = 4;

/// Counts by a 64-bit hash of the n-gram: two that meet are rarer than anything that is measured here.
std::unordered_map<uint64_t, int64_t> grams_of(std::span<const int32_t> text, size_t n) {
  std::unordered_map<uint64_t, int64_t> counts;
  for (size_t i = 0; i + n <= text.size(); ++i) {
    uint64_t gram = n;
    for (const int32_t id : text.subspan(i, n)) gram = mix64(gram ^ static_cast<uint64_t>(id));
    ++counts[gram];
  }
  return counts;
}
}  // namespace

Bleu::Bleu(const Texts& references) : references_(&references) {
  for (size_t r = 0; r < references.size(); ++r) {
    for (size_t n = 1; n <= orders; ++n) {
      for (const auto& [gram, count] : grams_of(references[r], n)) {
        Most& most = most_[gram];
        if (count > most.first) most = {count, most.first, r};
        else most.second = std::max(most.second, count);
      }
    }
  }
}

template <class Allowed> double Bleu::score(std::span<const int32_t> text, Allowed allowed) const {
  double logs = 0;
  for (size_t n = 1; n <= orders; ++n) {
    double all = n > 1 ? 1 : 0, found = all;
    for (const auto& [gram, count] : grams_of(text, n)) {
      const auto most = most_.find(gram);
      all += static_cast<double>(count);
      if (most != most_.end()) found += static_cast<double>(std::min(count, allowed(most->second)));
    }
    if (all == 0 || found == 0) return 0;
    logs += std::log(found / all);
  }
  return std::exp(logs / orders);
}

double Bleu::of(std::span<const int32_t> text) const {
  return score(text, [](const Most& most) { return most.first; });
}

double Bleu::of_reference(size_t own) const {
  return score((*references_)[own], [own](const Most& most) { return most.holder == own ? most.second : most.first; });
}

}  // namespace tessera::eval
