// Packing loses nothing, overfills nothing, and reports what it saved.
#include "train/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "core/rng.h"

namespace tessera::train {
namespace {

using ::testing::ElementsAre;

TEST(Packing, EverySequenceIsWholeInOneRow) {
  Rng rng(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<int64_t> lengths;
    for (uint64_t i = 0; i <= rng.below(40); ++i) lengths.push_back(static_cast<int64_t>(1 + rng.below(64)));
    std::set<size_t> seen;
    int64_t total = 0, before = 64;
    const auto rows = pack(lengths, 64);
    for (const auto& row : rows) {
      int64_t sum = 0;
      for (const size_t i : row) {
        sum += lengths[i];
        EXPECT_TRUE(seen.insert(i).second);
      }
      EXPECT_LE(sum, 64);
      total += sum;
      EXPECT_GT(before + sum, 64) << "two rows that fit into one";
      before = sum;
    }
    EXPECT_EQ(seen.size(), lengths.size());
    EXPECT_EQ(total, std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  }
}

TEST(Packing, RowsHoldSequencesWithTheirSegmentsAndPaddingAtTheEnd) {
  const std::vector<Sequence> sequences = {{{1, 2}, {-1, 3}}, {{4, 5, 6}, {5, 6, 7}}, {{8}, {9}}, {{3, 3}, {3, 3}}};
  const PackedRows rows = packed_rows(sequences, 5);
  ASSERT_EQ(rows.ids.sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_TRUE(rows.ids[0].equal(at::tensor({4, 5, 6, 1, 2}, at::kLong)));
  EXPECT_TRUE(rows.targets[0].equal(at::tensor({5, 6, 7, -1, 3}, at::kLong)));
  EXPECT_TRUE(rows.segments[0].equal(at::tensor({0, 0, 0, 1, 1}, at::kLong)));
  EXPECT_TRUE(rows.ids[1].slice(0, 0, 3).equal(at::tensor({3, 3, 8}, at::kLong)));
  EXPECT_TRUE(rows.targets[1].equal(at::tensor({3, 3, 9, -1, -1}, at::kLong)));
  EXPECT_TRUE(rows.segments[1].equal(at::tensor({0, 0, 1, 2, 2}, at::kLong)));
  EXPECT_DOUBLE_EQ(rows.padding, 0.2);
  EXPECT_NEAR(rows.padding_unpacked, 1 - 8.0 / 12, 1e-12);
  EXPECT_EQ(packed_rows(sequences, 5, /*together=*/false).ids.sizes(), (std::vector<int64_t>{4, 3}));
}

}  // namespace
}  // namespace tessera::train
