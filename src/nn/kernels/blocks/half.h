// fp16 as the two bytes that blocks hold. Every fp16 number is widened exactly; fp32 is rounded to nearest, ties to even.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace tessera::nn::blocks {

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, rest = half & 0x7FFF;
  if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | (rest & 0x3FF) << 13);  // infinity or NaN
  if (rest >= 0x400) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
  const float magnitude = static_cast<float>(rest) * 0x1p-24f;  // subnormal: exact in fp32
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

inline uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t rest = bits & 0x7FFFFFFF;
  if (rest > 0x7F800000) return static_cast<uint16_t>(sign | 0x7E00);   // NaN
  if (rest >= 0x477FF000) return static_cast<uint16_t>(sign | 0x7C00);  // rounds to 65536 or more: infinity
  if (rest < 0x38800000) {  // below 2^-14: a multiple of 2^-24, which adding 0.5 leaves in the low bits
    const uint32_t steps = std::bit_cast<uint32_t>(std::bit_cast<float>(rest) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
    return static_cast<uint16_t>(sign | steps);
  }
  const uint32_t rounded = rest + 0xFFF + (rest >> 13 & 1) - (112u << 23);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

inline float load_half(const uint8_t* from) {
  uint16_t half;
  std::memcpy(&half, from, 2);
  return half_to_float(half);
}

inline void store_half(float value, uint8_t* to) {
  const uint16_t half = float_to_half(value);
  std::memcpy(to, &half, 2);
}

}  // namespace tessera::nn::blocks
