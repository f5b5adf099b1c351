// Codes, pictures and directories of VQ codecs, and the sizes and settings of vqgan.yaml.
#include "codec/vq/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/json.h"
#include "tensor/build.h"
#include "tests/support/scratch.h"

namespace tessera::vq {
namespace {

using Scratch = tessera::testing::ScratchFolder;

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

VqConfig tiny_config() {
  return {.name = "tiny",
          .picture_size = 16,
          .patch = 2,
          .channels = 8,
          .multipliers = {1, 2},
          .encoder_blocks = 1,
          .decoder_blocks = 1,
          .norm_groups = 4,
          .latent_channels = 6,
          .code_width = 5,
          .codes = 12};
}

VqCodec tiny_codec(uint64_t seed) {
  VqCodec codec(tiny_config());
  initialise(codec, seed);
  codec.codebook.copy_(at::randn({12, 5}, at::detail::createCPUGenerator(seed)));
  return codec;
}

Image patterned(int64_t size, int step) {
  Image picture(size, size, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<uint8_t>(i * static_cast<size_t>(step));
  return picture;
}

constexpr const char* small_yaml = R"(
model:
  params:
    embed_dim: 40
    n_embed: 64   # entries
    ddconfig: {double_z: false, z_channels: 48, resolution: 512, in_channels: 3, out_ch: 3, ch: 32,
               ch_mult: [1, 1, 2], num_res_blocks: 2, attn_resolutions: [128], dropout: 0.0}
    lossconfig: {target: some.Loss, params: {disc_start: 1}}
)";

VqConfig config_of(const std::string& yaml) {
  const Scratch scratch;
  std::ofstream(scratch / "vqgan.yaml") << yaml;
  return read_vqgan_yaml(scratch / "vqgan.yaml");
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(VqConfig, ChameleonsSizesHaveThePublishedTensorsAndParameters) {
  const BuildDevice meta(at::kMeta);
  VqCodec codec{VqConfig{}};
  EXPECT_EQ(count_parameters(codec), 68'718'467);
  EXPECT_EQ(named_tensors(codec).size(), 293u);
  EXPECT_EQ(codec.config.codes_per_picture(), 1024);
}

TEST(VqConfig, InvalidValuesAreRefusedByName) {
  const auto refusal = [](auto change, const std::string& message) {
    VqConfig c = tiny_config();
    change(c);
    EXPECT_THAT([&] { validate(c); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  refusal([](VqConfig& c) { c.codes = 1; }, "codes is 1, want 2 to 1048576");
  refusal([](VqConfig& c) { c.norm_groups = 3; }, "cannot be split into 3 groups");
  refusal([](VqConfig& c) { c.channels = 24, c.norm_groups = 32; }, "24 channels cannot be split into 32 groups");
  refusal([](VqConfig& c) { c.picture_size = 18; }, "picture_size is 18, want a multiple of 4");
  refusal([](VqConfig& c) { c.multipliers = {}; }, "number of multipliers is 0");
  refusal([](VqConfig& c) { c.multipliers = {1, 0}; }, "a multiplier is 0");
}

TEST(VqganYaml, SizesAreReadFromBothKindsOfLists) {
  const VqConfig c = config_of(small_yaml);
  EXPECT_EQ(c.name, "vqgan");
  EXPECT_EQ(c.multipliers, (std::vector<int64_t>{1, 1, 2}));
  EXPECT_EQ(c.attention_resolutions, (std::vector<int64_t>{128}));
  EXPECT_EQ(std::vector<int64_t>({c.picture_size, c.channels, c.encoder_blocks, c.decoder_blocks, c.latent_channels,
                                  c.code_width, c.codes}),
            (std::vector<int64_t>{512, 32, 2, 3, 48, 40, 64}));
  EXPECT_EQ(c.shape().attention, (std::vector<bool>{false, false, true}));
  const std::string block =
      "model:\n  params:\n    embed_dim: 40\n    n_embed: 64\n    ddconfig:\n      z_channels: 48\n"
      "      resolution: 512\n      in_channels: 3\n      out_ch: 3\n      ch: 32\n      ch_mult:\n      - 1\n"
      "      - 1\n      - 2\n      num_res_blocks: 2\n      attn_resolutions:\n      - 128\n";
  EXPECT_EQ(config_of(block), c);
}

TEST(VqganYaml, WhatIsNoSuchVqganIsRefusedInOneLine) {
  const auto refusal = [](const std::string& yaml, const std::string& message) {
    EXPECT_THAT([&] { config_of(yaml); }, ThrowsMessage<UserError>(HasSubstr(message))) << yaml;
  };
  refusal("", "is empty");
  refusal("model: [1, 2", "is no YAML: did not find expected");
  refusal("- 1", "is no table");
  refusal("model: {}", "model.params is missing");
  refusal(with(small_yaml, "double_z: false", "double_z: true"), "want a VQGAN");
  refusal(with(small_yaml, "in_channels: 3", "in_channels: 1"), "ddconfig.in_channels is 1, want 3");
  refusal(with(small_yaml, "n_embed: 64", "n_embed: many"), "model.params.n_embed is \"many\", want a whole number");
  refusal(with(small_yaml, "n_embed: 64", "n_embed: 99999999999999999999"), "want a whole number");
  refusal(with(small_yaml, "ch: 32", "ch: 33"), "cannot be split into 32 groups");
  refusal(with(small_yaml, "ch_mult: [1, 1, 2]", "ch_mult: 7"), "ch_mult is no list");
  refusal(std::string(200, '[') + std::string(200, ']'), "levels");
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'l'; ++c)
    bomb += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c, char(c - 1));
  refusal(bomb, "values");
}

TEST(VqCodec, ACodeIsTheNearestAndTheFirstOfEquals) {
  const Tensor codebook = at::tensor({0.0f, 0.0f, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 3.0f}).view({4, 2});
  const Tensor rows = at::tensor({0.9f, 0.1f, 0.1f, 0.1f, 0.0f, 2.0f, 1.0f, 0.0f}).view({4, 2});
  EXPECT_TRUE(at::equal(nearest_codes(rows, codebook), at::tensor({1, 0, 3, 1}, at::kLong)));
}

TEST(VqCodec, CodesOfManyPicturesAreThoseOfEach) {
  const at::NoGradGuard no_grad;
  const VqCodec codec = tiny_codec(3);
  const Tensor pictures = pictures_to_tensor({patterned(16, 5), patterned(16, 11), patterned(16, 3)}, at::kCPU);
  const Tensor codes = codec.encode(pictures);
  EXPECT_EQ(codes.sizes(), at::IntArrayRef({3, 4, 4}));
  for (int64_t b = 0; b < 3; ++b) EXPECT_TRUE(at::equal(codec.encode(pictures.narrow(0, b, 1))[0], codes[b])) << b;
  EXPECT_EQ(codec.decode(codes.narrow(2, 0, 2)).sizes(), at::IntArrayRef({3, 3, 16, 8}));  // any height and width
}

TEST(VqCodec, CodesOutsideOfTheCodebookAreRefused) {
  const VqCodec codec = tiny_codec(3);
  for (const int64_t bad : {int64_t{12}, int64_t{-1}})
    EXPECT_THAT(
        [&] {
          codec.decode(at::full({1, 4, 4}, bad, at::kLong));
        },
        ThrowsMessage<UserError>(
            HasSubstr(fmt::format("code {} is outside of the codebook 'tiny', want 0 to 11", bad))));
}

TEST(VqCodec, PixelsAreReadInDoublePrecisionAndCutOffWhenWritten) {
  Image all(256, 1, 3);
  for (size_t i = 0; i < all.pixels.size(); ++i) all.pixels[i] = static_cast<uint8_t>(i / 3);
  const Tensor values = pictures_to_tensor({all}, at::kCPU);
  for (int64_t v = 0; v < 256; ++v)
    EXPECT_EQ(values[0][1][0][v].item<float>(), static_cast<float>(static_cast<double>(v) / 255 * 2 - 1)) << v;
  const Tensor between =
      at::tensor({-2.0f, -1.0f, -1.0f + 1.99f * 2 / 255, 1.0f, 3.0f}).view({1, 1, 1, 5}).expand({1, 3, 1, 5});
  const Image written = tensor_to_pictures(between).front();
  EXPECT_EQ(std::vector<int>(
                {written.pixels[0], written.pixels[3], written.pixels[6], written.pixels[9], written.pixels[12]}),
            (std::vector<int>{0, 0, 1, 255, 255}));
}

TEST(VqCodec, TransparentPixelsBecomeWhite) {
  EXPECT_EQ(tensor_to_pictures(pictures_to_tensor({Image(4, 4, 4, 0)}, at::kCPU)).front(), Image(4, 4, 3, 255));
}

TEST(VqCodec, ADirectoryLoadsWhatWasSaved) {
  const Scratch scratch;
  const VqCodec codec = tiny_codec(4);
  save_vq(codec, scratch / "codec", StoredAs::f32);
  EXPECT_TRUE(holds_vq(scratch / "codec"));
  const VqCodec loaded = load_vq(scratch / "codec", at::kCPU);
  EXPECT_EQ(loaded.config, codec.config);
  EXPECT_EQ(fingerprint(loaded), fingerprint(codec));
  EXPECT_NE(fingerprint(loaded), fingerprint(tiny_codec(5)));
  const at::NoGradGuard no_grad;
  const Tensor pictures = at::randn({2, 3, 16, 16});
  EXPECT_TRUE(at::equal(loaded.encode(pictures), codec.encode(pictures)));
}

TEST(VqCodec, WhatIsNoCodecIsRefusedInOneLine) {
  const Scratch scratch;
  EXPECT_THAT([&] { load_vq(scratch.path(), at::kCPU); }, ThrowsMessage<UserError>(HasSubstr("holds no codec")));
  write_file_atomically(scratch / "config.json", R"({"model_type": "llama"})");
  EXPECT_FALSE(holds_vq(scratch.path()));
  EXPECT_THAT([&] { load_vq(scratch.path(), at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("model_type is \"llama\", want \"tessera-vq-codec\"")));
  write_file_atomically(scratch / "vqgan.ckpt", "no archive");
  EXPECT_THAT([&] { load_vq(scratch.path(), at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("vqgan.yaml is missing, which has the sizes of")));
}

}  // namespace
}  // namespace tessera::vq
