// The byte encoder: states of words, and that padding and other rows change nothing.
#include "nn/layers/text_encoder.h"

#include <gtest/gtest.h>

namespace tessera::nn {
namespace {

ByteEncoder small_encoder() {
  ByteEncoder encoder({.width = 16, .depth = 2, .heads = 2, .hidden = 32}, 24);
  initialise(encoder, 7);
  return encoder;
}

TEST(ByteTokens, AreTheBytesAndAnEndToken) {
  const ByteTokens tokens = byte_tokens({"ab", ""}, 10, at::kCPU);
  EXPECT_TRUE(at::equal(tokens.ids, at::tensor({97, 98, 256, 256, 0, 0}, at::kLong).view({2, 3})));
  EXPECT_TRUE(at::equal(tokens.lengths, at::tensor({3, 1}, at::kLong)));
}

TEST(ByteTokens, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(byte_tokens({std::string(1000, 'x')}, 10, at::kCPU).ids.size(1), 10);
  const ByteTokens tokens =
      byte_tokens({"abcd\xF0\x9F\x8D\x8E"}, 7, at::kCPU);  // room for two of the apple's four bytes
  EXPECT_TRUE(at::equal(tokens.ids, at::tensor({97, 98, 99, 100, 256}, at::kLong).view({1, 5})));
}

TEST(ByteEncoder, StatesOfATextDoNotDependOnItsBatch) {
  const ByteEncoder encoder = small_encoder();
  const TextStates alone = encoder.forward(byte_tokens({"red apple"}, 24, at::kCPU));
  const TextStates together = encoder.forward(byte_tokens({"red apple", "a much longer text"}, 24, at::kCPU));
  ASSERT_EQ(alone.states.size(1), 10);
  EXPECT_TRUE(at::allclose(together.states[0].slice(0, 0, 10), alone.states[0], 1e-5, 1e-5));
}

TEST(ByteEncoder, StatesDependOnTheOrderOfLetters) {
  const ByteEncoder encoder = small_encoder();
  const Tensor ab = encoder.forward(byte_tokens({"ab"}, 24, at::kCPU)).states[0][2];
  const Tensor ba = encoder.forward(byte_tokens({"ba"}, 24, at::kCPU)).states[0][2];
  EXPECT_FALSE(at::allclose(ab, ba, 1e-3, 1e-3));
}

TEST(ByteEncoder, InitialWeightsAreAFunctionOfTheSeed) {
  ByteEncoder a = small_encoder(), b = small_encoder(), c = small_encoder();
  initialise(c, 8);
  EXPECT_TRUE(at::equal(a.blocks[1].attention.qkv.weight, b.blocks[1].attention.qkv.weight));
  EXPECT_FALSE(at::equal(a.blocks[1].attention.qkv.weight, c.blocks[1].attention.qkv.weight));
  EXPECT_FALSE(at::equal(a.blocks[0].attention.qkv.weight, a.blocks[1].attention.qkv.weight));
}

}  // namespace
}  // namespace tessera::nn
