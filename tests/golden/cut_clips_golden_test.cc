// Clips that were cut without coding them anew, and open groups of pictures (tools/golden/cut_clips_twin.py): at every place
// asked stands the frame that PyAV shows there when it decodes the clip from start to end.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "media/video.h"
#include "tests/golden/fixture.h"

namespace tessera::golden {
namespace {

using media::Video;

const std::vector<std::string> kCutClips = {
    "hidden_h264",       "hidden_second_h264", "hidden_hevc",       "hidden_second_hevc", "hidden_vp9",
    "hidden_second_vp9", "hidden_av1",         "hidden_second_av1", "hidden_sound",       "edits",
    "edits_again",       "open_h264_62_12",    "open_h264_51_25",   "open_h264_53_25",    "open_h264_99_50",
    "open_h264_64_250",  "open_hevc_62_12",    "refresh",           "refresh_cut",        "open_cut",
    "open_cut_mkv",      "open_hevc_cut"};

/// The number that a frame shows: twelve squares, white for a bit that is set.
int64_t number_shown(const Image& picture) {
  int64_t number = 0;
  for (int64_t bit = 0; bit < 12; ++bit)
    number |= int64_t{*picture.at(16 * (bit % 4) + 8, 16 * (bit / 4) + 8) > 128} << bit;
  return number;
}

std::string clip_file(const Fixture& clips, const std::string& name) {
  const Tensor& file = clips[name + ".file"];
  return {reinterpret_cast<const char*>(file.const_data_ptr<uint8_t>()), static_cast<size_t>(file.numel())};
}

std::vector<int64_t> numbers_of(const Fixture& clips, const std::string& name) {
  const Tensor& numbers = clips[name + ".numbers"];
  return {numbers.const_data_ptr<int64_t>(), numbers.const_data_ptr<int64_t>() + numbers.numel()};
}

TEST(CutClipsGolden, EveryPlaceShowsTheFrameThatADecodingFromStartToEndShowsThere) {
  const Fixture clips("cut_clips");
  for (const std::string& name : kCutClips) {
    const std::string file = clip_file(clips, name);
    const std::vector<int64_t> want = numbers_of(clips, name);
    Video video(file, name);
    ASSERT_EQ(video.frames(), std::ssize(want)) << name;
    std::vector<int64_t> places(want.size());
    std::iota(places.begin(), places.end(), 0);
    const std::vector<Image> frames = video.read(places);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(number_shown(frames[i]), want[i]) << name << " at " << i;
  }
}

TEST(CutClipsGolden, FramesAreTheSameInEveryBitBackwardsAndAlone) {
  const Fixture clips("cut_clips");
  for (const std::string& name : kCutClips) {
    const std::string file = clip_file(clips, name);
    Video video(file, name);
    std::vector<int64_t> places(static_cast<size_t>(video.frames()));
    std::iota(places.begin(), places.end(), 0);
    const std::vector<Image> frames = video.read(places);
    for (int64_t i = video.frames() - 1; i >= 0; --i)
      EXPECT_TRUE(video.read({i}).front() == frames[static_cast<size_t>(i)]) << name << " at " << i;
    for (const int64_t i : {video.frames() - 1, video.frames() / 2, int64_t{1}}) {
      Video fresh(file, name);
      EXPECT_TRUE(fresh.read({i}).front() == frames[static_cast<size_t>(i)]) << name << " alone at " << i;
    }
  }
}

TEST(CutClipsGolden, WrongMarksAndTimesOfTheContainerChangeNothing) {
  const Fixture clips("cut_clips");
  const std::vector<int64_t> want = numbers_of(clips, "open_h264_62_12");
  const auto numbers_without = [&](const std::vector<std::string>& boxes) {
    std::string file = clip_file(clips, "open_h264_62_12");
    for (const std::string& box : boxes) file.replace(file.find(box), 4, "free");
    Video video(file, "clip");
    std::vector<int64_t> numbers;
    for (int64_t i = video.frames() - 1; i >= 0; --i) numbers.insert(numbers.begin(), number_shown(video.read({i})[0]));
    return numbers;
  };
  EXPECT_EQ(numbers_without({"stss"}), want) << "every frame is marked as a key frame";
  EXPECT_EQ(numbers_without({"ctts", "edts"}), want) << "the times are those of decoding";
}

}  // namespace
}  // namespace tessera::golden
