// Measures against counting by hand.
#include "text/variety.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/rng.h"

namespace tessera::text {
namespace {

using Tokens = std::vector<int32_t>;

TEST(TokenVariety, CountsTypesAndRepeatedRuns) {
  const Tokens text = {1, 2, 1, 2, 1, 3};
  EXPECT_DOUBLE_EQ(type_token_ratio(text), 3.0 / 6);
  EXPECT_DOUBLE_EQ(repeated_share(text, 2), 1 - 3.0 / 5);  // 12 21 13
  EXPECT_DOUBLE_EQ(repeated_share(text, 4), 0);
  EXPECT_DOUBLE_EQ(type_token_ratio(Tokens{}), 0);
  EXPECT_DOUBLE_EQ(moving_type_token_ratio(text, 3), (2 + 2 + 2 + 3) / 3.0 / 4);
  EXPECT_DOUBLE_EQ(moving_type_token_ratio(text, 50), type_token_ratio(text));
}

TEST(TokenVariety, TheMovingRatioIsTheMeanOverItsWindows) {
  Rng rng(1);
  Tokens text;
  for (int i = 0; i < 200; ++i) text.push_back(static_cast<int32_t>(rng.below(30)));
  double sum = 0;
  for (size_t i = 0; i + 50 <= text.size(); ++i) sum += type_token_ratio(std::span(text).subspan(i, 50));
  EXPECT_NEAR(moving_type_token_ratio(text, 50), sum / 151, 1e-12);
}

}  // namespace
}  // namespace tessera::text
