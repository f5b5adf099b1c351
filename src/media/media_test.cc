// Pictures in and out, resizing and compositing: laws and hostile bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <webp/encode.h>

#include "core/error.h"
#include "core/rng.h"
#include "media/compose.h"
#include "media/png.h"
#include "media/read_media.h"
#include "media/testing.h"

namespace tessera::media {
namespace {

using ::testing::ElementsAre;

Image noise(int64_t width, int64_t height, int64_t channels, uint64_t seed) {
  Image picture(width, height, channels);
  Rng rng(seed);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(rng.below(256));
  return picture;
}

std::string jpeg_of(const Image& picture) { return testing::jpeg_bytes(picture, {.quality = 100}); }

std::string webp_of(const Image& picture) {
  uint8_t* bytes = nullptr;
  const size_t size =
      WebPEncodeLosslessRGB(picture.pixels.data(), static_cast<int>(picture.width), static_cast<int>(picture.height),
                            static_cast<int>(picture.width * 3), &bytes);
  std::string out(reinterpret_cast<char*>(bytes), size);
  WebPFree(bytes);
  return out;
}

TEST(Png, RoundTripsEveryPixel) {
  for (const int64_t channels : {3, 4}) {
    const Image picture = noise(13, 7, channels, 1);
    EXPECT_EQ(decode_png(encode_png(picture), "test"), picture);
  }
}

TEST(Media, FormatsAreRecognisedByContent) {
  const Image flat = over(Image(16, 16, 4, 0), {200, 30, 60});
  EXPECT_EQ(decode_image(encode_png(flat), "png"), flat);
  EXPECT_EQ(decode_image(webp_of(flat), "webp"), flat);
  const Image jpeg = decode_image(jpeg_of(flat), "jpeg");
  ASSERT_EQ(jpeg.pixels.size(), flat.pixels.size());
  for (size_t i = 0; i < flat.pixels.size(); ++i) EXPECT_NEAR(jpeg.pixels[i], flat.pixels[i], 3);
}

TEST(Media, EveryTruncatedPictureIsAnError) {
  const Image picture = noise(24, 24, 3, 2);
  for (const std::string& whole : {encode_png(picture), jpeg_of(picture), webp_of(picture)}) {
    for (size_t size = 0; size + 16 < whole.size(); size += 37) {
      EXPECT_THROW(decode_image(std::string_view(whole).substr(0, size), "cut"), UserError)
          << size << " of " << whole.size();
    }
  }
}

std::string refusal(std::string_view bytes) {
  try {
    decode_media(bytes, "cat.png", 4);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Media, AFileOfAnotherKindIsRefusedWithWhatItLooksLike) {
  const std::string start = "[media] cat.png is no picture that Tessera reads; it is ";
  const std::string end = ", want a PNG, JPEG, WebP or GIF";
  EXPECT_EQ(refusal(""), start + "empty" + end);
  EXPECT_EQ(refusal("a cat, sitting\n"), start + "text" + end);
  EXPECT_EQ(refusal("<!DOCTYPE html><title>404</title>"), start + "an HTML page" + end);
  EXPECT_EQ(refusal("version https://git-lfs.github.com/spec/v1\n"),
            start + "a Git LFS pointer (fetch the file itself)" + end);
  EXPECT_EQ(refusal("%PDF-1.7"), start + "a PDF" + end);
  EXPECT_EQ(refusal(std::string("BM\0\0", 4)), start + "a BMP picture" + end);
  EXPECT_EQ(refusal(std::string("\0\0\0\x1C"
                                "ftypavif",
                                12)),
            start + "an AVIF picture" + end);
  EXPECT_EQ(refusal(std::string(64, '\x01')), start + "of an unknown kind" + end);
}

TEST(Media, AClipOfAnotherKindIsToldWhichClipsAreRead) {
  const auto told = [](std::string_view start, size_t size = 2000) {
    std::string file(start);
    file.resize(size);
    return refusal(file);
  };
  const std::string start = "[media] cat.png is no clip that Tessera reads; it is ";
  const std::string end = ", want MP4, MOV, WebM or Matroska";
  EXPECT_EQ(told("RIFF\x10\x10\x10\x10"
                 "AVI LIST"),
            start + "an AVI clip" + end);
  EXPECT_EQ(told("FLV\x01\x05"), start + "a Flash clip" + end);
  EXPECT_EQ(told("\x30\x26\xB2\x75\x8E\x66\xCF\x11"), start + "a Windows Media clip" + end);
  EXPECT_EQ(told(std::string_view("\0\0\x01\xBA", 4)), start + "an MPEG program stream" + end);
  for (const size_t step : {188, 192}) {
    std::string stream(10 * step, 'x');
    for (size_t at = step - 188; at < stream.size(); at += step) stream[at] = 'G';
    EXPECT_EQ(refusal(stream), start + "an MPEG transport stream" + end) << step;
  }
  EXPECT_THROW(decode_image("RIFF\x10\x10\x10\x10"
                            "AVI LIST",
                            "a.avi"),
               UserError);
}

TEST(Media, HugeSizesAreRefusedFromTheHeader) {
  std::string png = encode_png(Image(1, 1, 3));
  png.replace(16, 8, std::string("\0\0\xFF\xFF\0\0\xFF\xFF", 8));
  // the checksum of the header: CRC-32 of its type and data
  uint32_t crc = ~0u;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<unsigned char>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  for (size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<char>(~crc >> (24 - 8 * i));
  EXPECT_EQ(refusal(png), "[media] cat.png has an impossible size; got 65535x65535, want at most 67108864 pixels");
  std::string jpeg = jpeg_of(Image(8, 8, 3));
  const size_t frame = jpeg.find(std::string("\xFF\xC0", 2));
  jpeg.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  EXPECT_EQ(refusal(jpeg), "[media] cat.png has an impossible size; got 65500x65500, want at most 67108864 pixels");
  const std::string gif("GIF89a\xFF\xFF\xFF\xFF\x80\0\0\0\0\0\xFF\xFF\xFF;", 20);
  EXPECT_EQ(refusal(gif), "[media] cat.png has an impossible size; got 65535x65535, want at most 67108864 pixels");
}

TEST(Media, StrayBytesBeforeTheEndOfAJpegAreIgnored) {
  const Image picture = noise(16, 16, 3, 9);
  std::string jpeg = jpeg_of(picture);
  const Image clean = decode_image(jpeg, "clean");
  jpeg.insert(jpeg.size() - 2, std::string(5, '\0'));
  EXPECT_EQ(decode_image(jpeg, "stray"), clean);
}

TEST(Png, WithoutAnEndChunkOrWithADamagedOneHasLostNoPixel) {
  const Image picture = noise(9, 7, 3, 8);
  const std::string whole = encode_png(picture);
  EXPECT_EQ(decode_png(whole.substr(0, whole.size() - 12), "no end chunk"), picture);
  EXPECT_EQ(decode_png(whole.substr(0, whole.size() - 5), "half an end chunk"), picture);
  EXPECT_EQ(decode_png(whole.substr(0, whole.size() - 1) + "x", "a wrong checksum of nothing"), picture);
  EXPECT_EQ(decode_png(whole + "more", "bytes behind the end"), picture);
  EXPECT_EQ(decode_png(whole.substr(0, whole.size() - 13), "half a checksum of the pixels"), picture);
  EXPECT_EQ(decode_png(whole.substr(0, whole.size() - 16), "pixels without their checksum"), picture);
  EXPECT_THROW(decode_png(std::string(whole).replace(whole.size() - 13, 1, "x"), "a wrong checksum"), UserError);
  EXPECT_THROW(decode_png(whole.substr(0, whole.size() - 24), "half the pixels' last bytes"), UserError);
}

/// Two pixels, black and white.
std::string small_gif() {
  return std::string("GIF89a\x02\0\x01\0\x80\0\0\0\0\0\xFF\xFF\xFF", 19) +
         std::string(",\0\0\0\0\x02\0\x01\0\0\x02\x02\x44\x0A\0", 15) + ";";
}

TEST(Gif, ZerosBetweenBlocksAndAnEmptyOrNarrowScreenAreReadAround) {
  const std::string gif = small_gif();
  const Image want = decode_image(gif, "plain");
  ASSERT_EQ(want.width, 2);
  ASSERT_EQ(*want.at(1, 0), 255);
  EXPECT_EQ(decode_media(std::string(gif).insert(19, 3, '\0'), "before a frame", 1).frames.front(), want);
  EXPECT_EQ(decode_media(std::string(gif).insert(gif.size() - 1, 3, '\0'), "before the end", 1).frames.front(), want);
  EXPECT_EQ(decode_image(std::string(gif).replace(6, 4, 4, '\0'), "no screen"), want);
  EXPECT_EQ(decode_image(std::string(gif).replace(6, 1, 1, '\x01'), "a narrow screen"), want);
  EXPECT_EQ(decode_media(gif.substr(0, gif.size() - 1), "no end mark", 1).frames.front(), want);
  EXPECT_THROW(decode_media(std::string(gif).insert(19, "x"), "another byte", 1), UserError);
  EXPECT_THROW(decode_media(gif.substr(0, gif.size() - 3), "half a frame", 1), UserError);
  EXPECT_THROW(decode_media(gif.substr(0, 19), "no frame", 1), UserError);
}

TEST(SampledIndexes, AreSpreadFromTheFirstToTheLastWithHalvesToEven) {
  EXPECT_THAT(sampled_indexes(8, 8), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(sampled_indexes(10, 4), ElementsAre(0, 3, 6, 9));
  EXPECT_THAT(sampled_indexes(4, 3), ElementsAre(0, 2, 3));        // 1.5 goes to 2
  EXPECT_THAT(sampled_indexes(6, 3), ElementsAre(0, 2, 5));        // 2.5 goes to 2
  EXPECT_THAT(sampled_indexes(2, 5), ElementsAre(0, 0, 0, 1, 1));  // .25, .5, .75
  EXPECT_THAT(sampled_indexes(100, 1), ElementsAre(0));
  EXPECT_THAT(sampled_indexes(1, 3), ElementsAre(0, 0, 0));
}

TEST(Media, MutatedFilesNeverCrash) {
  const Image picture = noise(16, 16, 3, 3);
  Rng rng(4);
  for (std::string whole : {encode_png(picture), jpeg_of(picture), webp_of(picture)}) {
    for (int round = 0; round < 300; ++round) {
      std::string bytes = whole;
      for (int i = 0; i < 3; ++i) bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
      try {
        decode_image(bytes, "mutated");
      } catch (const UserError&) {
      }
    }
  }
}

TEST(ResizeArea, KeepsAConstantPictureAndTheMeanOfAnyPicture) {
  const Image plain(12, 12, 3, 77);
  EXPECT_EQ(resize_area(plain, 5, 7), Image(5, 7, 3, 77));
  const Image picture = noise(32, 32, 3, 5), small = resize_area(picture, 8, 8);
  double before = 0, after = 0;
  for (const uint8_t value : picture.pixels) before += value;
  for (const uint8_t value : small.pixels) after += value;
  EXPECT_NEAR(before / 16, after, 0.5 * 192);
}

TEST(ResizeArea, TransparentPixelsContributeNoColour) {
  Image half(2, 1, 4, 0);
  half.at(0, 0)[0] = 255;
  half.at(0, 0)[3] = 255;  // red beside clear black
  const Image one = resize_area(half, 1, 1);
  EXPECT_EQ(one.at(0, 0)[0], 255);
  EXPECT_EQ(one.at(0, 0)[3], 128);
}

TEST(ContactSheet, HasRoomForEveryPicture) {
  const Image sheet = contact_sheet(std::vector<Image>(5, Image(10, 10, 3, 9)), {.columns = 3, .gap = 2});
  EXPECT_EQ(sheet.width, 2 + 3 * 12);
  EXPECT_EQ(sheet.height, 2 + 2 * 12);
}

}  // namespace
}  // namespace tessera::media
