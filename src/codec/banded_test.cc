// Bands of any height give the pixels of a whole pass.
#include "codec/banded.h"

#include <gtest/gtest.h>

#include "codec/codec.h"
#include "tensor/live_bytes.h"

namespace tessera::codec {
namespace {

CodecConfig banded_config() {
  CodecConfig c;
  c.channels = 8;
  c.multipliers = {1, 2, 3};
  c.norm_groups = 4;
  c.bits = 5;
  c.scales = {1, 2, 6};
  c.picture_size = 24;
  return c;
}

TEST(Banded, EveryHeightOfABandGivesThePixelsOfAWholePass) {
  const at::NoGradGuard no_grad;
  at::manual_seed(2);
  for (const int64_t patch : {1, 2}) {
    CodecConfig config = banded_config();
    config.patch = patch;
    config.picture_size *= patch;
    Codec codec(config);
    initialise(codec, 3);
    for_each_tensor(codec, [](const std::string& name, Tensor& t) {
      if (t.dim() == 1) t.normal_(name.find("weight") != std::string::npos ? 1 : 0, 0.3);
    });
    const Tensor codes = at::randn({1, 5, 6, 4});
    const Tensor want = codec.decoder.forward(codes);
    for (const int64_t band : {1, 700, 2000, 1 << 24}) {
      const Tensor got = decode_in_bands(codec.decoder, codes, band);
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_LT((got - want).abs().max().item<double>(), 1e-5) << "band " << band;
    }
  }
}

TEST(Banded, TakesLittleMoreThanTheLargestActivation) {
  const at::NoGradGuard no_grad;
  Codec codec(banded_config());
  initialise(codec, 3);
  const Tensor codes = at::randn({1, 5, 90, 75});
  const int64_t largest = 16 * 360 * 300 * 4, band = 1 << 16;  // after the last upsampling, 16 channels wide
  const LiveBytes counted;
  decode_in_bands(codec.decoder, codes, band);
  EXPECT_GT(counted.peak(), largest);
  EXPECT_LT(counted.peak(), largest * 3 / 2 + 8 * 4 * band);
}

TEST(Banded, LargePicturesAreDecodedSoAndAreTheSame) {
  const at::NoGradGuard no_grad;
  CodecConfig config = banded_config();
  Codec codec(config);
  initialise(codec, 3);
  const Tensor codes = at::randn({2, 5, 180, 150});
  EXPECT_LT((codec.decode(codes) - codec.decoder.forward(codes).clamp(-1, 1)).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace tessera::codec
