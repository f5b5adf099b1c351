// The keys and values of the last conversation, so that its next turn reads only what is new. Running state of
// whoever chats.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "nn/attention/token_cache.h"

namespace tessera::lm {

class ConversationMemory {
 public:
  /// The cache of the longest beginning that `prompt` has in common with what is remembered, short of the whole
  /// prompt, and forgets it: an error on the way leaves nothing half written. A cache of nothing when there is no
  /// such beginning.
  nn::TokenCache recall(const std::vector<int32_t>& prompt, const nn::TokenCacheOptions& options);
  /// `tokens`: the prompt and what followed; the cache holds a beginning of them.
  void remember(std::vector<int32_t> tokens, nn::TokenCache cache);

 private:
  std::vector<int32_t> tokens_;  // as many as the cache has positions
  std::optional<nn::TokenCache> cache_;
};

}  // namespace tessera::lm
