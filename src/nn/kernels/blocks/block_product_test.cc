// The product on every path that this processor runs: right to within the rounding of activations, and the same bits whatever
// rows and columns it is asked for.
#include "nn/kernels/blocks/block_product.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "nn/kernels/blocks/half.h"

namespace tessera::nn::blocks {
namespace {

std::vector<float> numbers(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> all(static_cast<size_t>(count));
  for (float& x : all) x = static_cast<float>(rng.uniform(-1, 1));
  return all;
}

/// A weight of a type with tiles, and its numbers.
struct Weight {
  std::vector<uint8_t> bytes;
  std::vector<float> plain;  // [out, in]
  Matrix matrix;
};

Weight weight_of(BlockType type, int64_t out, int64_t in) {
  std::vector<float> wanted = numbers(out * in, 8);
  for (int64_t i = 0; i < out * in; ++i) wanted[static_cast<size_t>(i)] *= static_cast<float>(1 + i / 32 % 5);
  std::vector<uint8_t> file(static_cast<size_t>(out * bytes_of(type, in)));
  pack(type, wanted.data(), out * in, file.data());
  Weight weight{.bytes = std::vector<uint8_t>(file.size()), .plain = std::move(wanted), .matrix = {}};
  unpack(type, file.data(), out * in, weight.plain.data());
  weight.matrix = {.type = type, .out = out, .in = in, .bytes = weight.bytes.data()};
  arrange(type, file.data(), out, in, 0, weight.matrix.groups(), weight.bytes.data());
  return weight;
}

std::vector<float> product(const Weight& weight, const std::vector<float>& x, Path path, Precision precision) {
  const Matrix& m = weight.matrix;
  const int64_t rows = static_cast<int64_t>(x.size()) / m.in;
  std::vector<float> y(static_cast<size_t>(rows * m.out), -7);
  multiply(m, rounded(m.type, x.data(), rows, m.in, path, precision), 0, m.out, y.data());
  return y;
}

std::vector<float> plain_product(const Weight& weight, const std::vector<float>& x) {
  const int64_t in = weight.matrix.in, out = weight.matrix.out, rows = static_cast<int64_t>(x.size()) / in;
  std::vector<float> y;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < in; ++i)
        sum += double{weight.plain[static_cast<size_t>(o * in + i)]} * x[static_cast<size_t>(r * in + i)];
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

/// As a share of the largest magnitude.
double largest_difference(const std::vector<float>& got, const std::vector<float>& want) {
  double off = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    off = std::max(off, std::abs(double{got[i]} - want[i]));
    largest = std::max(largest, std::abs(double{want[i]}));
  }
  return off / largest;
}

struct Way {
  BlockType type;
  Path path;
  Precision precision;
};

/// Every type with tiles on every path that runs here.
std::vector<Way> all_ways() {
  std::vector<Way> ways;
  for (const BlockTypeInfo& each : block_types) {
    for (const Path path : {Path::portable, Path::avx2, Path::avx512}) {
      if (!interleaves(each.type) || !runs(path)) continue;
      for (const Precision precision : {Precision::sixteen_bits, Precision::eight_bits})
        ways.push_back({each.type, path, precision});
    }
  }
  return ways;
}

std::string name_of(const Way& way) {
  return std::string(info(way.type).name) + " path " + std::to_string(static_cast<int>(way.path)) +
         (way.precision == Precision::eight_bits ? " 8 bits" : " 16 bits");
}

std::vector<float> part(const std::vector<float>& all, int64_t first, int64_t count, int64_t width) {
  return {all.begin() + first * width, all.begin() + (first + count) * width};
}

TEST(BlockProduct, EqualsTheProductOfTheUnpackedWeightOnEveryPath) {
  for (const int64_t in : {256, 768}) {
    for (const Way& way : all_ways()) {
      const Weight weight = weight_of(way.type, 41, in);
      const bool narrow = way.precision == Precision::eight_bits && way.path == Path::avx512;
      for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 37}) {
        const std::vector<float> x = numbers(rows * in, 9);
        EXPECT_LT(largest_difference(product(weight, x, way.path, way.precision), plain_product(weight, x)),
                  narrow ? 1e-2 : 5e-5)
            << name_of(way) << " rows " << rows << " in " << in;
      }
    }
  }
}

TEST(BlockProduct, ARowIsTheSameBitsAloneAndInACrowd) {
  for (const Way& way : all_ways()) {
    const int64_t in = 512, out = 32;
    const Weight weight = weight_of(way.type, out, in);
    const std::vector<float> x = numbers(37 * in, 10), all = product(weight, x, way.path, way.precision);
    for (const int64_t count : {1, 2, 3, 4, 5, 7, 8, 9, 15}) {
      for (const int64_t first : {0, 3, 22})
        EXPECT_EQ(product(weight, part(x, first, count, in), way.path, way.precision), part(all, first, count, out))
            << name_of(way) << " rows " << first << " to " << first + count;
    }
  }
}

TEST(BlockProduct, ColumnsDoNotDependOnHowTheyAreSharedOutAndNoOthersAreWritten) {
  for (const Way& way : all_ways()) {
    const int64_t in = 256, out = 70;
    const Weight weight = weight_of(way.type, out, in);
    for (const int64_t rows : {2, 9}) {
      const std::vector<float> x = numbers(rows * in, 11), all = product(weight, x, way.path, way.precision);
      const Activations rounded_x = rounded(way.type, x.data(), rows, in, way.path, way.precision);
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {3, 35}, {16, 32}, {20, 30}, {47, 70}}) {
        std::vector<float> y(all.size(), -7);
        multiply(weight.matrix, rounded_x, begin, end, y.data());
        for (int64_t i = 0; i < rows * out; ++i) {
          const bool inside = i % out >= begin && i % out < end;
          ASSERT_EQ(y[static_cast<size_t>(i)], inside ? all[static_cast<size_t>(i)] : -7) << name_of(way);
        }
      }
    }
  }
}

TEST(BlockProduct, SumsThatAreLargestStayExact) {
  for (const Way& way : all_ways()) {
    const int64_t in = 512;
    Weight weight = weight_of(way.type, 16, in);
    for (size_t i = 0; i < weight.plain.size(); ++i) weight.plain[i] = i % 2 == 0 ? -1.0f : -0.5f;
    std::vector<uint8_t> file(weight.bytes.size());
    pack(way.type, weight.plain.data(), 16 * in, file.data());
    unpack(way.type, file.data(), 16 * in, weight.plain.data());
    arrange(way.type, file.data(), 16, in, 0, 1, weight.bytes.data());
    const std::vector<float> x(static_cast<size_t>(in), 3.0f);
    EXPECT_LT(largest_difference(product(weight, x, way.path, way.precision), plain_product(weight, x)), 1e-5)
        << name_of(way);
  }
}

TEST(BlockProduct, ZeroAndNonFiniteActivationsStayWhatTheyAre) {
  for (const Way& way : all_ways()) {
    const int64_t in = 256;
    const Weight weight = weight_of(way.type, 16, in);
    std::vector<float> x(static_cast<size_t>(3 * in), 0.0f);
    x[static_cast<size_t>(in + 100)] = std::numeric_limits<float>::quiet_NaN();
    x[static_cast<size_t>(2 * in)] = 1e-42f;
    const std::vector<float> y = product(weight, x, way.path, way.precision);
    for (size_t o = 0; o < 16; ++o) {
      EXPECT_EQ(y[o], 0) << name_of(way);
      EXPECT_TRUE(std::isnan(y[16 + o])) << name_of(way);
      EXPECT_TRUE(std::isfinite(y[32 + o])) << name_of(way);
    }
  }
}

TEST(BlockProduct, TypesWithoutTilesAreMultipliedAsUnpacked) {
  for (const BlockTypeInfo& each : block_types) {
    if (interleaves(each.type)) continue;
    const int64_t in = 512, out = 5;
    Rng rng(12);
    std::vector<uint8_t> file(static_cast<size_t>(out * bytes_of(each.type, in)));
    for (uint8_t& byte : file) byte = static_cast<uint8_t>(rng.below(60));  // scales are small then
    Weight weight{.bytes = file, .plain = std::vector<float>(static_cast<size_t>(out * in)), .matrix = {}};
    unpack(each.type, file.data(), out * in, weight.plain.data());
    weight.matrix = {.type = each.type, .out = out, .in = in, .bytes = weight.bytes.data()};
    const std::vector<float> x = numbers(3 * in, 13);
    std::vector<float> y(static_cast<size_t>(3 * out));
    multiply_unpacked(weight.matrix, x.data(), 3, 0, out, y.data());
    EXPECT_LT(largest_difference(y, plain_product(weight, x)), 1e-5) << each.name;
  }
}

}  // namespace
}  // namespace tessera::nn::blocks
