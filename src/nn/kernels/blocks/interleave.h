// The order in which products read blocks: sixteen rows side by side, so that one instruction serves sixteen outputs and no
// sum runs across a register. The bytes are as many as in the file, and the way back gives the file's blocks bit for bit.
//
// A tile is one block of each of sixteen rows. Its parts follow each other, each with the rows' numbers adjacent:
//   q8_0          d (fp16), quants + 128
//   q4_0          d, quants
//   q4_1          d, m, quants
//   q5_0, q5_1    d, (m,) high bits, quants; bit k of byte c of the high bits belongs to input 4 k + c
//   q4_K          d, dmin, scales and minima, quants
//   q5_K          d, dmin, scales and minima, high bits, quants
//   q6_K          d, scales (a byte), low halves, high bits
// Quants and high bits are interleaved by words of four bytes: word w of row r is word 16 w + r of the part. Scales and minima of
// q4_K and q5_K are eight times 16 bytes (low halves of a scale and a minimum) and four times 16 bytes (the high two bits of both,
// of an even and an odd group).
#pragma once

#include "nn/kernels/blocks/block_type.h"

namespace tessera::nn::blocks {

constexpr int64_t tile_rows = 16;

/// Whether products read the type as it is. The others stay as the file has them and are unpacked to be multiplied.
bool interleaves(BlockType type);

/// 16 rows of `blocks` blocks each, `stride` bytes from one to the next -> as many tiles. The type interleaves().
void interleave(BlockType type, const uint8_t* rows, int64_t stride, int64_t blocks, uint8_t* tiles);
/// Row `row` (0 to 15) of the tiles, as the file has it.
void deinterleave(BlockType type, const uint8_t* tiles, int64_t row, int64_t blocks, uint8_t* to);

}  // namespace tessera::nn::blocks
