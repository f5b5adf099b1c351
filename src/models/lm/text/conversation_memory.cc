// A cache is cut back to the part that both conversations share; positions after it are written anew.
#include "models/lm/text/conversation_memory.h"

#include <algorithm>

namespace tessera::lm {

nn::TokenCache ConversationMemory::recall(const std::vector<int32_t>& prompt, const nn::TokenCacheOptions& options) {
  const auto [end, unused] = std::mismatch(tokens_.begin(), tokens_.end(), prompt.begin(), prompt.end());
  const int64_t shared = std::min<int64_t>(end - tokens_.begin(), std::ssize(prompt) - 1);
  tokens_.clear();
  if (!cache_ || shared <= 0) {
    cache_.reset();
    return nn::TokenCache(options);
  }
  nn::TokenCache cache = std::move(*cache_);
  cache_.reset();
  cache.truncate(shared);
  return cache;
}

void ConversationMemory::remember(std::vector<int32_t> tokens, nn::TokenCache cache) {
  tokens_ = std::move(tokens);
  tokens_.resize(std::min(tokens_.size(), static_cast<size_t>(cache.length())));
  cache_ = std::move(cache);
}

}  // namespace tessera::lm
