// The autoencoder against the released sizes, codec directories, and the objective's gradients.
#include "codec/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include "codec/objective.h"
#include "core/error.h"
#include "core/json.h"
#include "tensor/build.h"

namespace tessera::codec {
namespace {

CodecConfig tiny_config() {
  CodecConfig c;
  c.name = "tiny", c.picture_size = 16, c.patch = 2, c.channels = 8, c.multipliers = {1, 2};
  c.encoder_blocks = 1, c.decoder_blocks = 1, c.middle_blocks = 1, c.norm_groups = 4, c.bits = 6, c.scales = {1, 2, 4};
  return c;
}

Path fresh_directory(const std::string& name) {
  const Path path = Path(::testing::TempDir()) / ("codec_test_" + name);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

Image striped(int64_t size, int step) {
  Image picture(size, size, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i)
    picture.pixels[i] = static_cast<uint8_t>(i * static_cast<size_t>(step));
  return picture;
}

TEST(CodecPresets, ParameterCountsAreThoseOfTheReleasedVaes) {
  const BuildDevice meta(at::kMeta);
  const std::vector<std::pair<std::string, double>> released{
      {"f16-d16", 109.97}, {"f16-d32", 110.12}, {"f16-d64", 110.41}, {"f8-d14", 81.62}};
  for (const auto& [name, millions] : released) {
    Codec codec(codec_preset(name));
    EXPECT_NEAR(static_cast<double>(count_parameters(codec)) / 1e6, millions, 0.005) << name;
  }
}

TEST(CodecPresets, EveryPresetIsValidAndRoundTripsThroughJson) {
  for (const std::string& name : codec_preset_names()) {
    const CodecConfig preset = codec_preset(name);
    EXPECT_NO_THROW(validate(preset)) << name;
    CodecConfig read;
    from_json(to_json(preset), read, "test");
    EXPECT_EQ(read, preset) << name;
  }
}

TEST(CodecConfig, MistakesAreNamed) {
  const auto message = [](auto change) {
    CodecConfig c = tiny_config();
    change(c);
    try {
      validate(c);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message([](CodecConfig& c) { c.bits = 65; }), ::testing::HasSubstr("bits is 65, want 1 to 64"));
  EXPECT_THAT(message([](CodecConfig& c) { c.scales = {1, 2}; }), ::testing::HasSubstr("scales end at 2, want 4"));
  EXPECT_THAT(message([](CodecConfig& c) { c.scales = {3, 2, 4}; }), ::testing::HasSubstr("must grow"));
  EXPECT_THAT(message([](CodecConfig& c) { c.picture_size = 18; }), ::testing::HasSubstr("want a multiple of 4"));
  EXPECT_THAT(message([](CodecConfig& c) { c.norm_groups = 5; }), ::testing::HasSubstr("groups"));
  EXPECT_THROW(codec_preset("f16-d15"), UserError);
}

TEST(Codec, PicturesGoThroughTensorsAndBackUnchanged) {
  const std::vector<Image> pictures{striped(16, 7), striped(16, 3)};
  EXPECT_EQ(tensor_to_pictures(pictures_to_tensor(pictures, at::kCPU)), pictures);
}

TEST(Codec, TransparentPixelsAreSeenOnWhite) {
  const Image clear(16, 16, 4, 0);
  EXPECT_EQ(tensor_to_pictures(pictures_to_tensor({clear}, at::kCPU)).front(), Image(16, 16, 3, 255));
}

TEST(Codec, AnyNumberOfBitsEncodesAndDecodes) {
  for (const int64_t bits : {1, 33, 64}) {
    CodecConfig config = tiny_config();
    config.bits = bits;
    Codec codec(config);
    initialise(codec, 3);
    const at::NoGradGuard no_grad;
    const Tensor pictures = pictures_to_tensor({striped(16, 5)}, at::kCPU);
    const ResidualCodes codes = quantise(codec.encode(pictures), codec.scales());
    EXPECT_EQ(codes.bits.back().sizes(), (std::vector<int64_t>{1, bits, 4, 4}));
    EXPECT_EQ(codec.decode(codes.sums.back()).sizes(), pictures.sizes());
  }
}

TEST(Codec, ADirectoryLoadsWhatWasSaved) {
  const Path directory = fresh_directory("round_trip");
  Codec codec(tiny_config());
  initialise(codec, 4);
  save_codec(codec, directory, StoredAs::f32, disk());
  const Codec loaded = load_codec(directory, at::kCPU);
  EXPECT_EQ(loaded.config, codec.config);
  const at::NoGradGuard no_grad;
  const Tensor pictures = at::randn({2, 3, 16, 16});
  EXPECT_TRUE(at::equal(loaded.encode(pictures), codec.encode(pictures)));
}

TEST(Codec, AnotherModelsDirectoryIsRefused) {
  const Path directory = fresh_directory("refused");
  write_file_atomically(directory / "config.json", R"({"model_type": "llama"})");
  try {
    load_codec(directory, at::kCPU);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("model_type is \"llama\", want \"tessera-bsq-codec\""));
  }
}

TEST(CodecObjective, TheEncoderGetsTheDecodersGradientStraightThrough) {
  Codec codec(tiny_config());
  initialise(codec, 5);
  CodecObjective objective(codec, {.commitment = 0, .entropy = 0}, {striped(16, 5)}, at::kCPU);
  for (const auto& p : objective.parameters()) p.tensor.requires_grad_(true);
  const std::vector<Sample> batch{{.picture = striped(16, 5)}, {.picture = striped(16, 9)}};
  objective.loss(batch, {}).value.backward();
  double smallest = 1e9;
  for (const auto& p : objective.parameters())
    smallest = std::min(smallest, p.tensor.grad().defined() ? p.tensor.grad().abs().max().item<double>() : 0.0);
  EXPECT_GT(smallest, 0) << "every tensor of encoder and decoder learns";
}

TEST(CodecObjective, AFrozenEncoderKeepsItsBitsWhileTheDecoderLearns) {
  Codec codec(tiny_config());
  initialise(codec, 8);
  CodecObjective objective(codec, {.freeze_encoder = true}, {striped(16, 5)}, at::kCPU);
  for (const auto& p : objective.parameters()) EXPECT_THAT(p.name, ::testing::StartsWith("decoder."));
  for (const auto& p : objective.parameters()) p.tensor.requires_grad_(true);
  const std::vector<Sample> batch{{.picture = striped(16, 5), .picture_id = 1}, {.picture = striped(16, 9)}};
  const double first = objective.loss(batch, {}).value.item<double>(),
               again = objective.loss(batch, {}).value.item<double>();
  EXPECT_EQ(first, again) << "kept codes are the codes";
}

TEST(CodecObjective, PsnrPerScaleCountsEveryScale) {
  Codec codec(tiny_config());
  initialise(codec, 6);
  EXPECT_EQ(psnr_per_scale(codec, {striped(16, 5), striped(16, 2)}, at::kCPU).size(), 3u);
}

TEST(Psnr, OfAKnownErrorIsKnown) {
  const Tensor a = at::zeros({1, 3, 4, 4});
  EXPECT_NEAR(psnr(a, a + 0.2).item<double>(), 20.0, 1e-4);  // error 0.1 of the range: 20 dB
}

}  // namespace
}  // namespace tessera::codec
