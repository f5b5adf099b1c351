// What holds for a weight in blocks of any type: it unpacks to the file's numbers, multiplies them, and answers a row alone as in
// a crowd.
#include "nn/packed/block_weight.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/kernels/row_linear.h"
#include "nn/packed/packed_format.h"
#include "tests/support/scratch.h"

namespace tessera::nn {
namespace {

using blocks::BlockType;
using blocks::BlockTypeInfo;
using blocks::Precision;

/// Blocks of random bytes whose scales are small numbers: [out * bytes of a row].
std::vector<uint8_t> random_blocks(const BlockTypeInfo& type, int64_t out, int64_t in) {
  const Tensor bytes = at::randint(0, 256, {out * blocks::bytes_of(type.type, in)}, at::kByte);
  std::vector<uint8_t> all(bytes.data_ptr<uint8_t>(), bytes.data_ptr<uint8_t>() + bytes.numel());
  for (size_t block = 0; block < all.size(); block += static_cast<size_t>(type.bytes)) {
    const auto small = [&](size_t at) {
      all[block + at + 1] = static_cast<uint8_t>(0x20 | (all[block + at + 1] & 0x87));
    };
    using enum BlockType;
    if (type.type == q2_k) small(80), small(82);
    else if (type.type == q3_k) small(108);
    else if (type.type == q6_k) small(208);
    else small(0);
    if (type.type == q4_1 || type.type == q5_1 || type.type == q4_k || type.type == q5_k) small(2);
  }
  return all;
}

struct BlockCase {
  BlockTypeInfo type;
  std::vector<uint8_t> file;
  Tensor plain;  // [out, in] fp32, unpacked from the file's order
  std::shared_ptr<BlockWeight> weight;
};

BlockCase random_case(const BlockTypeInfo& type, int64_t out, int64_t in,
                      Precision precision = Precision::sixteen_bits) {
  BlockCase c{.type = type, .file = random_blocks(type, out, in), .plain = at::empty({out, in}), .weight = nullptr};
  blocks::unpack(type.type, c.file.data(), out * in, c.plain.data_ptr<float>());
  c.weight = std::make_shared<BlockWeight>(type.type, out, in, c.file.data(), precision);
  return c;
}

double relative_difference(const Tensor& got, const Tensor& want) {
  return ((got - want).abs().max() / want.abs().max()).item<double>();
}

TEST(BlockWeight, UnpacksToTheNumbersOfTheFileInNoMoreBytes) {
  for (const BlockTypeInfo& type : blocks::block_types) {
    for (const int64_t out : {1, 16, 37, 64}) {
      const BlockCase c = random_case(type, out, 512);
      EXPECT_TRUE(at::equal(c.weight->unpack(), c.plain)) << type.name << " out " << out;
      EXPECT_TRUE(at::equal(c.weight->rows(out / 2, 1), c.plain.narrow(0, out / 2, 1))) << type.name;
      EXPECT_EQ(c.weight->bytes(), static_cast<int64_t>(c.file.size())) << type.name;
      EXPECT_EQ(c.weight->format(), type.name);
    }
  }
}

TEST(BlockWeight, FewRowsAreMultipliedToWithinTheRoundingOf16Bits) {
  at::manual_seed(2);
  for (const BlockTypeInfo& type : blocks::block_types) {
    const BlockCase c = random_case(type, 53, 768);
    for (const int64_t rows : {1, 2, 3, 4, 5, 8, 9, 31}) {
      const Tensor x = at::randn({rows, 768});
      const Tensor want = at::linear(x.to(at::kDouble), c.plain.to(at::kDouble));
      EXPECT_LT(relative_difference(c.weight->product(x), want), 1e-4) << type.name << " rows " << rows;
    }
  }
}

TEST(BlockWeight, ManyRowsAreMultipliedToWithinTheRoundingOf16Bits) {
  at::manual_seed(3);
  for (const BlockTypeInfo& type : blocks::block_types) {
    const BlockCase c = random_case(type, 83, 768);
    const Tensor x = at::randn({2, 35, 768});
    const Tensor want = at::linear(x.to(at::kDouble), c.plain.to(at::kDouble));
    EXPECT_LT(relative_difference(c.weight->product(x), want), 1e-4) << type.name;
  }
}

TEST(BlockWeight, EightBitsOfActivationsAreOffByTheirRoundingAlone) {
  at::manual_seed(6);
  const bool rounds = blocks::best_path() == blocks::Path::avx512;  // other paths keep 16 bits
  for (const BlockTypeInfo& type : blocks::block_types) {
    if (!blocks::interleaves(type.type)) continue;
    const BlockCase c = random_case(type, 53, 768, Precision::eight_bits);
    for (const int64_t rows : {1, 8, 40}) {
      const Tensor x = at::randn({rows, 768});
      const Tensor want = at::linear(x.to(at::kDouble), c.plain.to(at::kDouble));
      const double off = ((c.weight->product(x) - want).norm() / want.norm()).item<double>();
      EXPECT_LT(off, 1.5e-2) << type.name << " rows " << rows;
      EXPECT_GT(off, rounds ? 1e-4 : 0) << type.name << " rows " << rows;
    }
  }
}

/// Of every type, with both roundings of activations.
std::vector<BlockCase> cases_of_both_precisions(int64_t out, int64_t in) {
  std::vector<BlockCase> cases;
  for (const BlockTypeInfo& type : blocks::block_types) {
    for (const Precision precision : {Precision::sixteen_bits, Precision::eight_bits})
      cases.push_back(random_case(type, out, in, precision));
  }
  return cases;
}

TEST(BlockWeight, ARowHasTheSameBitsAloneAndInACrowd) {
  at::manual_seed(4);
  for (const BlockCase& c : cases_of_both_precisions(100, 256)) {
    const Tensor x = at::randn({77, 256});
    const RowByRow on;
    const Tensor all = c.weight->product(x);
    for (const int64_t first : {0, 7, 8, 31, 76})
      EXPECT_TRUE(at::equal(c.weight->product(x.narrow(0, first, 1)), all.narrow(0, first, 1))) << c.type.name;
    EXPECT_TRUE(at::equal(c.weight->product(x.narrow(0, 20, 6)), all.narrow(0, 20, 6))) << c.type.name;
  }
}

TEST(BlockWeight, ARowAmongManyHasTheSameBitsWhateverTheOthersAre) {
  at::manual_seed(5);
  for (const BlockCase& c : cases_of_both_precisions(48, 512)) {
    if (!blocks::interleaves(c.type.type)) continue;  // LibTorch multiplies those
    const Tensor x = at::randn({90, 512});
    const Tensor all = c.weight->product(x);
    EXPECT_TRUE(at::equal(c.weight->product(x.narrow(0, 11, 33)), all.narrow(0, 11, 33))) << c.type.name;
  }
}

TEST(BlockWeight, NonFiniteActivationsMakeTheirOwnRowNonFiniteAlone) {
  const BlockCase c = random_case(*blocks::block_type_named("q8_0"), 20, 64);
  Tensor x = at::randn({3, 64});
  x[1][40] = std::numeric_limits<float>::infinity();
  const Tensor y = c.weight->product(x);
  EXPECT_TRUE(y[0].isfinite().all().item<bool>());
  EXPECT_FALSE(y[1].isfinite().any().item<bool>());
  EXPECT_TRUE(y[2].isfinite().all().item<bool>());
}

TEST(BlockWeight, AnswersInTheFormatAndShapeItIsAskedIn) {
  const BlockCase c = random_case(*blocks::block_type_named("q4_0"), 20, 64);
  const Tensor x = at::randn({2, 3, 64}).to(at::kBFloat16);
  EXPECT_EQ(c.weight->product(x).scalar_type(), at::kBFloat16);
  EXPECT_EQ(c.weight->product(x).sizes(), (std::vector<int64_t>{2, 3, 20}));
  EXPECT_EQ(c.weight->product(x.narrow(1, 0, 0)).sizes(), (std::vector<int64_t>{2, 0, 20}));
}

TEST(BlockWeight, StaysOnTheCpuAndOutOfSafetensors) {
  const BlockCase c = random_case(*blocks::block_type_named("q6_K"), 16, 256);
  EXPECT_TRUE(at::equal(c.weight->to(at::kCPU)->unpack(), c.plain));
  EXPECT_THROW(c.weight->to(at::kCUDA), UserError);
  EXPECT_THROW(c.weight->stored(), UserError);
}

/// Files of one tensor of q4_0 blocks [20, 64], for the test below.
constexpr std::string_view magic = "BLCK";
bool recognises(std::string_view bytes) { return bytes.starts_with(magic); }
StoredFile read(std::string_view bytes, std::string_view) {
  StoredFile file;
  file.tensors.push_back({.name = "up.weight",
                          .dtype = Dtype::f32,
                          .blocks = "q4_0",
                          .shape = {20, 64},
                          .bytes = bytes.substr(magic.size()),
                          .owner = nullptr});
  return file;
}

class BlockFiles : public ::testing::Test {
 protected:
  BlockFiles() { weight_formats().insert(weight_formats().begin(), {"blocks", recognises, read}); }
  ~BlockFiles() override { weight_formats().erase(weight_formats().begin()); }

  StoredLayer layer(const std::vector<uint8_t>& blocks, int64_t out, int64_t in) {
    std::ofstream(scratch_ / "m.bin") << magic << std::string(blocks.begin(), blocks.end());
    return {.name = "up",
            .out = out,
            .in = in,
            .source = std::make_shared<const WeightSource>(WeightSource(scratch_ / "m.bin")),
            .settings = {}};
  }

 private:
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(BlockFiles, AreLoadedByTheFormatThatNamesThem) {
  const BlockCase c = random_case(*blocks::block_type_named("q4_0"), 20, 64);
  StoredLayer stored = layer(c.file, 20, 64);
  const PackedFormat* format = packed_format_of(stored);
  ASSERT_NE(format, nullptr);
  require_parts(stored, format->parts(stored));
  const auto weight = format->load(stored);
  EXPECT_EQ(weight->format(), "q4_0");
  EXPECT_TRUE(at::equal(weight->unpack(), c.plain));
  EXPECT_TRUE(at::equal(format->load(stored)->unpack(), c.plain)) << "the file is still there to be read";
  const Tensor x = at::randn({3, 64});
  EXPECT_TRUE(at::equal(weight->product(x), c.weight->product(x)));
  stored.exact = false;
  EXPECT_EQ(at::equal(format->load(stored)->product(x), c.weight->product(x)),
            blocks::best_path() != blocks::Path::avx512);
}

TEST_F(BlockFiles, ThatAreCutShortOrBrokenAcrossRowsAreRefused) {
  BlockCase c = random_case(*blocks::block_type_named("q4_0"), 20, 64);
  EXPECT_THROW(block_format().load(layer(c.file, 20, 48)), UserError);
  c.file.pop_back();
  EXPECT_THROW(block_format().load(layer(c.file, 20, 64)), UserError);
}

}  // namespace
}  // namespace tessera::nn
