// Clips against PyAV (tools/golden/clips_twin.py): frames by number, in pixels, and without decoding frames that are not needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "media/decoders.h"
#include "media/read_media.h"
#include "media/video.h"
#include "tests/golden/fixture.h"

namespace tessera::golden {
namespace {

using media::Video;
using ::testing::HasSubstr;

std::string frame_bytes(const Tensor& file) {
  return {reinterpret_cast<const char*>(file.const_data_ptr<uint8_t>()), static_cast<size_t>(file.numel())};
}

const std::vector<std::string> kClips = {"mp4",     "mov",        "mkv_open",  "mp4_open", "webm_vp8", "webm_vp9",
                                         "mp4_444", "mp4_uneven", "mp4_10bit", "mp4_full", "mov_mjpeg"};

/// The number that a frame shows: twelve squares, white for a bit that is set.
int64_t number_in(const Image& picture) {
  int64_t number = 0;
  for (int64_t bit = 0; bit < 12; ++bit)
    number |= int64_t{*picture.at(16 * (bit % 4) + 8, 16 * (bit / 4) + 8) > 128} << bit;
  return number;
}

std::vector<int64_t> numbers_in(const std::vector<Image>& frames) {
  std::vector<int64_t> numbers;
  for (const Image& frame : frames) numbers.push_back(number_in(frame));
  return numbers;
}

std::string refusal(const std::string& file, int64_t frames) {
  try {
    media::decode_media(file, "clip.mp4", frames);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ClipsGolden, FramesEqualThoseOfADecodingFromStartToEnd) {
  const Fixture clips("clips");
  for (const std::string& name : kClips) {
    const std::string file = frame_bytes(clips[name + ".file"]);
    Video video(file, name);
    EXPECT_EQ(video.frames(), clips[name + ".count"].item<int64_t>()) << name;
    const Tensor indexes = clips[name + ".indexes"], &want = clips[name + ".pixels"];
    const int64_t* first = indexes.const_data_ptr<int64_t>();
    const std::vector<Image> frames = video.read({first, first + indexes.numel()});
    for (size_t i = 0; i < frames.size(); ++i) {
      const Image& frame = frames[i];
      const Tensor got =
          at::from_blob(const_cast<uint8_t*>(frame.pixels.data()), {frame.height, frame.width, 3}, at::kByte);
      // libswscale's releases round differently by a level here and there
      expect_close(got, want[static_cast<int64_t>(i)], 2, name + " frame " + std::to_string(first[i]));
    }
  }
}

TEST(ClipsGolden, FramesDoNotDependOnTheOrderTheyAreAskedIn) {
  const Fixture clips("clips");
  for (const std::string& name : kClips) {
    const std::string file = frame_bytes(clips[name + ".file"]);
    Video video(file, name);
    const int64_t last = video.frames() - 1;
    const std::vector<int64_t> wanted{last, 0, last / 2, 0, last - 1};
    EXPECT_EQ(numbers_in(video.read(wanted)), wanted) << name;
    EXPECT_EQ(numbers_in(video.read({1})), std::vector<int64_t>{1}) << name << ", read once more";
  }
}

TEST(ClipsGolden, SamplingAnHourDecodesAFewFrames) {
  const Fixture clips("clips");
  const std::string file = frame_bytes(clips["mp4_hour.file"]);
  Video video(file, "hour");
  ASSERT_EQ(video.frames(), 1800);
  const std::vector<int64_t> wanted = media::sampled_indexes(1800, 8);
  EXPECT_EQ(numbers_in(video.read(wanted)), wanted);
  EXPECT_LE(video.decoded(), 8 * 60);  // a key frame every 60 frames
  const int64_t before = video.decoded();
  video.read({0});
  EXPECT_EQ(video.decoded() - before, 1) << "a key frame stands alone";
}

TEST(ClipsGolden, RotationStoredInTheFileIsApplied) {
  const Fixture clips("clips");
  const Media upright = media::decode_media(frame_bytes(clips["mov_mjpeg.file"]), "upright", 2);
  for (int way = 1; way <= 8; ++way) {
    const Media turned =
        media::decode_media(frame_bytes(clips["turned." + std::to_string(way) + ".file"]), "turned", 2);
    EXPECT_EQ(turned.frames[1], media::oriented(upright.frames[1], way)) << way;
  }
}

TEST(ClipsGolden, EveryTruncatedClipIsAnError) {
  const Fixture clips("clips");
  for (const std::string name : {"mp4", "webm_vp9", "mkv_open"}) {
    const std::string whole = frame_bytes(clips[name + ".file"]);
    for (size_t size = 64; size < whole.size(); size += 397) {
      EXPECT_NE(refusal(whole.substr(0, size), 8), "accepted") << name << " cut to " << size;
    }
    EXPECT_EQ(refusal(whole, 8), "accepted") << name;
  }
  EXPECT_THAT(refusal(frame_bytes(clips["mp4.file"]).substr(0, 5000), 8),
              HasSubstr("clip.mp4 is cut off; got 5000 bytes"));
}

TEST(ClipsGolden, ADamagedFrameIsAnErrorThatNamesIt) {
  const Fixture clips("clips");
  std::string file = frame_bytes(clips["mov_mjpeg.file"]);
  const size_t second = file.find("\xFF\xD8\xFF", file.find("\xFF\xD8\xFF") + 3);
  ASSERT_NE(second, std::string::npos);
  std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(second), 200, '\0');
  EXPECT_THAT(refusal(file, 4), HasSubstr("frame 1 of 4 cannot be decoded"));
  EXPECT_EQ(refusal(file, 2), "accepted") << "the first and the last frame do not lean on it";
}

TEST(ClipsGolden, TooManyFramesAreRefusedBeforeAnythingIsDecoded) {
  const Fixture clips("clips");
  const std::string file = frame_bytes(clips["mp4.file"]);
  EXPECT_THAT(refusal(file, 0), HasSubstr("cannot take 0 frames of a clip; want 1 to 4096"));
  EXPECT_THAT(refusal(file, 5000), HasSubstr("cannot take 5000 frames"));
}

}  // namespace
}  // namespace tessera::golden
