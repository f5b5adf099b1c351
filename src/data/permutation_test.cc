// A permutation without a table is still a permutation.
#include "data/permutation.h"

#include <gtest/gtest.h>

#include <set>

namespace tessera::data {

TEST(Permutation, VisitsEveryIndexOnceForManyLengthsAndSeeds) {
  for (const uint64_t n : {1, 2, 3, 4, 5, 17, 64, 65, 1000, 1870}) {
    for (const uint64_t seed : {0, 1, 99}) {
      std::set<uint64_t> seen;
      for (uint64_t i = 0; i < n; ++i) seen.insert(permuted(i, n, seed));
      EXPECT_EQ(seen.size(), n);
      EXPECT_LT(*seen.rbegin(), n);
    }
  }
}

TEST(Permutation, SeedsGiveDifferentUniformOrders) {
  uint64_t same = 0, stayed = 0;
  for (uint64_t i = 0; i < 1870; ++i) {
    same += permuted(i, 1870, 1) == permuted(i, 1870, 2);
    stayed += permuted(i, 1870, 1) == i;
  }
  EXPECT_LT(same, 10u);  // one is expected by chance
  EXPECT_LT(stayed, 10u);
}

}  // namespace tessera::data
