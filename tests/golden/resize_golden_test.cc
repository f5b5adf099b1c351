// Bicubic resizing against Pillow (tools/golden/resize_twin.py): equal in every bit.
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

TEST(ResizeGolden, BicubicEqualsPillowInEveryBit) {
  const Fixture pillow("resize");
  const std::vector<Tensor> before = pillow.list("before"), after = pillow.list("after");
  ASSERT_EQ(before.size(), 16u);
  for (size_t i = 0; i < before.size(); ++i) {
    const Image want = picture_from(after[i]);
    EXPECT_EQ(media::resize_bicubic(picture_from(before[i]), want.width, want.height), want)
        << before[i].sizes() << " to " << after[i].sizes();
  }
}

}  // namespace
}  // namespace tessera::golden
