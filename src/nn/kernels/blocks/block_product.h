// Products with weights in GGUF's blocks on plain arrays. Weights stay packed, in tiles of sixteen rows (interleave.h), and are
// read once for up to eight rows of activations. What a row becomes depends neither on the rows beside it nor on how the columns
// are shared out. No LibTorch here; nn/packed/block_weight.cc puts threads and tensors around it.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/kernels/blocks/interleave.h"

namespace tessera::nn::blocks {

/// Ways through the same arithmetic; which of them there are is the processor's matter.
enum class Path { portable, avx2, avx512 };
bool runs(Path path);
/// The fastest path that runs.
Path best_path();

/// How a type that interleaves() is multiplied: w = scale (q - zero) + offset with unsigned bytes q, `span` inputs to a scale.
struct Form {
  int64_t span;  // 16 or 32
  int zero;
  bool offsets;
  int subs;  // spans of a block
};
constexpr Form form_of(BlockType type) {
  switch (type) {
    case BlockType::q4_0:
      return {32, 8, false, 1};
    case BlockType::q4_1:
    case BlockType::q5_1:
      return {32, 0, true, 1};
    case BlockType::q5_0:
      return {32, 16, false, 1};
    case BlockType::q8_0:
      return {32, 128, false, 1};
    case BlockType::q4_k:
    case BlockType::q5_k:
      return {32, 0, true, 8};
    case BlockType::q6_k:
      return {16, 32, false, 16};
    default:
      return {};
  }
}

/// A weight [out, in]: tiles of sixteen rows each, then the rows that are left over as the file has them. Types without tiles
/// have all their rows as in the file.
struct Matrix {
  BlockType type;
  int64_t out, in;
  const uint8_t* bytes;  // [out * row_bytes()]
  int64_t row_bytes() const { return bytes_of(type, in); }
  int64_t groups() const { return (out + tile_rows - 1) / tile_rows; }
  int64_t tiled_rows() const { return interleaves(type) ? out / tile_rows * tile_rows : 0; }
};

/// Groups begin to end of sixteen rows (the last may have fewer), from the order of files to that of Matrix.
void arrange(BlockType type, const uint8_t* file, int64_t out, int64_t in, int64_t begin, int64_t end, uint8_t* to);
/// Rows first to first + count as numbers, [count, in], with the bits that the file's blocks unpack to.
void unpack_rows(const Matrix& weight, int64_t first, int64_t count, float* to);

/// How finely activations are rounded. With 16 bits, a span's largest magnitude is 32512, so that the rounding (1.5e-5 of it) is
/// far below that of any 16-bit float; with 8 bits it is 127, as in llama.cpp, and the AVX-512 path takes half as long. Other
/// paths round to 16 bits in any case.
enum class Precision { sixteen_bits, eight_bits };

/// Activations as whole numbers with one scale per row and span. Up to eight rows stand side by side in a slice; the numbers
/// of span s of row r of a slice are record (slice * spans + s) * height + r of each array.
struct Activations {
  struct alignas(64) Line {
    int8_t bytes[64];
  };
  Path path;
  Precision precision;
  int64_t rows, in;
  int64_t span, height;     // inputs of a span; rows of a slice
  int zero;                 // of the weights
  int64_t span_bytes;       // of one record
  std::vector<Line> lines;  // whole numbers, as the path wants them
  std::vector<float> scales;
  std::vector<int32_t> starts;  // -zero times the sum of the whole numbers
  std::vector<float> sums;      // of the numbers that the whole numbers stand for
  int64_t spans() const { return in / span; }
  int64_t slices() const { return (rows + height - 1) / height; }
};
constexpr int64_t most_height = 8;

/// Room for `rows` rows for weights of a type that interleaves(), numbers not set. Vectors of `reused` are taken over.
Activations room_for(BlockType type, int64_t rows, int64_t in, Path path, Precision precision, Activations reused = {});
/// Slices begin to end of x [rows, in]. A span with an infinity or NaN becomes all NaN.
void round_slices(const float* x, int64_t begin, int64_t end, Activations& to);
/// Numbers of rows begin to end and inputs first to last, which are multiples of 32. x is that of the first row and input, rows are
/// `stride` apart.
struct Part {
  const float* x;
  int64_t stride;
  int64_t begin, end;
  int64_t first, last;
};
/// The same for a part.
void round_part(const Part& part, Activations& to);
/// Room and rounding, for all rows.
Activations rounded(BlockType type, const float* x, int64_t rows, int64_t in, Path path, Precision precision);

/// y [rows, out]: writes columns begin to end of every row. The weight's type interleaves().
void multiply(const Matrix& weight, const Activations& x, int64_t begin, int64_t end, float* y);
/// The same for any type, in fp32: rows of the weight are unpacked one by one. x [rows, in].
void multiply_unpacked(const Matrix& weight, const float* x, int64_t rows, int64_t begin, int64_t end, float* y);

/// Calls `use` with the type as a template argument, of types that interleaves(); nothing for others.
template <class Use> void with_type(BlockType type, Use use) {
  using enum BlockType;
  switch (type) {
    case q4_0:
      return use.template operator()<q4_0>();
    case q4_1:
      return use.template operator()<q4_1>();
    case q5_0:
      return use.template operator()<q5_0>();
    case q5_1:
      return use.template operator()<q5_1>();
    case q8_0:
      return use.template operator()<q8_0>();
    case q4_k:
      return use.template operator()<q4_k>();
    case q5_k:
      return use.template operator()<q5_k>();
    case q6_k:
      return use.template operator()<q6_k>();
    default:
      return;
  }
}

/// One slice of Activations.
struct Slice {
  const int8_t* bytes;
  const float* scales;
  const int32_t* starts;
  const float* sums;
  int64_t rows, height;
};
Slice slice_of(const Activations& x, int64_t index);

/// Sixteen rows in tiles and where their products go: rows of y are `stride` apart, columns first to last (of 0 to 16) are written.
struct Group {
  const uint8_t* tiles;
  int64_t blocks;
  float* y;
  int64_t stride;
  int64_t first, last;
};
/// A group of a type times every slice. `scratch` is kept from one call to the next.
void group_portable(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>& scratch);
void group_avx2(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>& scratch);
void group_avx512(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>& scratch);
bool processor_has(Path path);

/// Whole numbers of a span of 16 or 32, as the AVX-512 path wants them, each x * inverse to the nearest, ties to even; returns
/// their sum. With `narrow` 8 bits each, otherwise high bytes and then low ones, 256 * high + low.
int32_t write_whole_avx512(const float* x, int64_t span, float inverse, bool narrow, int8_t* to);
/// The largest magnitude of a span of 16 or 32, as bits.
int32_t peak_bits_avx512(const float* x, int64_t span);

}  // namespace tessera::nn::blocks
