// Model directories: what is saved loads again, and a codec that does not belong is refused by name.
#include "models/infinity/model_files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "models/infinity/testing.h"

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

TEST(ModelFiles, TheFingerprintDoesNotDependOnStoringAsF16) {
  const Path directory = fresh_directory();
  save_model(tiny_infinity(), tiny_codec(), {}, StoredAs::f16, directory);
  EXPECT_NO_THROW(load_model(directory, at::kCPU));
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
