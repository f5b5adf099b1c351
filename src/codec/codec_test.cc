// The autoencoder against the released sizes, codec directories, and the objective's gradients.
#include "codec/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>

#include "codec/banded.h"
#include "codec/objective.h"
#include "core/error.h"
#include "core/json.h"
#include "tensor/build.h"

namespace tessera::codec {
namespace {

CodecConfig tiny_config() {
  CodecConfig c;
  c.name = "tiny";
  c.picture_size = 16;
  c.patch = 2;
  c.channels = 8;
  c.multipliers = {1, 2};
  c.encoder_blocks = 1;
  c.decoder_blocks = 1;
  c.middle_blocks = 1;
  c.norm_groups = 4;
  c.bits = 6;
  c.scales = {1, 2, 4};
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

TEST(CodecConfig, InvalidValuesAreRefusedByName) {
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
  EXPECT_THAT(message([](CodecConfig& c) { c.patch = 0; }), ::testing::HasSubstr("patch is 0, want 1 to 64"));
  EXPECT_THAT(message([](CodecConfig& c) { c.decoder_blocks = 1'000'000'000; }), ::testing::HasSubstr("want 1 to 64"));
  EXPECT_THAT(message([](CodecConfig& c) { c.middle_blocks = -1; }), ::testing::HasSubstr("middle_blocks is -1"));
  EXPECT_THAT(message([](CodecConfig& c) { c.picture_size = -16; }), ::testing::HasSubstr("picture_size is -16"));
  EXPECT_THROW(codec_preset("f16-d15"), UserError);
}

TEST(Codec, PicturesSurviveTheRoundTripThroughTensors) {
  const std::vector<Image> pictures{striped(16, 7), striped(16, 3)};
  EXPECT_EQ(tensor_to_pictures(pictures_to_tensor(pictures, at::kCPU)), pictures);
}

TEST(Codec, TransparentPixelsBecomeWhite) {
  const Image clear(16, 16, 4, 0);
  EXPECT_EQ(tensor_to_pictures(pictures_to_tensor({clear}, at::kCPU)).front(), Image(16, 16, 3, 255));
}

TEST(Codec, ThePictureDependsOnTheBitsAloneAndOnEachOfThemForAnyNumberOfBits) {
  for (const int64_t bits : {1, 33, 64}) {
    CodecConfig config = tiny_config();
    config.bits = bits;
    Codec codec(config);
    initialise(codec, 3);
    const at::NoGradGuard no_grad;
    const Tensor pictures = pictures_to_tensor({striped(16, 5)}, at::kCPU);
    const ResidualCodes codes = quantise(codec.encode(pictures), codec.scales());
    const Tensor decoded = codec.decode(codes.sums.back());
    EXPECT_TRUE(at::equal(codec.decode(sum_codes(codes.bits, {4, 4})), decoded)) << bits;
    for (int64_t bit = 0; bit < bits; ++bit) {
      std::vector<Tensor> changed = codes.bits;
      changed.back() = changed.back().clone();
      changed.back().select(1, bit).logical_not_();
      EXPECT_FALSE(at::equal(codec.decode(sum_codes(changed, {4, 4})), decoded)) << bit << " of " << bits;
    }
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

TEST(Codec, ADecoderInBf16GivesNearlyThePictureAndTheSameAloneAsAmongOthers) {
  Codec exact(tiny_config());
  initialise(exact, 5);
  Codec reduced = exact;
  multiply_in_bf16(reduced.decoder);
  at::manual_seed(2);
  const Tensor codes = at::randn({3, 6, 4, 4});
  const at::NoGradGuard no_grad;
  const Tensor whole = reduced.decode(codes), wanted = exact.decode(codes);
  EXPECT_FALSE(at::equal(whole, wanted)) << "nothing was rounded";
  EXPECT_GT(psnr(whole, wanted).min().item<double>(), 45);
  EXPECT_TRUE(at::equal(reduced.decode(codes.slice(0, 1, 2)), whole.slice(0, 1, 2)));
  EXPECT_GT(psnr(decode_in_bands(reduced.decoder, codes.slice(0, 0, 1), 64), wanted.slice(0, 0, 1)).item<double>(), 45);
  const Path directory = fresh_directory("bf16");
  save_codec(reduced, directory, StoredAs::f32, disk());
  EXPECT_TRUE(at::equal(load_codec(directory, at::kCPU).decode(codes), wanted))
      << "the weights are not what is rounded";
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

/// The gradients of all tensors that learn, by name; they are taken off the tensors.
std::map<std::string, Tensor> taken_gradients(CodecObjective& objective) {
  std::map<std::string, Tensor> gradients;
  for (const auto& p : objective.parameters()) {
    EXPECT_TRUE(p.tensor.grad().defined()) << p.name << " gets no gradient";
    gradients[p.name] = p.tensor.grad().defined() ? p.tensor.grad().clone() : at::zeros_like(p.tensor);
    p.tensor.mutable_grad().reset();
  }
  return gradients;
}

TEST(CodecObjective, TheEncoderGetsTheDecodersGradientStraightThrough) {
  Codec codec(tiny_config());
  initialise(codec, 5);
  CodecObjective objective(codec, {.l1 = 1, .mse = 2, .commitment = 0, .entropy = 0, .drop_scales = 0},
                           {striped(16, 5)}, at::kCPU);
  for (const auto& p : objective.parameters()) p.tensor.requires_grad_(true);
  const std::vector<Sample> batch{{.picture = striped(16, 5)}, {.picture = striped(16, 9)}};
  objective.loss(batch, {}).value.backward();
  const auto got = taken_gradients(objective);

  // The second way: the decoder's gradient with respect to its input, a leaf, is handed to the encoder's output.
  const Tensor pictures = pictures_to_tensor({striped(16, 5), striped(16, 9)}, at::kCPU);
  const Tensor latent = codec.encode(pictures);
  const Tensor sum = quantise(latent.detach(), codec.scales()).sums.back().requires_grad_(true);
  const Tensor error = codec.decoder.forward(sum) - pictures;
  (error.abs().mean() + 2 * error.square().mean()).backward();
  latent.backward(sum.grad());
  for (const auto& [name, want] : taken_gradients(objective)) {
    const double size = want.abs().max().item<double>();
    EXPECT_GT(size, 0) << name;
    EXPECT_NEAR((got.at(name) - want).abs().max().item<double>(), 0, 1e-4 * size) << name;
  }
}

TEST(CodecObjective, AFrozenEncoderKeepsItsBitsWhileTheDecoderLearns) {
  Codec codec(tiny_config());
  initialise(codec, 8);
  CodecObjective objective(codec, {.freeze_encoder = true}, {striped(16, 5)}, at::kCPU);
  for (const auto& p : objective.parameters()) p.tensor.requires_grad_(true);
  const std::vector<Sample> kept{{.picture = striped(16, 5), .picture_id = 1},
                                 {.picture = striped(16, 9), .picture_id = 2}};
  const std::vector<Sample> fresh{{.picture = striped(16, 5)}, {.picture = striped(16, 9)}};  // encoded every time
  const auto codes = [&] {
    const at::NoGradGuard no_grad;
    return quantise(codec.encode(pictures_to_tensor({striped(16, 5), striped(16, 9)}, at::kCPU)), codec.scales());
  };
  const ResidualCodes before = codes();
  const Tensor first = objective.loss(kept, {}).value;
  first.backward();
  {
    const at::NoGradGuard no_grad;
    for (const auto& p : objective.parameters()) p.tensor.sub_(p.tensor.grad(), 1e-3);
  }
  for (size_t k = 0; k < before.bits.size(); ++k) EXPECT_TRUE(at::equal(codes().bits[k], before.bits[k])) << k;
  const double learned = objective.loss(kept, {}).value.item<double>();
  EXPECT_LT(learned, first.item<double>());
  EXPECT_NEAR(learned, objective.loss(fresh, {}).value.item<double>(), 1e-6) << "codes that are kept by picture_id";
}

/// Striped pictures of 32 pixels.
class Stripes final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.picture = striped(32, 3 + static_cast<int>(index % 5))}; }
  std::optional<uint64_t> pass_length() const override { return 5; }
};

TEST(CodecObjective, ADecoderOfAnotherSizeLearnsOnBitsThatStay) {
  Codec small(tiny_config());
  initialise(small, 8);
  const Path start = fresh_directory("start");
  save_codec(small, start, StoredAs::f32, disk());

  train::Recipe recipe;
  CodecConfig large = tiny_config();
  large.picture_size = 32, large.upscale = 2, large.decoder_blocks = 3, large.decoder_channels = 12;
  large.decoder_multipliers = {1, 3};
  recipe.model = to_json(large);
  recipe.loss = {{"start", start.string()}, {"freeze_encoder", true}, {"flip_percent", 10}};
  const Stripes stripes;
  const auto made = make_codec_objective(recipe, stripes, at::kCPU);
  const Codec& codec = dynamic_cast<const CodecObjective&>(*made).codec();
  EXPECT_EQ(codec.config.spatial_factor(), 8);
  EXPECT_EQ(codec.config.fingerprint(), small.config.fingerprint()) << "the bits mean the same";

  const at::NoGradGuard no_grad;
  const Tensor pictures = pictures_to_tensor({striped(32, 5)}, at::kCPU);
  const Tensor seen = at::avg_pool2d(pictures, 2);  // [1, 3, 16, 16]: what the small codec was made for
  const ResidualCodes codes = quantise(codec.encode(pictures), codec.scales());
  EXPECT_TRUE(at::equal(codes.bits[2], quantise(small.encode(seen), small.scales()).bits[2]));
  EXPECT_EQ(codec.decode(codes.sums.back()).sizes(), at::IntArrayRef({1, 3, 32, 32}));

  recipe.loss["freeze_encoder"] = false;
  recipe.loss["flip_percent"] = 0;
  EXPECT_THAT(
      [&] { make_codec_objective(recipe, stripes, at::kCPU); },
      ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("with freeze_encoder their decoders may differ")));
  recipe.loss["flip_percent"] = 10;
  EXPECT_THAT([&] { make_codec_objective(recipe, stripes, at::kCPU); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("flip_percent wants freeze_encoder")));
}

TEST(CodecObjective, PsnrOfAScaleIsTheMeanOverPicturesDecodedFromTheScalesUpToIt) {
  Codec codec(tiny_config());
  initialise(codec, 6);
  const std::vector<Image> pictures{striped(16, 5), striped(16, 2), striped(16, 11)};
  const std::vector<double> measured = psnr_per_scale(codec, pictures, at::kCPU);
  ASSERT_EQ(measured.size(), 3u);
  const at::NoGradGuard no_grad;
  for (size_t k = 0; k < 3; ++k) {
    double sum = 0;
    for (const Image& picture : pictures) {
      const Tensor truth = pictures_to_tensor({picture}, at::kCPU);
      std::vector<Tensor> bits = quantise(codec.encode(truth), codec.scales()).bits;
      bits.resize(k + 1);
      const Tensor error = (codec.decode(sum_codes(bits, {4, 4})) - truth) / 2;  // of a range of 1
      sum += -10 * std::log10(error.square().mean().item<double>());
    }
    EXPECT_NEAR(measured[k], sum / 3, 1e-3) << k;
  }
}

TEST(Psnr, OfATenthOfTheRangeIsTwentyDecibels) {
  const Tensor a = at::zeros({1, 3, 4, 4});
  EXPECT_NEAR(psnr(a, a + 0.2).item<double>(), 20.0, 1e-4);  // error 0.1 of the range: 20 dB
}

}  // namespace
}  // namespace tessera::codec
