// The gated delta rule: two forms of one recurrence, whatever the shapes, in one piece or several.
#include "nn/attention/delta_rule.h"

#include <gtest/gtest.h>

#include "core/rng.h"
#include "nn/attention/block_cache.h"

namespace tessera::nn {
namespace {

double apart(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

struct Shape {
  int64_t batch, heads, length, keys, values;
};

/// Inputs as a layer gives them: keys of unit length, decays from nearly all to nearly nothing.
DeltaRule random_rule(const Shape& s, uint64_t seed) {
  at::manual_seed(seed);
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
  return {.q = unit(at::randn({s.batch, s.heads, s.length, s.keys})) * 0.5,
          .k = unit(at::randn({s.batch, s.heads, s.length, s.keys})),
          .v = at::randn({s.batch, s.heads, s.length, s.values}),
          .decay = -at::rand({s.batch, s.heads, s.length}).pow(4) * 12,
          .beta = at::rand({s.batch, s.heads, s.length})};
}

DeltaRule part(const DeltaRule& in, int64_t from, int64_t count) {
  const auto own = [&](const Tensor& x) { return x.narrow(2, from, count); };
  return {.q = own(in.q), .k = own(in.k), .v = own(in.v), .decay = own(in.decay), .beta = own(in.beta)};
}

TEST(DeltaRule, ChunksEqualStepsOnShapesOfAllKinds) {
  const at::NoGradGuard no_grad;
  Rng rng(11);
  const auto some = [&](uint64_t most) { return static_cast<int64_t>(1 + rng.below(most)); };
  for (uint64_t round = 0; round < 60; ++round) {
    const Shape shape{some(2), some(4), some(150), some(40), some(40)};
    const DeltaRule in = random_rule(shape, round);
    const Tensor before = round % 2 == 0 ? Tensor() : at::randn({shape.batch, shape.heads, shape.keys, shape.values});
    const DeltaResult steps = delta_rule_by_steps(in, before);
    const DeltaResult chunks = delta_rule_by_chunks(in, before, {}, round % 3 == 0 ? some(70) : 64);
    const double size = steps.state.abs().max().item<double>() + 1;
    EXPECT_LT(apart(chunks.out, steps.out), 2e-5 * size) << "round " << round << ", length " << shape.length;
    EXPECT_LT(apart(chunks.state, steps.state), 2e-5 * size) << "round " << round;
  }
}

TEST(DeltaRule, TheKernelIsTheRecurrence) {
  const DeltaRule in = random_rule({2, 3, 9, 5, 21}, 3);
  const Tensor before = at::randn({2, 3, 5, 21});
  DeltaRule trained = in;
  trained.v = in.v.clone().requires_grad_(true);  // which no kernel takes
  const DeltaResult composed = delta_rule_by_steps(trained, before);
  const at::NoGradGuard no_grad;
  const DeltaResult kernel = delta_rule_by_steps(in, before);
  EXPECT_LT(apart(kernel.out, composed.out), 1e-5);
  EXPECT_LT(apart(kernel.state, composed.state), 1e-5);
}

TEST(DeltaRule, StepsHaveTheSameBitsInPiecesAndNearlyTheSameInChunks) {
  const at::NoGradGuard no_grad;
  const DeltaRule in = random_rule({1, 3, 130, 16, 8}, 5);
  const DeltaResult whole = delta_rule_by_steps(in), chunks = delta_rule_by_chunks(in);
  DeltaResult steps, pieces;
  for (const auto& [from, count] : {std::pair<int64_t, int64_t>{0, 1}, {1, 69}, {70, 60}}) {
    steps = delta_rule_by_steps(part(in, from, count), steps.state);
    EXPECT_TRUE(steps.out.equal(whole.out.narrow(2, from, count))) << from;
    pieces = delta_rule_by_chunks(part(in, from, count), pieces.state);
    EXPECT_LT(apart(pieces.out, chunks.out.narrow(2, from, count)), 1e-5) << from;
  }
  EXPECT_TRUE(steps.state.equal(whole.state));
  EXPECT_LT(apart(pieces.state, chunks.state), 1e-5);
}

TEST(DeltaRule, SequencesInOneRowDoNotSeeEachOther) {
  const at::NoGradGuard no_grad;
  const DeltaRule in = random_rule({1, 2, 150, 8, 8}, 7);
  std::vector<int64_t> since(150);
  const std::vector<int64_t> begins = {0, 3, 64, 100, 101, 150};  // within chunks, at their ends, over several
  for (size_t i = 0; i + 1 < begins.size(); ++i)
    std::fill(since.begin() + begins[i], since.begin() + begins[i + 1], begins[i]);
  const DeltaResult together = delta_rule_by_chunks(in, {}, at::tensor(since).unsqueeze(0), 32);
  for (size_t i = 0; i + 1 < begins.size(); ++i) {
    const int64_t count = begins[i + 1] - begins[i];
    const DeltaResult alone = delta_rule_by_steps(part(in, begins[i], count));
    EXPECT_LT(apart(together.out.narrow(2, begins[i], count), alone.out), 1e-5) << begins[i];
    if (i + 2 == begins.size()) EXPECT_LT(apart(together.state, alone.state), 1e-5);
  }
}

TEST(DeltaRule, GradientsOfBothFormsAgree) {
  const DeltaRule in = random_rule({1, 2, 40, 6, 5}, 9);
  const Tensor weight = at::randn({1, 2, 40, 5});
  std::vector<Tensor> first;
  for (const bool chunked : {false, true}) {
    DeltaRule own = in;
    std::vector<Tensor*> leaves = {&own.q, &own.k, &own.v, &own.decay, &own.beta};
    for (Tensor* leaf : leaves) *leaf = leaf->clone().requires_grad_(true);
    const DeltaResult result = chunked ? delta_rule_by_chunks(own, {}, {}, 16) : delta_rule_by_steps(own);
    ((result.out * weight).sum() + result.state.sum()).backward();
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (chunked) EXPECT_LT(apart(leaves[i]->grad(), first[i]), 2e-5 * (1 + first[i].abs().max().item<double>())) << i;
      else first.push_back(leaves[i]->grad());
    }
  }
}

/// A layer whose state is the running sum of its inputs, in one channel.
Tensor sums(const Tensor& x, RecurrentState& state) {
  std::vector<Tensor> out;
  for (int64_t i = 0; i < x.size(0); ++i) {
    state.memory = present(state.memory) ? state.memory + x[i] : x[i].clone();
    out.push_back(state.memory);
  }
  return at::stack(out);
}

/// Gives a row of `cache` these numbers; the last sum.
double add(BlockCache& cache, BlockCache::Row row, const std::vector<float>& numbers, bool revocable = false) {
  cache.begin({{row, std::ssize(numbers)}}, revocable);
  const Tensor out = cache.recur(0, at::tensor(numbers).unsqueeze(1), sums);
  cache.end();
  return out[-1].item<double>();
}

TEST(RecurrentRows, AreTakenBackToAnyPositionOfARevocablePass) {
  BlockCache cache({.depth = 1, .block = 4, .recurrent = true});
  const BlockCache::Row row = cache.add();
  EXPECT_EQ(add(cache, row, {1, 2, 3}), 6);
  EXPECT_EQ(add(cache, row, {10, 20, 30}, true), 66);
  EXPECT_EQ(add(cache, row, {100, 200}, true), 366);
  EXPECT_EQ(cache.rewind(row, 7), 7);
  EXPECT_EQ(add(cache, row, {1}, true), 167);
  EXPECT_EQ(cache.rewind(row, 7), 7);
  EXPECT_EQ(cache.rewind(row, 5), 5) << "in the pass before";
  EXPECT_EQ(add(cache, row, {4}), 40);
  EXPECT_EQ(cache.rewind(row, 5), 0) << "no states are at hand: what was not revocable cannot be taken back";
  EXPECT_EQ(add(cache, row, {7}), 7);
}

TEST(RecurrentRows, GoBackToTheLastKeptStates) {
  BlockCache cache({.depth = 1, .block = 4, .recurrent = true});
  const BlockCache::Row row = cache.add();
  add(cache, row, {1, 1, 1, 1});
  cache.keep_states(row);
  add(cache, row, {1, 1});
  cache.keep_states(row);
  add(cache, row, {1, 1, 1});
  const BlockCache::Row fork = cache.fork(row, 5);
  EXPECT_EQ(cache.length(fork), 4) << "where the block ends";
  EXPECT_EQ(cache.rewind(row, 8), 6) << "the row's own";
  EXPECT_EQ(add(cache, row, {1}), 7);
  EXPECT_EQ(add(cache, fork, {5}), 9);
  EXPECT_EQ(cache.rewind(row, 3), 0);
}

TEST(RecurrentRows, BeginWithKnownBlocksOnlyWhereStatesWereKept) {
  BlockCache cache({.depth = 1, .block = 2, .recurrent = true});
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7};
  const BlockCache::Row row = cache.add();
  add(cache, row, {1, 1, 1, 1});
  cache.keep_states(row);
  add(cache, row, {1, 1, 1});
  cache.remember(row, ids);
  const BlockCache::Row other = cache.add();
  EXPECT_EQ(cache.recall(other, ids, 2), 4) << "six positions are known, four have states";
  EXPECT_EQ(add(cache, other, {1}), 5);
  cache.release(row);
  cache.release(other);
  const BlockCache::Row third = cache.add();
  EXPECT_EQ(cache.recall(third, ids, 2), 4) << "also when no row holds them";
  EXPECT_EQ(add(cache, third, {2}), 6);
}

TEST(RecurrentRows, StatesThatWereUsedLeastRecentlyLeaveFirst) {
  BlockCache cache({.depth = 1, .block = 1, .recurrent = true, .state_bytes = 8});  // two sums
  const auto known = [&](int32_t id) {
    const BlockCache::Row row = cache.add();
    const std::vector<int32_t> ids = {id, 0};
    const int64_t count = cache.recall(row, ids, 1);
    cache.release(row);
    return count;
  };
  for (const int32_t id : {1, 2}) {
    const BlockCache::Row row = cache.add();
    add(cache, row, {static_cast<float>(id)});
    cache.keep_states(row);
    cache.remember(row, std::vector<int32_t>{id});
    cache.release(row);
  }
  EXPECT_EQ(known(2), 1);
  EXPECT_EQ(known(1), 1);
  const BlockCache::Row row = cache.add();
  add(cache, row, {3});
  cache.keep_states(row);
  EXPECT_EQ(known(1), 1);
  EXPECT_EQ(known(2), 0) << "used before the first";
}

TEST(RecurrentRows, AForgottenPassLeavesTheStateAsItWas) {
  BlockCache cache({.depth = 1, .block = 4, .recurrent = true});
  const BlockCache::Row row = cache.add();
  add(cache, row, {1, 2});
  cache.begin({{row, 1}});
  cache.recur(0, at::tensor({50.0f}).unsqueeze(1), sums);  // no end()
  EXPECT_EQ(add(cache, row, {3}), 6);
}

}  // namespace
}  // namespace tessera::nn
