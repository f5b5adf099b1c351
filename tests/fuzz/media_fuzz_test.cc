// Seeded mutations of pictures and clips: each is read or refused by one line that names the file.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "media/decoders.h"
#include "media/read_media.h"
#include "tests/fuzz/mutate.h"
#include "tests/golden/fixture.h"

namespace tessera::testing {
namespace {

using Words = std::vector<std::string>;

Words files_of(const char* fixture, const std::vector<const char*>& names) {
  const golden::Fixture stored(fixture);
  Words files;
  for (const char* name : names) {
    const Tensor& file = stored[std::string(name) + ".file"];
    files.emplace_back(reinterpret_cast<const char*>(file.const_data_ptr<uint8_t>()),
                       static_cast<size_t>(file.numel()));
  }
  return files;
}

const Words kWords = {std::string(4, '\0'),
                      "\xFF\xFF\xFF\xFF",
                      "\x7F\xFF\xFF\xFF",
                      "\x80",
                      "\xFF\xD8",
                      "\xFF\xD9",
                      "\xFF\xDA",
                      "\xFF\xC4",
                      "Exif",
                      "IDAT",
                      "IHDR",
                      "IEND",
                      "tRNS",
                      "PLTE",
                      "VP8X",
                      "ANMF",
                      "ALPH",
                      "\x21\xF9\x04",
                      ",",
                      ";",
                      "moov",
                      "mdat",
                      "stsz",
                      "stts",
                      "ctts",
                      "tkhd",
                      "avcC",
                      "\x1A\x45\xDF\xA3",
                      "\xA3",
                      "\x1F\x43\xB6\x75",
                      "\xAE"};

/// True when the bytes are a picture or a clip; what is read must be whole.
bool accepts(const std::string& bytes) {
  try {
    const Media media = media::decode_media(bytes, "input", 4);
    EXPECT_EQ(media.frames.size(), media.clip ? 4u : 1u);
    for (const Image& frame : media.frames) {
      EXPECT_GT(frame.width, 0);
      EXPECT_EQ(frame.pixels.size(), static_cast<size_t>(frame.width * frame.height * frame.channels));
    }
    return true;
  } catch (const UserError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("[media] ")) << message;
    EXPECT_NE(message.find("input"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return false;
  }
}

void expect_survives(const Words& corpus, uint64_t seed, int rounds) {
  for (const std::string& each : corpus) EXPECT_TRUE(accepts(each));
  Rng rng(seed);
  int accepted = 0;
  for (int round = 0; round < rounds; ++round) accepted += accepts(mutate(corpus, kWords, rng));
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, rounds);
}

TEST(MediaFuzz, MutatedPngsAreDecodedWholeOrRefused) {
  expect_survives(files_of("pictures", {"png.grey16", "png.palette_alpha", "png.interlaced", "png.turned"}), 1, 1500);
}
TEST(MediaFuzz, MutatedJpegsAreDecodedWholeOrRefused) {
  expect_survives(files_of("pictures", {"jpeg.halved", "jpeg.progressive", "jpeg.ycck", "jpeg.turned6"}), 2, 1500);
}
TEST(MediaFuzz, MutatedWebpsAreDecodedWholeOrRefused) {
  expect_survives(files_of("pictures", {"webp.lossy_alpha", "webp.lossless", "webp.moving_rgba", "webp.turned"}), 3,
                  1500);
}
TEST(MediaFuzz, MutatedGifsAreDecodedWholeOrRefused) {
  expect_survives(
      files_of("pictures", {"gif.interlaced", "gif.dispose3_rgb", "gif.dispose2_rgba", "gif.local_palettes"}), 4, 1500);
}
TEST(MediaFuzz, MutatedClipsAreDecodedWholeOrRefused) {
  expect_survives(files_of("clips", {"mp4_444", "mov_mjpeg", "mkv_open", "webm_vp8", "webm_vp9", "turned.6"}), 5, 400);
}

TEST(MediaFuzz, MutatedCutClipsAreDecodedWholeOrRefused) {
  expect_survives(
      files_of("cut_clips", {"hidden_second_h264", "hidden_second_hevc", "hidden_second_av1", "edits", "open_cut_mkv"}),
      7, 400);
}

TEST(MediaFuzz, OrientationOfAnyXmpAndRawProfileIsOneOfEight) {
  Rng rng(8);
  const Words corpus = {"<rdf:Description tiff:Orientation=\"6\"/>", "<tiff:Orientation>8</tiff:Orientation>",
                        "\nexif\n 8\n49492a0008000000\n0100120103000100000006000000\n"};
  for (int round = 0; round < 5000; ++round) {
    const std::string text = mutate(corpus, {"tiff:Orientation", "=\"", ">", "\n", "49", "9"}, rng);
    const int orientation = media::orientation_of(media::raw_profile(text), text);
    ASSERT_TRUE(orientation >= 1 && orientation <= 8);
  }
}

TEST(MediaFuzz, OrientationOfAnyBytesIsOneOfEight) {
  Rng rng(6);
  const Words corpus = {std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 22),
                        std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0", 22)};
  EXPECT_EQ(media::exif_orientation(corpus[0]), 6);
  EXPECT_EQ(media::exif_orientation("Exif\0\0" + corpus[1]), 1) << "a literal ends at its first zero";
  EXPECT_EQ(media::exif_orientation(std::string("Exif\0\0", 6) + corpus[1]), 8);
  for (int round = 0; round < 5000; ++round) {
    const int orientation = media::exif_orientation(mutate(corpus, kWords, rng));
    ASSERT_TRUE(orientation >= 1 && orientation <= 8);
  }
}

}  // namespace
}  // namespace tessera::testing
