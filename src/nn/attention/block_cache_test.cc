// Laws of the block cache: what a row attends to is what it was given, whatever it shares and whoever stands beside it.
#include "nn/attention/block_cache.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>

#include "core/error.h"
#include "nn/attention/grouped_attention.h"

namespace tessera::nn {
namespace {

constexpr int64_t heads = 6, groups = 2, head_dim = 20;

/// Queries, keys and values of one pass.
struct Pass {
  Tensor q, k, v;
  explicit Pass(int64_t count, at::ScalarType type = at::kFloat, int64_t width = head_dim)
      : q(at::randn({1, heads, count, width}).to(type)), k(at::randn({1, groups, count, width}).to(type)),
        v(at::randn({1, groups, count, width}).to(type)) {}
};

Tensor attend(BlockCache& cache, std::vector<BlockCache::Piece> pieces, const Pass& pass,
              const AttendOptions& options) {
  cache.begin(std::move(pieces));
  const Tensor out = cache.attend(0, pass.q, pass.k, pass.v, options);
  cache.end();
  return out.squeeze(0);
}

/// Attention of the last positions over all, by the plain kernel.
Tensor expected(const std::vector<Pass>& passes, const AttendOptions& options) {
  std::vector<Tensor> keys, values;
  for (const Pass& pass : passes) keys.push_back(pass.k), values.push_back(pass.v);
  const Tensor k = at::cat(keys, 2), v = at::cat(values, 2), &q = passes.back().q;
  const int64_t total = k.size(2), count = q.size(2);
  const Tensor queries = at::arange(total - count, total).unsqueeze(1), all = at::arange(total).unsqueeze(0);
  Tensor hidden = all > queries;
  if (options.window) hidden = hidden | (queries - all >= *options.window);
  const Tensor mask = at::zeros({count, total}).masked_fill_(hidden, -INFINITY).unsqueeze(0).unsqueeze(0);
  return attend_grouped(q, k, v, {.mask = mask, .scale = options.scale, .cap = options.cap}).squeeze(0);
}

double furthest(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(BlockCache, AttendsAsThePlainKernelInPiecesOfAnyLength) {
  at::manual_seed(1);
  for (const AttendOptions& options : {AttendOptions{.scale = 0.3}, AttendOptions{.scale = 0.3, .cap = 2.0},
                                       AttendOptions{.scale = 0.3, .window = 7}}) {
    BlockCache cache({.depth = 1, .block = 4});
    const BlockCache::Row row = cache.add();
    std::vector<Pass> passes;
    for (const int64_t count : {3, 1, 40, 1, 1, 9, 33, 1}) {
      passes.emplace_back(count);
      EXPECT_LT(furthest(attend(cache, {{row, count}}, passes.back(), options), expected(passes, options)), 1e-5)
          << count << " after " << cache.length(row) - count;
    }
  }
}

TEST(BlockCache, HeadsOfWholeVectorsAttendAsThePlainKernelFromAnyPositionOfABlock) {
  at::manual_seed(8);
  for (const int64_t width : {32, 48, 64, 96}) {
    for (const AttendOptions& options : {AttendOptions{.scale = 0.2}, AttendOptions{.scale = 0.2, .cap = 2.0},
                                         AttendOptions{.scale = 0.2, .window = 13}}) {
      BlockCache cache({.depth = 1, .block = 24});
      const BlockCache::Row row = cache.add();
      std::vector<Pass> passes;
      for (const int64_t count : {1, 6, 1, 1, 14, 1, 2, 30, 1}) {
        passes.emplace_back(count, at::kFloat, width);
        EXPECT_LT(furthest(attend(cache, {{row, count}}, passes.back(), options), expected(passes, options)), 2e-5)
            << count << " after " << cache.length(row) - count << ", " << width << " wide";
      }
    }
  }
}

struct Kept {
  at::ScalarType stored;
  int64_t block, width;  // of a head
};
class RoundedKeys : public ::testing::TestWithParam<Kept> {};

TEST_P(RoundedKeys, AreReadAsTheNumbersTheyStandFor) {
  at::manual_seed(2);
  const auto [kept, block, width] = GetParam();
  for (const AttendOptions& options : {AttendOptions{.scale = 0.3}, AttendOptions{.scale = 0.3, .cap = 2.0},
                                       AttendOptions{.scale = 0.3, .window = 13}}) {
    BlockCache cache({.depth = 1, .block = block, .stored = kept});
    const BlockCache::Row row = cache.add();
    std::vector<Pass> rounded;
    for (const int64_t count : {5, 1, 1, 40, 2, 1}) {
      const Pass pass(count, at::kFloat, width);
      const Tensor got = attend(cache, {{row, count}}, pass, options);
      Pass stored = pass;  // the second way: round, then attend plainly
      for (Tensor* t : {&stored.k, &stored.v}) {
        if (kept != at::kChar) {
          *t = t->to(kept).to(at::kFloat);
          continue;
        }
        const Tensor step = t->abs().amax(-1, true) / 127;
        *t = (*t / step).round() * step;
      }
      rounded.push_back(stored);
      EXPECT_LT(furthest(got, expected(rounded, options)), 2e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BlockCache, RoundedKeys,
                         ::testing::Values(Kept{at::kChar, 4, 20}, Kept{at::kChar, 24, 48}, Kept{at::kChar, 24, 64},
                                           Kept{at::kBFloat16, 4, 20}, Kept{at::kBFloat16, 24, 32},
                                           Kept{at::kBFloat16, 24, 48}, Kept{at::kBFloat16, 8, 64},
                                           Kept{at::kBFloat16, 64, 96}));

TEST(BlockCache, RowsThatShareABeginningWriteIntoBlocksOfTheirOwn) {
  at::manual_seed(3);
  for (const int64_t length : {4, 6, 8}) {
    BlockCache cache({.depth = 1, .block = 4});
    const BlockCache::Row first = cache.add();
    const Pass shared(length), a(1), b(1), more(1);
    attend(cache, {{first, length}}, shared, {});
    const int64_t before = cache.bytes();
    const BlockCache::Row second = cache.fork(first, length);
    EXPECT_EQ(cache.bytes(), before) << "nothing is copied until something is written";
    EXPECT_LT(furthest(attend(cache, {{second, 1}}, b, {}), expected({shared, b}, {})), 1e-5);
    EXPECT_LT(furthest(attend(cache, {{first, 1}}, a, {}), expected({shared, a}, {})), 1e-5);
    EXPECT_LT(furthest(attend(cache, {{second, 1}}, more, {}), expected({shared, b, more}, {})), 1e-5);
  }
}

TEST(BlockCache, ARewoundRowForgetsWhatCameAfter) {
  at::manual_seed(4);
  BlockCache cache({.depth = 1, .block = 4});
  const BlockCache::Row row = cache.add();
  const Pass first(6), second(5), third(2);
  attend(cache, {{row, 6}}, first, {}), attend(cache, {{row, 5}}, second, {});
  cache.rewind(row, 6);
  EXPECT_EQ(cache.length(row), 6);
  EXPECT_LT(furthest(attend(cache, {{row, 2}}, third, {}), expected({first, third}, {})), 1e-5);
}

TEST(BlockCache, KnownBeginningsAreFoundByTheirIdsAndAllBeforeThem) {
  BlockCache cache({.depth = 1, .block = 4});
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const BlockCache::Row row = cache.add();
  attend(cache, {{row, 10}}, Pass(10), {});
  cache.remember(row, ids);
  const auto found = [&](std::vector<int32_t> wanted, int64_t multiple = 4, uint64_t salt = 0) {
    const BlockCache::Row other = cache.add();
    const int64_t positions = cache.recall(other, wanted, multiple, salt);
    EXPECT_EQ(cache.length(other), positions);
    cache.release(other);
    return positions;
  };
  EXPECT_EQ(found(ids), 8);
  EXPECT_EQ(found(ids, 8), 8);
  EXPECT_EQ(found({1, 2, 3, 4, 5, 6, 7, 8}), 4) << "short of the whole prompt";
  EXPECT_EQ(found({1, 2, 3, 4, 5, 6, 7, 8}, 8), 0);
  EXPECT_EQ(found({1, 2, 3, 4, 5, 0, 7, 8, 9}), 4);
  EXPECT_EQ(found({5, 6, 7, 8, 9}), 0) << "the same ids after others are other positions";
  EXPECT_EQ(found(ids, 4, 1), 0) << "what ids mean is part of it";
  cache.release(row);
  EXPECT_EQ(found(ids), 8) << "known also when no row holds it";
}

TEST(BlockCache, BlocksThatNoRowHoldsAreUsedAgain) {
  BlockCache cache({.depth = 1, .block = 4, .known = 2});
  const Pass pass(8);
  for (int32_t round = 0; round < 30; ++round) {
    const BlockCache::Row row = cache.add();
    attend(cache, {{row, 8}}, pass, {});
    std::vector<int32_t> ids(8, round);
    cache.remember(row, ids);
    cache.release(row);
  }
  BlockCache once({.depth = 1, .block = 4});
  attend(once, {{once.add(), 8}}, pass, {});
  EXPECT_EQ(cache.bytes(), once.bytes()) << "thirty rows fit where one does";
}

TEST(BlockCache, AForgottenPassLeavesTheRowAsItWas) {
  at::manual_seed(5);
  BlockCache cache({.depth = 1, .block = 4});
  const BlockCache::Row row = cache.add();
  const Pass first(3), lost(6), second(2);
  attend(cache, {{row, 3}}, first, {});
  cache.begin({{row, 6}});
  cache.attend(0, lost.q, lost.k, lost.v, {});  // no end(): the pass failed in a later layer
  EXPECT_EQ(cache.length(row), 3);
  EXPECT_LT(furthest(attend(cache, {{row, 2}}, second, {}), expected({first, second}, {})), 1e-5);
}

TEST(BlockCache, AForkAfterAForgottenPassKeepsItsOwnBlocks) {
  at::manual_seed(6);
  BlockCache cache({.depth = 1, .block = 4});
  const BlockCache::Row row = cache.add();
  const Pass first(3), mine(1), other(1);
  attend(cache, {{row, 3}}, first, {});
  cache.begin({{row, 6}});  // leaves blocks behind the one that is part full
  const BlockCache::Row copy = cache.fork(row, 3);
  attend(cache, {{row, 1}}, mine, {});
  EXPECT_LT(furthest(attend(cache, {{copy, 1}}, other, {}), expected({first, other}, {})), 1e-5);
  const Pass more(1);
  EXPECT_LT(furthest(attend(cache, {{row, 1}}, more, {}), expected({first, mine, more}, {})), 1e-5);
}

TEST(BlockCache, RefusesABlockOfNothing) {
  EXPECT_THROW(BlockCache({.depth = 1, .block = 0}), UserError);
  EXPECT_THROW(BlockCache({.depth = -1}), UserError);
}

}  // namespace
}  // namespace tessera::nn
