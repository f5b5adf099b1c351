// The published schedules by their token counts and shapes, and the schedules of small models.
#include "models/infinity/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace tessera::infinity {
namespace {

TEST(Schedule, SquareTemplatesHaveThePublishedTokenCounts) {
  EXPECT_EQ(published_schedule(1, "0.06M").tokens(), 521);
  EXPECT_EQ(published_schedule(1, "0.25M").tokens(), 2521);
  EXPECT_EQ(published_schedule(1, "0.60M").tokens(), 6425);
  EXPECT_EQ(published_schedule(1, "1M").tokens(), 10521);
}

TEST(Schedule, TemplatesGrowTowardsTheirRatioAndTheirArea) {
  for (const double ratio : template_ratios()) {
    const Schedule whole = published_schedule(ratio, "1M");
    EXPECT_NEAR(static_cast<double>(whole.span.height) / static_cast<double>(whole.span.width), ratio, 0.01 * ratio)
        << ratio;
    EXPECT_EQ(whole.scales.front(), (ScaleShape{1, 1}));
    for (size_t k = 1; k < whole.scales.size(); ++k) {
      EXPECT_GE(whole.scales[k].height, whole.scales[k - 1].height);
      EXPECT_GT(whole.scales[k].area(), whole.scales[k - 1].area());
    }
    for (const std::string& area : template_areas()) {
      const Schedule part = published_schedule(ratio, area);
      const double square = static_cast<double>(published_schedule(1, area).scales.back().area());
      EXPECT_NEAR(static_cast<double>(part.scales.back().area()), square, 0.3 * square) << ratio << " " << area;
      EXPECT_EQ(part.span, whole.span);
    }
  }
}

TEST(Schedule, TemplatesOfReciprocalRatiosAreTransposed) {
  EXPECT_EQ(template_ratios().size(), 15u);
  EXPECT_EQ(template_ratios().front(), 0.333);
  for (const double ratio : {1.25, 1.333, 1.5, 1.75, 2.0, 2.5, 3.0}) {
    const Schedule tall = published_schedule(ratio, "1M"),
                   wide = published_schedule(std::floor(1000 / ratio) / 1000, "1M");
    for (size_t k = 0; k < tall.scales.size(); ++k) {
      EXPECT_EQ(wide.scales[k], (ScaleShape{tall.scales[k].width, tall.scales[k].height})) << ratio;
    }
  }
}

TEST(Schedule, TheTemplateOfTheNearestRatioIsChosen) {
  EXPECT_EQ(published_schedule(16.0 / 9, "1M").span, (ScaleShape{84, 48}));
  EXPECT_EQ(published_schedule(9.0 / 16, "1M").span, (ScaleShape{48, 84}));
  EXPECT_EQ(published_schedule(2.25, "1M").span, (ScaleShape{90, 45})) << "2 and 2.5 are as near; the first is taken";
  EXPECT_EQ(published_schedule(0.45, "1M").span, (ScaleShape{45, 90})) << "by differences, not by proportions";
  EXPECT_THROW(published_schedule(1, "2M"), UserError);
}

TEST(Schedule, ASizeInPixelsIsFoundOrTheSizesThereAreAreNamed) {
  const InfinityConfig released;  // the published templates at 1M
  EXPECT_EQ(schedule_of_size(released, 768, 1344, 16).scales, published_schedule(0.571, "1M").scales);
  EXPECT_EQ(schedule_of_size(released, 512, 512, 16).scales, published_schedule(1, "0.25M").scales);
  EXPECT_THAT([&] { schedule_of_size(released, 1000, 1000, 16); },
              ::testing::ThrowsMessage<UserError>(::testing::AllOf(
                  ::testing::HasSubstr("no published size is 1000x1000"), ::testing::HasSubstr("1344x768"))));
  InfinityConfig own;
  own.scales = {1, 2, 4, 8};
  EXPECT_EQ(schedule_of_size(own, 64, 64, 8).span, (ScaleShape{8, 8}));
  EXPECT_THAT([&] { schedule_of_size(own, 128, 128, 8); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("of that shape it draws 64x64")));
  EXPECT_THROW(schedule_for(own, 1, "1M"), UserError);
}

TEST(Schedule, CustomEdgesAreKeptForSquaresAndStretchedAtEqualArea) {
  const Schedule square = stretched_schedule({1, 2, 3, 4, 6, 8}, 1);
  EXPECT_EQ(square.tokens(), 130);
  EXPECT_EQ(square.span, (ScaleShape{8, 8}));
  EXPECT_EQ(square.begin(2), 5);
  const Schedule tall = stretched_schedule({1, 2, 3, 4, 6, 8}, 2);
  EXPECT_EQ(tall.scales.front(), (ScaleShape{1, 1}));
  EXPECT_EQ(tall.scales.back(), (ScaleShape{11, 6}));
  EXPECT_EQ(square.latent_scales(true).back(), (ScaleShape{16, 16}));
}

}  // namespace
}  // namespace tessera::infinity
