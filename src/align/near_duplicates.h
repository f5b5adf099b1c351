// Prompts that say nearly the same, found without comparing all with all: MinHash over word triples, in bands (Broder 1997; Leskovec et al.,
// Mining of Massive Datasets, 3.3 and 3.4).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tessera::align {

inline constexpr size_t minhash_bands = 16, minhash_rows = 4;
using MinHash = std::array<uint32_t, minhash_bands * minhash_rows>;

/// Of the words of normalised_prompt(), in triples; of shorter texts the words themselves. Equal places of two of them estimate what
/// share of their triples two texts have in common.
MinHash minhash_of(std::string_view text);
double similarity(const MinHash& a, const MinHash& b);

/// Those that came first stay. Memory: 256 bytes a prompt and its entries in 16 tables.
class NearDuplicates {
 public:
  /// `threshold`: similarity from which two prompts say the same, above 0.
  explicit NearDuplicates(double threshold);
  /// Whether one that was added says nearly the same; if not, adds it. A pair at the threshold's similarity s is found with
  /// probability 1 - (1 - s^4)^16: .997 at .75.
  bool known_or_add(std::string_view text);
  size_t size() const { return hashes_.size(); }

 private:
  double threshold_;
  std::vector<MinHash> hashes_;
  std::array<std::unordered_multimap<uint64_t, uint32_t>, minhash_bands> tables_;
};

}  // namespace tessera::align
