// Released checkpoints: names and shapes of both files. Numbers are in released_parity_test.cc.
#include "models/infinity/released.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/infinity/testing.h"
#include "tests/support/scratch.h"

namespace tessera::infinity {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

codec::CodecConfig tiny_vae() {
  codec::CodecConfig c = tiny_codec_config();
  c.multipliers = {1, 1, 2, 2, 2};
  c.scales = {1, 2, 4, 6, 8, 12, 16};
  c.picture_size = 256;
  c.channels = 32;
  c.norm_groups = 32;  // which no shape tells; as released
  return c;
}

InfinityConfig without_encoder() {
  InfinityConfig c = tiny_config();
  c.depth = 4;
  c.levels = 15;
  c.scales = {};
  c.pixels = "0.06M";
  c.text_encoder.reset();
  return c;
}

/// Both files of a small model in the released names.
class Released : public ::testing::Test {
 protected:
  Released() : codec(tiny_codec(5, tiny_vae())), model(tiny_infinity(7, without_encoder())) {
    save(transformer(), named_tensors(model), released_name);
    save(vae(), named_tensors(codec), inserted_name);
  }
  Path transformer() const { return folder_ / "infinity_125M_256x256.safetensors"; }
  Path vae() const { return folder_ / "infinity_vae_d16.safetensors"; }
  static void save(const Path& file, std::vector<NamedTensor> tensors, std::string (*name)(const std::string&)) {
    for (NamedTensor& each : tensors) each.name = name(each.name);
    save_tensors(file, tensors, disk(), {.stored_as = StoredAs::f32});
  }
  /// Four blocks in two chunks.
  static std::string released_name(const std::string& name) {
    if (!name.starts_with("blocks.")) return name;
    const int block = name[7] - '0';
    return fmt::format("block_chunks.{}.module.{}{}", block / 2, block % 2, name.substr(8));
  }
  static std::string inserted_name(const std::string& name) {
    const size_t last = name.rfind('.');
    const std::string module = name.substr(0, last), own = module.substr(module.rfind('.') + 1);
    const char* inserted = own.starts_with("norm") ? ".norm" : ".conv";
    return "vae." + module + inserted + name.substr(last);
  }

  tessera::testing::ScratchFolder folder_;
  codec::Codec codec;
  Infinity model;
};

TEST_F(Released, APairIsReadFromItsNamesAndShapes) {
  Bundle bundle = load_released(transformer(), vae(), pixels_of_file(transformer()));
  InfinityConfig want = without_encoder();
  want.codec = fingerprint(bundle.codec);
  EXPECT_TRUE(bundle.model.config == want);
  codec::CodecConfig vae_config = tiny_vae();
  vae_config.name = "infinity_vae_d16";
  EXPECT_TRUE(bundle.codec.config == vae_config);
  const auto got = named_tensors(bundle.model), all = named_tensors(model);
  ASSERT_EQ(got.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(got[i].tensor.equal(all[i].tensor)) << all[i].name;
}

TEST_F(Released, NothingMayBeMissingOrLeftOver) {
  auto tensors = named_tensors(model);
  tensors.pop_back();
  tensors.push_back({"stray", at::zeros({2})});
  save(transformer(), tensors, released_name);
  EXPECT_THAT([&] { load_released(transformer(), vae(), "0.06M"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("head.bias"), HasSubstr("stray"))));
}

TEST_F(Released, PairsThatDoNotBelongTogetherAreRefused) {
  codec::CodecConfig other = tiny_vae();
  other.bits = 6;
  const codec::Codec wrong = tiny_codec(5, other);
  codec::Codec handles = wrong;
  save(vae(), named_tensors(handles), inserted_name);
  EXPECT_THAT([&] { load_released(transformer(), vae(), "0.06M"); },
              ThrowsMessage<UserError>(HasSubstr("writes 4 bits a token, but the VAE has 6 bits a position")));
  EXPECT_THAT([&] { load_released(vae(), transformer(), "0.06M"); },
              ThrowsMessage<UserError>(HasSubstr("is it the file that its name says?")));
}

TEST_F(Released, AFolderWithoutItsTransformerSaysSo) {
  std::filesystem::copy(vae(), folder_ / "infinity_vae_d16.pth");
  EXPECT_THAT([&] { released_folder(folder_.path()); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("holds infinity_vae_d16.pth, but no transformer"),
                                             HasSubstr("infinity_125M_256x256.pth"))));
  std::filesystem::copy(transformer(), folder_ / "infinity_125M_256x256.pth");
  EXPECT_THAT([&] { released_folder(folder_.path()); }, ThrowsMessage<UserError>(HasSubstr("0 folders of a T5")));
}

TEST(ReleasedNames, SayAreaAndTheVaeThatIsEasilyMistaken) {
  EXPECT_EQ(pixels_of_file("a/infinity_2b_reg.pth"), "1M");
  EXPECT_EQ(pixels_of_file("infinity_125M_256x256.pth"), "0.06M");
  EXPECT_EQ(pixels_of_file("infinity_8b_512x512_weights"), "0.25M");
  EXPECT_TRUE(is_unregularised_vae("x/infinity_vae_d32.pth"));
  EXPECT_FALSE(is_unregularised_vae("infinity_vae_d32reg.pth"));
  EXPECT_FALSE(is_unregularised_vae("infinity_vae_d32_reg.pth"));
}

}  // namespace
}  // namespace tessera::infinity
