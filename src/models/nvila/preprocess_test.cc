// Plans and tiles: what a plan promises is what pixels and rows are.
#include "models/nvila/preprocess.h"

#include <gmock/gmock.h>

#include <numeric>

#include "core/error.h"
#include "media/compose.h"
#include "models/nvila/testing.h"

namespace tessera::nvila {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

int64_t sum(const std::vector<int64_t>& numbers) { return std::accumulate(numbers.begin(), numbers.end(), int64_t{0}); }

TEST(NvilaTiles, ReleasedShapesGiveTheirPublishedTokenCounts) {
  NvilaConfig base;
  base.tiles.mode = "dynamic_s2";
  const MediaPlan square = plan_of(base, picture_of(1, 1344, 1344), true);
  EXPECT_EQ(square.grid, (Grid{3, 3}));
  EXPECT_EQ(square.tiles, 1 + 4 + 9);
  EXPECT_EQ(block_rows(base, square), std::vector<int64_t>{9 * 256});
  NvilaConfig lite;
  lite.tiles.mode = "dynamic";
  lite.projector = "mlp_downsample_3x3_fix";
  const MediaPlan wide = plan_of(lite, picture_of(1, 1344, 448), true);
  EXPECT_EQ(wide.grid, (Grid{3, 1}));
  EXPECT_EQ(block_rows(lite, wide), (std::vector<int64_t>{121, 121, 121, 121}));  // three tiles and the thumbnail
}

TEST(NvilaTiles, OnATieTheLargerGridWinsOnlyWhenThePictureFillsMoreThanHalfOfIt) {
  EXPECT_EQ(best_grid(100, 100, 1, 12, 448), (Grid{1, 1}));
  EXPECT_EQ(best_grid(896, 896, 1, 12, 448), (Grid{2, 2}));
  EXPECT_EQ(best_grid(633, 633, 1, 12, 448), (Grid{1, 1}));  // 2 x 2 would be filled by 0.499
  EXPECT_EQ(best_grid(634, 634, 1, 12, 448), (Grid{2, 2}));  // 0.501
  EXPECT_EQ(best_grid(1, 5000, 1, 12, 448), (Grid{1, 12}));
}

TEST(NvilaTiles, TilesAreRowMajorCropsOfTheStretchedPictureAndTheThumbnailIsLast) {
  const NvilaConfig config = tiny_config("dynamic");
  const Media media = picture_of(3, 72, 48);  // already the grid's size: tiles are the picture's own pixels
  const MediaPlan plan = plan_of(config, media, true);
  ASSERT_EQ(plan.grid, (Grid{3, 2}));
  const Tensor pixels = pixels_of(config, media, plan);
  ASSERT_EQ(pixels.sizes(), (at::IntArrayRef{7, 3, 24, 24}));
  const Image& picture = media.frames.front();
  for (int64_t tile = 0; tile < 6; ++tile) {
    const double value = pixels[tile][1][5][7].item<double>();
    const int64_t x = tile % 3 * 24 + 7, y = tile / 3 * 24 + 5;
    EXPECT_NEAR(value, picture.at(x, y)[1] / 127.5 - 1, 1e-6) << tile;
  }
  const Tensor thumbnail = pixels_of(config, media, {.listed = true})[0];
  EXPECT_TRUE(pixels[6].equal(thumbnail));
}

TEST(NvilaTiles, PlansPredictTheNumberOfTiles) {
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    const NvilaConfig config = tiny_config(mode);
    for (const Media& media : {picture_of(1, 10, 70), picture_of(2, 100, 90), clip_of(3, 6)}) {
      const MediaPlan plan = plan_of(config, media, true);
      EXPECT_EQ(pixels_of(config, media, plan).size(0), plan.tiles) << mode;
    }
  }
}

TEST(NvilaTiles, SeveralPicturesAreNotTiledAndAClipDoesNotCountAsOne) {
  const NvilaConfig config = tiny_config("dynamic");
  const Media large = picture_of(1, 96, 48);
  EXPECT_EQ(plans_of(config, {large, large}), (std::vector<MediaPlan>{{}, {}}));
  const auto with_clip = plans_of(config, {large, clip_of(2, 4)});
  EXPECT_TRUE(with_clip[0].listed);
  EXPECT_EQ(with_clip[1], (MediaPlan{.tiles = 4, .clip = true}));
}

TEST(NvilaTiles, ColoursUnderClearPixelsChangeNothing) {
  Image one = noise_picture(4, 50, 30, 4), other = one;
  for (size_t i = 0; i < one.pixels.size(); i += 4) {
    if (i % 16 != 0) continue;
    one.pixels[i + 3] = other.pixels[i + 3] = 0;
    for (size_t c = 0; c < 3; ++c) other.pixels[i + c] = static_cast<uint8_t>(255 - one.pixels[i + c]);
  }
  const Image seen = media::over(one, media::white);
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    const NvilaConfig config = tiny_config(mode);
    for (const bool clip : {false, true}) {
      const std::vector<Image> frames(clip ? 4 : 1, one), others(clip ? 4 : 1, other), seens(clip ? 4 : 1, seen);
      const MediaPlan plan = plan_of(config, {.frames = frames, .clip = clip}, true);
      const Tensor pixels = pixels_of(config, {.frames = frames, .clip = clip}, plan);
      EXPECT_TRUE(pixels.equal(pixels_of(config, {.frames = others, .clip = clip}, plan))) << mode;
      EXPECT_TRUE(pixels.equal(pixels_of(config, {.frames = seens, .clip = clip}, plan))) << mode << ": laid on white";
    }
  }
}

TEST(NvilaTiles, PoolingDividesTheRowsOfAClip) {
  NvilaConfig config = tiny_config();
  EXPECT_EQ(block_rows(config, plan_of(config, clip_of(1, 6), false)), (std::vector<int64_t>{4, 4, 4}));
  config.video.pool = {3, 2, 2};
  EXPECT_EQ(block_rows(config, plan_of(config, clip_of(1, 6), false)), (std::vector<int64_t>{1, 1}));
  EXPECT_THAT([&] { plan_of(config, clip_of(1, 4), false); },
              ThrowsMessage<UserError>(HasSubstr("clip.mp4: 4 frames cannot be pooled by 3")));
}

TEST(NvilaTiles, PicturesWithoutPixelsAreRefusedByName) {
  const NvilaConfig config = tiny_config();
  Media empty{.frames = {Image(0, 5, 3)}, .source = "empty.png"};
  EXPECT_THAT([&] { plan_of(config, empty, true); }, ThrowsMessage<UserError>(HasSubstr("empty.png is 0 x 5")));
  empty.frames.clear();
  EXPECT_THAT([&] { plan_of(config, empty, true); }, ThrowsMessage<UserError>(HasSubstr("empty.png has no frames")));
}

TEST(NvilaTiles, RowsDependOnSizesAlone) {
  const NvilaConfig config = tiny_config("dynamic_s2");
  const MediaPlan one = plan_of(config, picture_of(1, 90, 61), true),
                  other = plan_of(config, picture_of(2, 90, 61), true);
  EXPECT_EQ(one, other);
  EXPECT_EQ(sum(block_rows(config, one)), one.grid.tiles() * 4);
}

}  // namespace
}  // namespace tessera::nvila
