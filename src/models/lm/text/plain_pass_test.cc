// Passes on plain memory, short and long: where they apply, and that the number of threads changes no bit.
#include "models/lm/text/plain_pass.h"

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>

#include <ATen/Parallel.h>

#include "models/lm/testing.h"

namespace tessera::lm {
namespace {

struct Outcome {
  Tensor hidden, logits;
};

/// Three positions of one row and one of another.
Outcome outcome(const DecoderLm& model, int threads) {
  const at::NoGradGuard no_grad;
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  const auto pass = PlainPass::of(model);
  at::set_num_threads(before);
  nn::BlockCache cache({.depth = model.config.depth, .block = 2});
  const auto a = cache.add(), b = cache.add();
  Outcome result;
  for (int step = 0; step < 2; ++step) {
    cache.begin({{a, 3}, {b, 1}});
    const std::vector<int64_t> indexes = {3 * step, 3 * step + 1, 3 * step + 2, step};
    const Tensor ids = tiny_ids(1, 4, 36, 5 + static_cast<uint64_t>(step));
    auto [hidden, logits] = pass->run(model.embed(ids).squeeze(0), indexes, cache, true);
    cache.end();
    result = {hidden, logits};
  }
  return result;
}

class PlainPasses : public ::testing::TestWithParam<std::string> {};

TEST_P(PlainPasses, AnyNumberOfThreadsGivesTheSameBits) {
  const at::NoGradGuard no_grad;
  const DecoderLm model = tiny_lm(tiny_config(GetParam()));
  const Outcome one = outcome(model, 1);
  for (const int threads : {2, 3, 7}) {
    const Outcome several = outcome(model, threads);
    EXPECT_TRUE(several.hidden.equal(one.hidden)) << threads;
    EXPECT_TRUE(several.logits.equal(one.logits)) << threads;
  }
}

/// Hidden states of two long pieces of one row, the second after `before` positions.
Tensor long_outcome(const DecoderLm& model, int threads) {
  const at::NoGradGuard no_grad;
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  const auto pass = PlainPass::of(model);
  at::set_num_threads(before);
  nn::BlockCache cache({.depth = model.config.depth, .block = 8});
  const auto row = cache.add();
  std::vector<Tensor> hidden;
  for (const int64_t count : {40, 53}) {
    const int64_t begin = cache.length(row);
    std::vector<int64_t> indexes;
    for (int64_t i = 0; i < count; ++i) indexes.push_back(begin + i);
    cache.begin({{row, count}});
    const Tensor ids = tiny_ids(1, count, 36, static_cast<uint64_t>(count));
    hidden.push_back(pass->run_long(model.embed(ids).squeeze(0), indexes, cache));
    cache.end();
  }
  return at::cat(hidden);
}

TEST_P(PlainPasses, ALongPieceHasTheSameBitsWithAnyNumberOfThreads) {
  for (const char* type : {"q4_0", "q5_1"}) {
    const DecoderLm model = tiny_block_lm(GetParam(), type);
    const Tensor one = long_outcome(model, 1);
    for (const int threads : {2, 3, 7}) EXPECT_TRUE(long_outcome(model, threads).equal(one)) << type << " " << threads;
  }
}

TEST_P(PlainPasses, ALongPieceIsNearTheModelsOwnPass) {
  const at::NoGradGuard no_grad;
  const DecoderLm model = tiny_block_lm(GetParam(), "q8_0");
  const Tensor ids = at::cat({tiny_ids(1, 40, 36, 40), tiny_ids(1, 53, 36, 53)}, 1);
  const Tensor got = long_outcome(model, 2);
  const Tensor want = model.forward(model.embed(ids), positions_of(model, 93, {}, at::kCPU)).squeeze(0);
  EXPECT_LT(((got - want).norm() / want.norm()).item<double>(), 1e-3);
}

TEST(PlainPass, TakesLongPiecesWhereAllLayersHaveKernelsForManyRows) {
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(PlainPass::of(tiny_lm(tiny_config("llama")))->takes_long());
  DecoderLm model = tiny_block_lm("llama", "q4_0");
  EXPECT_TRUE(PlainPass::of(model)->takes_long());
  nn::Linear& one = model.layers[1].mlp.down_proj;
  one.weight = one.packed->unpack();
  one.packed = nullptr;
  EXPECT_FALSE(PlainPass::of(model)->takes_long());
}

TEST_P(PlainPasses, ALongPieceIn16BitsHasTheSameBitsWithAnyNumberOfThreads) {
  if (!nn::rows::bf16_dot_suits_many()) GTEST_SKIP() << "this processor has no products of bf16, or faster ones";
  const at::NoGradGuard no_grad;
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    DecoderLm model = tiny_lm(tiny_config(GetParam()));
    for (const nn::NamedLinear& each : nn::named_linears(model)) {
      each.linear->weight = each.linear->weight.to(type);
      each.linear->bf16_products = each.name != "lm_head";
    }
    ASSERT_TRUE(PlainPass::of(model)->takes_long());
    const Tensor one = long_outcome(model, 1);
    for (const int threads : {2, 3}) EXPECT_TRUE(long_outcome(model, threads).equal(one)) << type << " " << threads;
    const Tensor ids = at::cat({tiny_ids(1, 40, 36, 40), tiny_ids(1, 53, 36, 53)}, 1);
    const Tensor want = model.forward(model.embed(ids), positions_of(model, 93, {}, at::kCPU)).squeeze(0);
    EXPECT_LT(((one - want).norm() / want.norm()).item<double>(), 2e-2) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PlainPasses, ::testing::ValuesIn(plain_families()));

TEST(PlainPass, IsLeftOutForModelsWithAdapters) {
  const at::NoGradGuard no_grad;
  DecoderLm model = tiny_lm(tiny_config("llama"));
  EXPECT_NE(PlainPass::of(model), nullptr);
  model.layers[0].mlp.up_proj.lora = nn::Lora{.a = at::zeros({2, 1}), .b = at::zeros({1, 2})};
  EXPECT_EQ(PlainPass::of(model), nullptr);
}

TEST(PlainPass, IsLeftOutForModelsWithGatedDeltaNets) {
  EXPECT_EQ(PlainPass::of(tiny_lm(tiny_config("qwen3_5_text"))), nullptr);
}

TEST(ThreadTeam, ThreadsMeetTheOthersInEachRun) {
  for (const int size : {1, 2, 5}) {
    nn::ThreadTeam team(size);
    for (int run = 0; run < 50; ++run) {
      std::vector<int> came(static_cast<size_t>(size)), seen(came);
      team.run([&](int index) {
        came[static_cast<size_t>(index)] = 1;
        team.barrier();
        for (const int one : came) seen[static_cast<size_t>(index)] += one;
      });
      const int together = std::accumulate(came.begin(), came.end(), 0);
      EXPECT_EQ(came[0], 1);
      EXPECT_TRUE(together == size || together == 1) << "all, or on a crowded machine the caller alone";
      for (size_t i = 0; i < came.size(); ++i) EXPECT_EQ(seen[i], came[i] * together);
    }
  }
}

/// Who took part in a run; thread 1 comes late by so much.
std::set<int> came(nn::ThreadTeam& team, std::chrono::milliseconds late) {
  std::array<std::atomic<bool>, 2> there{};
  team.run([&](int index) {
    there[static_cast<size_t>(index)] = true;
    if (index == 1) std::this_thread::sleep_for(late);
    team.barrier();
  });
  std::set<int> who;
  for (int i = 0; i < 2; ++i) {
    if (there[static_cast<size_t>(i)]) who.insert(i);
  }
  return who;
}

TEST(ThreadTeam, TheCallerGoesOnAloneWhileTheOthersAreLateAndTriesThemAgain) {
  using std::chrono::milliseconds;
  nn::ThreadTeam team(2);
  int runs = 0;
  while (came(team, milliseconds(20)).size() == 2) ASSERT_LT(++runs, 10);
  EXPECT_GE(runs, 2) << "one late run is an accident";
  for (int i = 0; i < 8; ++i) EXPECT_EQ(came(team, milliseconds(20)), (std::set<int>{0}));
  runs = 0;
  while (came(team, milliseconds(0)).size() < 2) ASSERT_LT(++runs, 5000);
}

TEST(Shares, AreHandedOutOnce) {
  nn::ThreadTeam team(4);
  nn::Shares shares;
  std::vector<std::atomic<int>> taken(1000);
  team.run([&](int) {
    for (int64_t at = shares.take(3); at < 1000; at = shares.take(3)) {
      for (int64_t i = at; i < std::min<int64_t>(1000, at + 3); ++i) ++taken[static_cast<size_t>(i)];
    }
  });
  for (const auto& times : taken) EXPECT_EQ(times, 1);
}

}  // namespace
}  // namespace tessera::lm
