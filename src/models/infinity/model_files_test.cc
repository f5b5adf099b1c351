// Model directories: what is saved loads again, and a codec that does not belong is refused by name.
#include "models/infinity/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "models/infinity/testing.h"
#include "nn/layers/adapters.h"
#include "tensor/device.h"

namespace tessera::infinity {
namespace {

/// A directory of this test's own.
Path fresh_directory() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const Path path = Path(::testing::TempDir()) / fmt::format("tessera-{}-{}", test->test_suite_name(), test->name());
  std::filesystem::remove_all(path);
  return path;
}

TEST(ModelFiles, ASavedModelLoadsUnchanged) {
  const Path directory = fresh_directory();
  Infinity model = tiny_infinity();
  save_model(model, tiny_codec(), {.cfg = {2, 3, 4}, .tau = {0.7}, .top_p = 0.9}, StoredAs::f32, directory);
  Bundle bundle = load_model(directory, at::kCPU);
  const auto before = named_tensors(model), after = named_tensors(bundle.model);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i].tensor, after[i].tensor)) << before[i].name;
  EXPECT_EQ(bundle.defaults, (DrawDefaults{.cfg = {2, 3, 4}, .tau = {0.7}, .top_p = 0.9}));
  EXPECT_EQ(bundle.model.config.codec, fingerprint(tiny_codec()));
}

TEST(ModelFiles, TheFingerprintDoesNotDependOnStoringInSixteenBits) {
  for (const StoredAs stored : {StoredAs::f16, StoredAs::bf16}) {
    const Path directory = fresh_directory();
    save_model(tiny_infinity(), tiny_codec(), {}, stored, directory);
    EXPECT_NO_THROW(load_model(directory, at::kCPU));
  }
}

TEST(ModelFiles, PackedBlocksLoadAsTheyWereSaved) {
  InfinityConfig config = tiny_config();
  config.hidden = 64;
  for (const int64_t bits : {4, 8}) {
    const Path directory = fresh_directory();
    Bundle bundle{tiny_infinity(7, config), tiny_codec(), {}};
    const int64_t group = pack_blocks(bundle.model, bits).group;
    EXPECT_EQ(group, bits == 4 ? 32 : 0);
    save_bundle(bundle, StoredAs::bf16, directory, disk(), group);
    Bundle loaded = load_model(directory, at::kCPU);
    EXPECT_EQ(loaded.kept, at::kBFloat16);
    const auto before = nn::named_linears(bundle.model), after = nn::named_linears(loaded.model);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      const bool packs = before[i].name.starts_with("blocks.") && !(bits == 8 && before[i].name.ends_with("fc2"));
      ASSERT_EQ(after[i].linear->packed != nullptr, packs) << before[i].name;
      if (!packs) continue;
      EXPECT_TRUE(after[i].linear->packed->unpack().allclose(before[i].linear->packed->unpack(), 1e-3, 1e-5));
    }
    EXPECT_THROW(pack_blocks(loaded.model, bits), UserError);
  }
  EXPECT_THROW(
      {
        Infinity narrow = tiny_infinity();
        pack_blocks(narrow, 4);
      },
      UserError)
      << "48 is no multiple of 32";
}

TEST(ModelFiles, MatricesAreHeldInTheFormatThatIsAskedFor) {
  const Path directory = fresh_directory();
  save_model(tiny_infinity(), tiny_codec(), {}, StoredAs::f32, directory);
  const auto held = [&](const char* dtype) {
    return load_model(read_model_directory(directory), {.dtype = dtype, .writable = false});
  };
  const Bundle narrow = held("bf16"), small = held("auto");
  EXPECT_EQ(narrow.model.blocks[0].ffn.fc1.weight.scalar_type(), at::kBFloat16);
  EXPECT_EQ(narrow.model.blocks[0].ca_norm.weight.scalar_type(), at::kFloat);
  EXPECT_EQ(narrow.model.head.weight.scalar_type(), at::kFloat);
  EXPECT_EQ(narrow.kept, at::kBFloat16);
  EXPECT_EQ(small.model.blocks[0].ffn.fc1.weight.scalar_type(), at::kFloat);
  EXPECT_EQ(small.kept, at::kFloat);
  EXPECT_THROW(held("fp8"), UserError);
}

TEST(ModelFiles, BlocksMultiplyInBf16WhereExactIsNotAskedForAndNothingElseChanges) {
  const Path directory = fresh_directory();
  save_model(tiny_infinity(), tiny_codec(), {}, StoredAs::f16, directory);
  const auto loaded = [&](std::string dtype, bool exact) {
    return load_model(read_model_directory(directory), {.dtype = std::move(dtype), .exact = exact, .writable = false});
  };
  Bundle exact = loaded("auto", true), quick = loaded("auto", false), fp32 = loaded("fp32", false);
  const bool rounds = multiplies_bfloat16(at::kCPU);
  EXPECT_EQ(quick.kept, at::kFloat);
  for (const nn::NamedLinear& each : nn::named_linears(quick.model)) {
    const bool block = rounds && each.name.starts_with("blocks.");
    EXPECT_EQ(each.linear->weight.scalar_type(), block ? at::kBFloat16 : at::kFloat) << each.name;
    EXPECT_EQ(each.linear->bf16_products, block) << each.name;
  }
  for (const nn::NamedLinear& each : nn::named_linears(fp32.model))
    EXPECT_EQ(each.linear->weight.scalar_type(), at::kFloat) << each.name;
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const Positions positions = positions_of(exact.model.config, schedule_for(exact.model.config), at::kCPU);
  const Tensor features = at::randn({2, positions.levels.size(0) - 1, exact.model.config.bits_per_token()});
  const auto logits = [&](const Infinity& model) {
    return model.forward(features, model.condition(model.encode({"red apple", "tulip"})), positions);
  };
  const Tensor want = logits(exact.model), got = logits(quick.model);
  EXPECT_LT(((got - want).norm() / want.norm()).item<double>(), 2e-2);
  EXPECT_EQ(at::equal(got, want), !rounds);
}

TEST(ModelFiles, ACodecWithOtherWeightsIsRefusedByBothFingerprints) {
  const Path directory = fresh_directory();
  save_model(tiny_infinity(), tiny_codec(5), {}, StoredAs::f32, directory);
  codec::save_codec(tiny_codec(6), directory / "codec", StoredAs::f32, disk());
  const std::string wanted = fingerprint(tiny_codec(5)), found = fingerprint(tiny_codec(6));
  EXPECT_THAT(
      [&] { load_model(directory, at::kCPU); },
      ::testing::ThrowsMessage<UserError>(::testing::AllOf(::testing::HasSubstr(wanted), ::testing::HasSubstr(found))));
}

TEST(ModelFiles, ACodecOfOtherBitsOrScalesIsRefused) {
  for (const bool other_bits : {true, false}) {
    const Path directory = fresh_directory();
    save_model(tiny_infinity(), tiny_codec(), {}, StoredAs::f32, directory);
    codec::CodecConfig other = tiny_codec_config();
    other.name = "other";
    if (other_bits) other.bits = 8;
    else other.scales = {1, 3};
    codec::save_codec(tiny_codec(5, other), directory / "codec", StoredAs::f32, disk());
    EXPECT_THAT([&] { load_model(directory, at::kCPU); },
                ::testing::ThrowsMessage<UserError>(
                    ::testing::AllOf(::testing::HasSubstr("'other'"), ::testing::HasSubstr("tiny/d4"))));
  }
}

TEST(ModelFiles, ADirectoryOfAnotherKindIsRefused) {
  const Path directory = fresh_directory();
  EXPECT_THROW(load_model(directory, at::kCPU), UserError);
  codec::save_codec(tiny_codec(), directory, StoredAs::f32, disk());
  EXPECT_THROW(load_model(directory, at::kCPU), UserError);
}

}  // namespace
}  // namespace tessera::infinity
