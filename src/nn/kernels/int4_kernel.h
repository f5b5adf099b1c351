// Products with 4-bit weights on plain arrays, for the few rows of a decoding step. Weights stay packed: a pass reads
// each byte once. No LibTorch here; nn/packed/packed_weight.cc puts threads and tensors around it.
#pragma once

#include <cstdint>
#include <vector>

namespace tessera::nn::int4 {

/// Ways through the same arithmetic; which of them there are is the processor's matter.
enum class Path { portable, avx2, avx512 };

/// Whether this processor has the instructions and the path takes groups of this length.
bool runs(Path path, int64_t group);
/// The fastest path that runs.
Path best_path(int64_t group);

/// Inputs of a group at most: the whole sums of longer ones would not fit 32 bits.
inline constexpr int64_t most_group = 4096;

/// An Int4Weight's arrays; in % group == 0, group even.
struct Weights {
  const uint8_t* packed;  // [out, in / 2]
  const float* scales;    // [out, in / group]
  const uint8_t* zeros;   // [out, in / group]
  int64_t out, in, group;
  int64_t groups() const { return in / group; }
};

/// Activations as whole numbers of 16 bits with one scale per row and group: 32512 is the group's largest
/// magnitude, so that the rounding (1.5e-5 of it) is far below that of any 16-bit float. A number is 256 * high +
/// low, two signed bytes, because byte products with exact 32-bit sums are what processors have instructions for.
struct Activations {
  struct alignas(64) Line {
    int8_t bytes[64];
  };
  Path path;
  int64_t rows, in, group;
  std::vector<Line>
      lines;  // by row and chunk: high bytes of even inputs, of odd inputs, low bytes of even inputs, of odd ones
  std::vector<float> scales;  // [rows, in / group]
  std::vector<float> sums;    // [rows, in / group]: of the whole numbers
  int64_t row_bytes() const { return 2 * in; }
  const int8_t* row(int64_t index) const { return lines.data()->bytes + index * row_bytes(); }
};

/// x [rows, in], as `path` wants them. A group with an infinity or NaN becomes all NaN.
Activations rounded(const float* x, int64_t rows, int64_t in, int64_t group, Path path);

/// y [rows, out]: writes columns begin to end of every row. A row's numbers do not depend on the rows beside it.
void multiply(const Weights& weights, const Activations& x, int64_t begin, int64_t end, float* y);

/// Whether this processor has products of bfloat16, so that LibTorch's matrix products in it are quick.
bool multiplies_bfloat16();

/// Rows begin to end of the weight as bfloat16 bits, [end - begin, in], each rounded to nearest even.
void unpack_bfloat16(const Weights& weights, int64_t begin, int64_t end, uint16_t* to);

/// Inputs whose four byte rows are adjacent in Activations::lines.
constexpr int64_t avx512_chunk = 128, avx2_chunk = 64;

bool processor_has(Path path);
/// Rows at once: the sums of more would not stay in registers.
constexpr int64_t most_rows_avx512 = 8, most_rows_avx2 = 4;
/// Columns begin to end of rows first to first + count; count is 1 to the path's most. For the paths that processor_has().
void multiply_avx512(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                     float* y);
void multiply_avx2(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                   float* y);
/// table [16]: the values of one group as bfloat16 bits; 64 packed bytes -> 128 numbers.
void look_up_avx512(const uint8_t* packed, const uint16_t* table, uint16_t* to);

}  // namespace tessera::nn::int4
