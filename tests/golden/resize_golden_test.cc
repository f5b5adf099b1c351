// Bicubic and Lanczos resizing against Pillow (tools/golden/resize_twin.py): equal in every bit.
#include <gtest/gtest.h>

#include "media/compose.h"
#include "tests/golden/fixture.h"

namespace tessera::golden {
namespace {

Image picture_from(const Tensor& pixels) {
  Image picture(pixels.size(1), pixels.size(0), pixels.size(2));
  const uint8_t* from = pixels.const_data_ptr<uint8_t>();
  std::copy(from, from + picture.pixels.size(), picture.pixels.begin());
  return picture;
}

void expect_equal(const std::string& fixture, Image (*resize)(const Image&, int64_t, int64_t)) {
  const Fixture pillow(fixture);
  const std::vector<Tensor> before = pillow.list("before"), after = pillow.list("after");
  ASSERT_EQ(before.size(), 16u);
  for (size_t i = 0; i < before.size(); ++i) {
    const Image want = picture_from(after[i]);
    EXPECT_EQ(resize(picture_from(before[i]), want.width, want.height), want)
        << fixture << " " << before[i].sizes() << " to " << after[i].sizes();
  }
}

TEST(ResizeGolden, BicubicEqualsPillowInEveryBit) { expect_equal("resize", media::resize_bicubic); }

TEST(ResizeGolden, LanczosEqualsPillowInEveryBit) { expect_equal("resize_lanczos", media::resize_lanczos); }

}  // namespace
}  // namespace tessera::golden
