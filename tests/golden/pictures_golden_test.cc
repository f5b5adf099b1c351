// Every kind of picture against Pillow (tools/golden/pictures_twin.py): equal in every bit, frame by frame.
#include <gtest/gtest.h>

#include <algorithm>

#include "media/compose.h"
#include "media/decoders.h"
#include "media/read_media.h"
#include "tests/golden/fixture.h"

namespace tessera::golden {
namespace {

std::string bytes_of(const Tensor& file) {
  return {reinterpret_cast<const char*>(file.const_data_ptr<uint8_t>()), static_cast<size_t>(file.numel())};
}

Image picture_of(const Tensor& pixels) {
  Image picture(pixels.size(1), pixels.size(0), pixels.size(2));
  const uint8_t* from = pixels.contiguous().const_data_ptr<uint8_t>();
  std::copy(from, from + picture.pixels.size(), picture.pixels.begin());
  return picture;
}

/// Colours of fully transparent pixels are not compared.
Image without_hidden_colours(Image picture) {
  for (size_t i = 0; picture.channels == 4 && i < picture.pixels.size(); i += 4) {
    if (picture.pixels[i + 3] == 0) std::fill_n(&picture.pixels[i], 3, uint8_t{0});
  }
  return picture;
}

void expect_picture(const Fixture& pillow, const std::string& name) {
  const Image want = picture_of(pillow[name + ".pixels"]);
  const Image got = media::decode_image(bytes_of(pillow[name + ".file"]), name);
  EXPECT_EQ(got.width, want.width) << name;
  EXPECT_EQ(got.channels, want.channels) << name;
  EXPECT_TRUE(without_hidden_colours(got) == without_hidden_colours(want)) << name;
}

TEST(PicturesGolden, PngsOfEveryDepthColourAndOrderEqualPillows) {
  const Fixture pillow("pictures");
  for (const char* name : {"grey", "grey_alpha", "bits", "palette", "palette_alpha", "grey_key", "rgb_key", "turned",
                           "grey16", "rgb16", "rgba16", "gamma", "interlaced", "interlaced_small"}) {
    expect_picture(pillow, std::string("png.") + name);
  }
}

TEST(PicturesGolden, JpegsOfEveryColourSpaceAndOrientationEqualPillows) {
  const Fixture pillow("pictures");
  for (const char* name : {"halved", "full", "progressive", "grey", "cmyk", "ycck", "turned1", "turned2", "turned3",
                           "turned4", "turned5", "turned6", "turned7", "turned8"}) {
    expect_picture(pillow, std::string("jpeg.") + name);
  }
}

TEST(PicturesGolden, WebpsEqualPillows) {
  const Fixture pillow("pictures");
  for (const char* name : {"lossy", "lossless", "lossy_alpha", "lossless_alpha", "turned"}) {
    expect_picture(pillow, std::string("webp.") + name);
  }
}

/// All frames of an animation, as RGBA, in order.
std::vector<Image> frames_of(const std::string& name, const std::string& file) {
  std::vector<Image> frames;
  const auto keep = [&](int64_t, const Image& canvas) {
    frames.push_back(canvas.channels == 4 ? canvas : media::pad_to_square(canvas));
    if (canvas.channels == 3)
      frames.back() = media::crop(frames.back(), 0, (canvas.width - canvas.height) / 2, canvas.width, canvas.height);
    return true;
  };
  if (name.starts_with("gif")) media::play_gif(file, name, keep);
  else media::play_webp(file, name, keep);
  return frames;
}

TEST(PicturesGolden, AnimationFramesAreComposedAsByPillow) {
  const Fixture pillow("pictures");
  for (const std::string name :
       {"gif.plain", "gif.interlaced", "gif.key", "gif.dispose0_rgb", "gif.dispose0_rgba", "gif.dispose1_rgb",
        "gif.dispose1_rgba", "gif.dispose2_rgb", "gif.dispose2_rgba", "gif.dispose3_rgb", "gif.dispose3_rgba",
        "gif.local_palettes", "webp.moving_rgb", "webp.moving_rgba"}) {
    const std::string file = bytes_of(pillow[name + ".file"]);
    const Tensor& want = pillow[name + ".pixels"];
    const std::vector<Image> frames = frames_of(name, file);
    ASSERT_EQ(static_cast<int64_t>(frames.size()), want.size(0)) << name;
    EXPECT_EQ(name.starts_with("gif") ? media::count_gif_frames(file, name) : media::count_webp_frames(file, name),
              want.size(0));
    for (int64_t i = 0; i < want.size(0); ++i) {
      EXPECT_TRUE(without_hidden_colours(frames[i]) == without_hidden_colours(picture_of(want[i]))) << name << " " << i;
    }
  }
}

TEST(PicturesGolden, AnAnimatedFileIsAClipAndAStillOneIsNot) {
  const Fixture pillow("pictures");
  const Media moving = media::decode_media(bytes_of(pillow["gif.dispose1_rgb.file"]), "moving.gif", 3);
  EXPECT_TRUE(moving.clip);
  ASSERT_EQ(moving.frames.size(), 3u);  // of 4: 0, 1.5 to the even 2, 3
  EXPECT_EQ(moving.frames[1], media::over(picture_of(pillow["gif.dispose1_rgb.pixels"][2]), media::white));
  EXPECT_EQ(moving.source, "moving.gif");
  const Media still = media::decode_media(bytes_of(pillow["gif.plain.file"]), "still.gif", 3);
  EXPECT_FALSE(still.clip);
  EXPECT_EQ(still.frames.size(), 1u);
}

}  // namespace
}  // namespace tessera::golden
