// See word_cache.h.
#include "text/word_cache.h"

namespace tessera::text {

bool WordCache::find(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.size() > longest) return false;
  Shard& shard = shards_[Hash()(word) % shards];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.ids.find(word);
  if (found == shard.ids.end()) return false;
  ids.insert(ids.end(), found->second.begin(), found->second.end());
  return true;
}

void WordCache::keep(std::string_view word, const int32_t* ids, size_t count) const {
  if (word.size() > longest) return;
  Shard& shard = shards_[Hash()(word) % shards];
  const std::lock_guard lock(shard.mutex);
  if (shard.ids.size() < words_per_shard) shard.ids.emplace(word, std::vector<int32_t>(ids, ids + count));
}

}  // namespace tessera::text
