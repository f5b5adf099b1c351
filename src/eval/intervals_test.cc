// Intervals against published values and against repeated experiments.
#include "eval/intervals.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"

namespace tessera::eval {
namespace {

TEST(Wilson, AgreesWithPublishedValues) {
  // Newcombe 1998, table I: method 3, score without continuity correction
  const Interval a = wilson(81, 263), b = wilson(15, 148), c = wilson(0, 20), d = wilson(1, 29);
  EXPECT_NEAR(a.low, 0.2553, 5e-5);
  EXPECT_NEAR(a.high, 0.3662, 5e-5);
  EXPECT_NEAR(b.low, 0.0624, 5e-5);
  EXPECT_NEAR(b.high, 0.1605, 5e-5);
  EXPECT_EQ(c.low, 0);
  EXPECT_NEAR(c.high, 0.1611, 5e-5);
  EXPECT_NEAR(d.low, 0.0061, 5e-5);
  EXPECT_NEAR(d.high, 0.1718, 5e-5);
}

TEST(Wilson, IsSymmetric) {
  const Interval few = wilson(3, 17), many = wilson(14, 17);
  EXPECT_NEAR(few.low, 1 - many.high, 1e-12);
  EXPECT_EQ(wilson(17, 17).high, 1);
}

TEST(MeanOf, IntervalContainsTheTruthNineteenTimesInTwenty) {
  int held = 0;
  for (uint64_t trial = 0; trial < 1000; ++trial) {
    Rng rng(7, trial);
    std::vector<double> values;
    for (int i = 0; i < 100; ++i) values.push_back(rng.uniform());
    const Mean mean = mean_of(values);
    held += mean.interval.low <= 0.5 && 0.5 <= mean.interval.high;
  }
  EXPECT_GT(held, 920);
  EXPECT_LT(held, 975);
}

TEST(RatioOf, IsTheMeanWhereAllPartsWeighTheSame) {
  const std::vector<double> values{1, 4, 2, 8};
  const Mean mean = mean_of(values), ratio = ratio_of({3, 12, 6, 24}, {3, 3, 3, 3});
  EXPECT_NEAR(ratio.mean, mean.mean, 1e-12);
  EXPECT_NEAR(ratio.interval.low, mean.interval.low, 1e-12);
  EXPECT_NEAR(ratio_of({2, 8}, {1, 4}).interval.high, 2, 1e-12) << "equal ratios leave no doubt";
}

}  // namespace
}  // namespace tessera::eval
