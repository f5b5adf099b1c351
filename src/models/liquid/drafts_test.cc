// Guesses from pictures that were seen: which picture is followed, and that files which are none are refused.
#include "models/liquid/drafts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/rng.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera::liquid {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::vector<int32_t> after(const PictureDrafts& drafts, std::vector<int64_t> codes, int64_t most) {
  return drafts.after(codes, most);
}

TEST(PictureDrafts, TheLongestRunOfLastCodesIsFollowedThenTheMostPlaces) {
  const PictureDrafts drafts({{1, 2, 3, 4, 5}, {9, 2, 3, 7, 8}, {1, 0, 3, 6, 6}});
  EXPECT_THAT(after(drafts, {1, 2, 3}, 8), ElementsAre(4, 5));
  EXPECT_THAT(after(drafts, {9, 2}, 2), ElementsAre(3, 7));
  EXPECT_THAT(after(drafts, {5, 2, 3}, 1), ElementsAre(::testing::AnyOf(4, 7)));  // two agree on two codes
  EXPECT_THAT(after(drafts, {1, 5, 3}, 8), ElementsAre(::testing::AnyOf(4, 6), ::testing::AnyOf(5, 6)))
      << "the first code agrees with these two, not with the third";
  EXPECT_THAT(after(drafts, {3, 1}, 8), IsEmpty()) << "codes are compared at their places";
  EXPECT_THAT(after(drafts, {}, 8), IsEmpty());
  EXPECT_THAT(after(drafts, {1, 2, 3, 4, 5}, 8), IsEmpty());
  EXPECT_THAT(after(drafts, {1, 2}, 0), IsEmpty());
}

TEST(PictureDrafts, APictureThatWasSeenIsFollowedToItsEndOnceNoOtherBeginsLikeIt) {
  Rng rng(4);
  std::vector<std::vector<int32_t>> pictures(200, std::vector<int32_t>(16));
  for (auto& picture : pictures) {
    for (int32_t& code : picture) code = static_cast<int32_t>(rng.below(4));
  }
  const PictureDrafts drafts(pictures);
  for (const auto& picture : pictures) {
    for (size_t known = 1; known < picture.size(); ++known) {
      const std::vector<int64_t> codes(picture.begin(), picture.begin() + static_cast<ptrdiff_t>(known));
      const auto begins_alike = [&](const auto& other) {
        return std::equal(codes.begin(), codes.end(), other.begin());
      };
      const std::vector<int32_t> found = drafts.after(codes, 16);
      ASSERT_EQ(found.size(), picture.size() - known);
      if (std::ranges::count_if(drafts.pictures(), begins_alike) == 1)
        EXPECT_TRUE(std::equal(found.begin(), found.end(), picture.begin() + static_cast<ptrdiff_t>(known)));
    }
  }
}

TEST(PictureDrafts, AFileHoldsThemAndEqualOnesAreKeptOnce) {
  const tessera::testing::ScratchFolder folder;
  EXPECT_EQ(PictureDrafts::in(folder.path(), 3, 10), nullptr);
  for (const int32_t large : {9, 70'000}) {
    PictureDrafts({{3, 1, large}, {0, 1, 2}, {3, 1, large}}).save(folder / PictureDrafts::file_name);
    const auto read = PictureDrafts::in(folder.path(), 3, large + 1);
    EXPECT_THAT(read->pictures(), ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 1, large)));
  }
}

TEST(PictureDrafts, WhatIsNoSuchFileIsRefusedInOneLine) {
  const tessera::testing::ScratchFolder folder;
  const auto refused = [&](const std::string& message) {
    EXPECT_THAT([&] { PictureDrafts::in(folder.path(), 3, 10); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  const Path file = folder / PictureDrafts::file_name;
  PictureDrafts({{0, 1, 10}}).save(file);
  refused("has the code 10, want 0 to 9");
  PictureDrafts({{0, -1, 1}}).save(file);
  refused("has the code -1, want 0 to 9");
  PictureDrafts({{0, 1}}).save(file);
  refused("has no whole numbers 'codes' [pictures, 3]");
  save_tensors(file, {{"codes", at::zeros({2, 3})}});
  refused("has no whole numbers 'codes' [pictures, 3]");
  save_tensors(file, {{"other", at::zeros({2, 3}, at::kInt)}});
  refused("has no whole numbers 'codes' [pictures, 3]");
  write_file_atomically(file, "no tensors");
  refused("drafts.safetensors");
  EXPECT_THROW(PictureDrafts({}), UserError);
  EXPECT_THROW(PictureDrafts({{1}, {1, 2}}), UserError);
}

}  // namespace
}  // namespace tessera::liquid
