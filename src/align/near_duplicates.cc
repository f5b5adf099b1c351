// One hash of each triple, from which the others follow by multiplication: as good as independent ones here.
#include "align/near_duplicates.h"

#include <algorithm>
#include <limits>
#include <string>

#include "align/store.h"
#include "core/error.h"
#include "core/rng.h"

namespace tessera::align {

MinHash minhash_of(std::string_view text) {
  const std::string plain = normalised_prompt(text);
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < plain.size();) {
    const size_t end = std::min(plain.find(' ', begin), plain.size());
    words.push_back(std::string_view(plain).substr(begin, end - begin));
    begin = end + 1;
  }
  const size_t width = words.size() < 3 ? 1 : 3;
  MinHash smallest;
  smallest.fill(std::numeric_limits<uint32_t>::max());
  for (size_t i = 0; i + width <= words.size(); ++i) {
    const char* first = words[i].data();
    const std::string_view last = words[i + width - 1];
    const uint64_t hash = mix64(hash_text({first, static_cast<size_t>(last.data() + last.size() - first)}));
    for (size_t h = 0; h < smallest.size(); ++h)
      smallest[h] = std::min(smallest[h], static_cast<uint32_t>(mix64(hash ^ (h * 0x9E3779B97F4A7C15ull)) >> 32));
  }
  return smallest;
}

double similarity(const MinHash& a, const MinHash& b) {
  size_t equal = 0;
  for (size_t i = 0; i < a.size(); ++i) equal += a[i] == b[i] ? 1 : 0;
  return static_cast<double>(equal) / static_cast<double>(a.size());
}

NearDuplicates::NearDuplicates(double threshold) : threshold_(threshold) {
  if (!(threshold > 0 && threshold <= 1))
    throw UserError("[align] near-duplicates are those of a similarity of {}, want more than 0 and at most 1",
                    threshold);
}

bool NearDuplicates::known_or_add(std::string_view text) {
  const MinHash hash = minhash_of(text);
  std::array<uint64_t, minhash_bands> keys;
  for (size_t band = 0; band < minhash_bands; ++band) {
    uint64_t key = band;
    for (size_t row = 0; row < minhash_rows; ++row) key = mix64(key ^ hash[band * minhash_rows + row]);
    keys[band] = key;
    const auto [begin, end] = tables_[band].equal_range(key);
    for (auto each = begin; each != end; ++each) {
      if (similarity(hashes_[each->second], hash) >= threshold_) return true;
    }
  }
  for (size_t band = 0; band < minhash_bands; ++band)
    tables_[band].emplace(keys[band], static_cast<uint32_t>(hashes_.size()));
  hashes_.push_back(hash);
  return false;
}

}  // namespace tessera::align
