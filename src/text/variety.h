// Counts of how varied a run of tokens is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tessera::text {

/// Different tokens over tokens; 0 of nothing.
double type_token_ratio(std::span<const int32_t> tokens);
/// Mean over every window of `window` tokens (MATTR, Covington and McFall 2010); of a shorter text its plain ratio.
double moving_type_token_ratio(std::span<const int32_t> tokens, int64_t window);
/// 1 - different n-grams / n-grams; 0 of a text without one.
double repeated_share(std::span<const int32_t> tokens, size_t n);

}  // namespace tessera::text
