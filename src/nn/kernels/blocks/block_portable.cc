// The product in plain loops, for processors without a path of their own and as what the other paths are compared with.
#include <bit>
#include <cstring>

#include "nn/kernels/blocks/block_product.h"
#include "nn/kernels/blocks/half.h"

namespace tessera::nn::blocks {

namespace portable {

struct Word {
  uint32_t lanes[tile_rows];
};
struct Float {
  float lanes[tile_rows];
};

template <class To, class F> To each(const F& f) {
  To to;
  for (int i = 0; i < tile_rows; ++i) to.lanes[i] = f(i);
  return to;
}

inline Word load_words(const uint8_t* from) {
  Word to;
  std::memcpy(&to, from, sizeof(to));
  return to;
}
inline Word load_bytes(const uint8_t* from) {
  return each<Word>([&](int i) { return from[i]; });
}
inline Word load_signed_bytes(const uint8_t* from) {
  return each<Word>([&](int i) { return static_cast<uint32_t>(static_cast<int32_t>(static_cast<int8_t>(from[i]))); });
}
inline Float load_halves(const uint8_t* from) {
  return each<Float>([&](int i) { return load_half(from + 2 * i); });
}
inline Word masked(const Word& a, uint32_t mask) {
  return each<Word>([&](int i) { return a.lanes[i] & mask; });
}
inline Word with_bits(const Word& a, const Word& b, uint32_t mask) {
  return each<Word>([&](int i) { return a.lanes[i] | (b.lanes[i] & mask); });
}
inline Word shifted_right(const Word& a, int by) {
  return each<Word>([&](int i) { return a.lanes[i] >> by; });
}
inline Word shifted_left(const Word& a, int by) {
  return each<Word>([&](int i) { return a.lanes[i] << by; });
}
inline Word rotated_right(const Word& a, int by) {
  return each<Word>([&](int i) { return std::rotr(a.lanes[i], by); });
}
inline Float to_float(const Word& a) {
  return each<Float>([&](int i) { return static_cast<float>(static_cast<int32_t>(a.lanes[i])); });
}
inline Float product(const Float& a, const Float& b) {
  return each<Float>([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
inline Float negated(const Float& a) {
  return each<Float>([&](int i) { return -a.lanes[i]; });
}

#define TESSERA_BLOCKS_INLINE inline
#include "nn/kernels/blocks/block_lanes-inl.h"
#undef TESSERA_BLOCKS_INLINE

namespace {

/// Adds the products of one span with each row of the slice.
template <BlockType type>
void add_span(const uint8_t* tile, int sub, const Slice& x, int64_t s, float (&total)[most_height][tile_rows]) {
  constexpr Form form = form_of(type);
  uint8_t q[form.span / 4][tile_rows][4];
  for (int k = 0; k < form.span / 4; ++k) {
    const Word word = quants<type>(tile, sub, k, 0);
    std::memcpy(q[k], &word, sizeof(word));
  }
  const Float factor = scale<type>(tile, sub, 0);
  const Float add = form.offsets ? offset<type>(tile, sub, 0) : Float{};
  for (int64_t r = 0; r < x.rows; ++r) {
    const int64_t record = s * x.height + r;
    const auto* v = reinterpret_cast<const int16_t*>(x.bytes) + record * form.span;
    for (int i = 0; i < tile_rows; ++i) {
      int32_t dot = x.starts[record];
      for (int k = 0; k < form.span / 4; ++k) {  // even inputs come before odd ones
        dot +=
            q[k][i][0] * v[4 * k] + q[k][i][2] * v[4 * k + 1] + q[k][i][1] * v[4 * k + 2] + q[k][i][3] * v[4 * k + 3];
      }
      total[r][i] += static_cast<float>(dot) * (factor.lanes[i] * x.scales[record]);
      if (form.offsets) total[r][i] += add.lanes[i] * x.sums[record];
    }
  }
}

template <BlockType type> void group_of(const Group& group, const Activations& x) {
  constexpr Form form = form_of(type);
  for (int64_t index = 0; index < x.slices(); ++index) {
    const Slice slice = slice_of(x, index);
    float total[most_height][tile_rows] = {};
    for (int64_t s = 0; s < x.spans(); ++s) {
      const uint8_t* tile = group.tiles + s / form.subs * tile_rows * info(type).bytes;
      add_span<type>(tile, static_cast<int>(s % form.subs), slice, s, total);
    }
    for (int64_t r = 0; r < slice.rows; ++r) {
      float* y = group.y + (index * x.height + r) * group.stride;
      for (int64_t i = group.first; i < group.last; ++i) y[i] = total[r][i];
    }
  }
}

}  // namespace
}  // namespace portable

void group_portable(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>&) {
  with_type(type, [&]<BlockType each> { portable::group_of<each>(group, x); });
}

}  // namespace tessera::nn::blocks
