// The packed blocks of GGUF files: names, sizes, and what their bytes mean. gguf-py's quants.py defines them; every number
// that is unpacked here has the same bits there. No LibTorch.
#pragma once

#include <cstdint>
#include <string_view>

namespace tessera::nn::blocks {

enum class BlockType { q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs };

struct BlockTypeInfo {
  BlockType type;
  std::string_view name;  // as ggml prints it: "q4_0", "q4_K"
  int64_t weights;        // of a block
  int64_t bytes;          // of a block
};

/// In the order of BlockType.
inline constexpr BlockTypeInfo block_types[] = {
    {BlockType::q4_0, "q4_0", 32, 18},   {BlockType::q4_1, "q4_1", 32, 20},     {BlockType::q5_0, "q5_0", 32, 22},
    {BlockType::q5_1, "q5_1", 32, 24},   {BlockType::q8_0, "q8_0", 32, 34},     {BlockType::q2_k, "q2_K", 256, 84},
    {BlockType::q3_k, "q3_K", 256, 110}, {BlockType::q4_k, "q4_K", 256, 144},   {BlockType::q5_k, "q5_K", 256, 176},
    {BlockType::q6_k, "q6_K", 256, 210}, {BlockType::iq4_nl, "iq4_nl", 32, 18}, {BlockType::iq4_xs, "iq4_xs", 256, 136},
};
constexpr const BlockTypeInfo& info(BlockType type) { return block_types[static_cast<int>(type)]; }
/// Null for a name that is none of these.
const BlockTypeInfo* block_type_named(std::string_view name);

/// Bytes of `count` weights, a multiple of the block's.
constexpr int64_t bytes_of(BlockType type, int64_t count) { return count / info(type).weights * info(type).bytes; }

/// The weights of whole blocks, count of them, a multiple of the block's. Bytes need no alignment.
void unpack(BlockType type, const uint8_t* bytes, int64_t count, float* to);

/// Whether pack() can write the type: q4_0, q4_1, q5_0, q5_1, q8_0, q4_K, q5_K, q6_K.
bool packs(BlockType type);
/// Rounds finite numbers to blocks. q4_0, q4_1, q5_0, q5_1 and q8_0 get the bytes that gguf-py writes. q4_K, q5_K and q6_K,
/// which it does not write, are searched for the scales of least squared error (block_pack_k.cc).
void pack(BlockType type, const float* from, int64_t count, uint8_t* to);

/// One block of 256, of the types that pack() searches.
void pack_k_block(BlockType type, const float* from, uint8_t* to);

/// The 16 values of iq4_nl and iq4_xs.
extern const int8_t iq4_values[16];

/// Scale and minimum number `sub` (0 to 7) of the 12 bytes that q4_K and q5_K keep eight of each in, 6 bits a number.
struct ScaleMin {
  uint8_t scale, min;
};
inline ScaleMin scale_min(const uint8_t* packed, int sub) {
  if (sub < 4) return {static_cast<uint8_t>(packed[sub] & 63), static_cast<uint8_t>(packed[sub + 4] & 63)};
  const int low = packed[sub + 4];
  return {static_cast<uint8_t>((low & 15) | (packed[sub - 4] >> 6 << 4)),
          static_cast<uint8_t>(low >> 4 | (packed[sub] >> 6 << 4))};
}
/// The way back: writes the 12 bytes.
void pack_scale_mins(const ScaleMin (&from)[8], uint8_t* to);

}  // namespace tessera::nn::blocks
