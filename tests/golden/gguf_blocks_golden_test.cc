// Blocks of GGUF files as gguf-py unpacks and rounds them (tools/golden/gguf_blocks.py), bit for bit.
#include <bit>
#include <cmath>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/kernels/blocks/block_type.h"
#include "tests/golden/fixture.h"

namespace tessera::nn::blocks {
namespace {

TEST(GgufBlocksGolden, EveryTypeUnpacksToTheSameBits) {
  const golden::Fixture fixture("gguf_blocks");
  for (const BlockTypeInfo& type : block_types) {
    const std::string name(type.name);
    const Tensor bytes = fixture[name + ".blocks"], want = fixture[name + ".unpacked"];
    ASSERT_EQ(want.numel(), bytes.numel() / type.bytes * type.weights) << name;
    std::vector<float> got(static_cast<size_t>(want.numel()));
    unpack(type.type, bytes.const_data_ptr<uint8_t>(), want.numel(), got.data());
    for (int64_t i = 0; i < want.numel(); ++i) {
      const float a = got[static_cast<size_t>(i)], b = want.const_data_ptr<float>()[i];
      const bool same = std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
      ASSERT_TRUE(same) << name << " number " << i << ": " << a << ", want " << b;
    }
  }
}

TEST(GgufBlocksGolden, RoundedNumbersAreTheSameBytes) {
  const golden::Fixture fixture("gguf_blocks");
  const Tensor numbers = fixture["numbers"];
  for (const char* name : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}) {
    const Tensor want = fixture[std::string(name) + ".packed"].flatten(), got = at::empty_like(want);
    pack(block_type_named(name)->type, numbers.const_data_ptr<float>(), numbers.numel(), got.data_ptr<uint8_t>());
    EXPECT_TRUE(at::equal(got, want)) << name;
  }
}

}  // namespace
}  // namespace tessera::nn::blocks
