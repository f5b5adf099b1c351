// Attention against sums written out by hand, and the laws that callers rely on.
#include "nn/attention/attention.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "nn/attention/scale_cache.h"

#include "nn/attention/rope.h"
#include "nn/kernels/fused.h"
#include "nn/layers/norm.h"

namespace tessera::nn {
namespace {

/// Every tensor of a module, drawn at random.
template <class M> void randomise(M& module) {
  at::manual_seed(5);
  for_each_tensor(module, [](const std::string&, Tensor& t) { t.normal_(0, 0.3); });
}

Rope2d no_turn(int64_t length, int64_t head_dim) {
  return {at::ones({length, head_dim / 2}), at::zeros({length, head_dim / 2})};
}

TEST(Attend, EqualsTheSoftmaxWrittenOut) {
  at::manual_seed(1);
  const Tensor q = at::randn({2, 3, 4, 8}), k = at::randn({2, 3, 5, 8}), v = at::randn({2, 3, 5, 8});
  const Tensor mask = at::randn({1, 1, 4, 5});
  const Tensor weights = (0.7 * q.matmul(k.transpose(-1, -2)) + mask).softmax(-1);
  const Tensor expected = weights.matmul(v).transpose(1, 2).reshape({2, 4, 24});
  EXPECT_TRUE(at::allclose(attend(q, k, v, mask, 0.7), expected, 1e-5, 1e-6));
}

TEST(Attend, FewPositionsAreAttendedInFp32UnderAutocast) {
  at::manual_seed(2);
  const Tensor q = at::randn({2, 3, 4, 8}).to(at::kBFloat16), k = at::randn({2, 3, 5, 8}), v = at::randn({2, 3, 5, 8});
  const Tensor mask = at::randn({2, 1, 1, 5});
  const Tensor expected = attend(q.to(at::kFloat), k, v, mask, 0.7);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const Tensor few = attend(q, k, v, mask, 0.7);
  const Tensor many = attend(at::randn({1, 1, 4, 8}), at::randn({1, 1, 300, 8}), at::randn({1, 1, 300, 8}), {}, 0.7);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_TRUE(at::equal(few, expected));
  EXPECT_EQ(many.scalar_type(), at::kBFloat16);
}

TEST(CosineSelfAttention, CachedStepsEqualOneMaskedPass) {
  CosineSelfAttention attention(16, 2);
  randomise(attention);
  const Tensor x = at::randn({2, 5, 16});
  const Rope2d rope = rope_2d({{1, 1, 2, 2}, {2, 2, 2, 2}}, 8, at::kCPU);
  Tensor mask = at::zeros({1, 1, 5, 5});
  mask.slice(2, 0, 1).slice(3, 1, 5).fill_(-INFINITY);  // the first scale has one position

  ScaleCache cache(1, 2, 2, 5, 8, x.options());
  const Tensor first = attention.forward(x.slice(1, 0, 1), attention.constants(), rope.slice(0, 1), {}, 0, &cache);
  const Tensor second = attention.forward(x.slice(1, 1, 5), attention.constants(), rope.slice(1, 5), {}, 0, &cache);
  const Tensor whole = attention.forward(x, attention.constants(), rope, mask, 0, nullptr);
  EXPECT_TRUE(at::allclose(at::cat({first, second}, 1), whole, 1e-5, 1e-5));
}

TEST(ScaleCache, KeysInEightBitsAreNearAndTheLastPassIsExactAndNotKept) {
  at::manual_seed(3);
  const auto three = [](int64_t n) {
    return std::tuple(at::randn({2, 2, n, 8}), at::randn({2, 2, n, 8}), at::randn({2, 2, n, 8}));
  };
  const auto [q1, k1, v1] = three(5);
  const auto [q2, k2, v2] = three(4);
  const Tensor want = attend(q2, at::cat({k1, k2}, 2), at::cat({v1, v2}, 2), {}, 1.0);
  for (const auto& [kept, tolerance] :
       {std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 0.05), std::pair(at::kChar, 0.05)}) {
    ScaleCache cache(1, 2, 2, 5, 8, q1.options(), kept);
    cache.attend(0, q1, k1, v1, {});
    const int64_t bytes = cache.bytes();
    EXPECT_LT((cache.attend(0, q2, k2, v2, {}) - want).abs().max().item<double>(), tolerance) << kept;
    EXPECT_EQ(cache.bytes(), bytes);
  }
}

TEST(ScaleCache, GoesOnWithTheFirstRows) {
  at::manual_seed(3);
  const Tensor k = at::randn({2, 2, 5, 8}), v = at::randn({2, 2, 5, 8}), q = at::randn({2, 2, 3, 8});
  for (const at::ScalarType kept : {at::kFloat, at::kChar}) {
    ScaleCache both(1, 2, 2, 5, 8, k.options(), kept), first(1, 2, 2, 5, 8, k.options(), kept);
    both.attend(0, k, k, v, {});
    first.attend(0, k, k, v, {});
    first.keep_rows(1);
    EXPECT_EQ(2 * first.bytes(), both.bytes());
    const Tensor want = both.attend(0, q, q, q, {}),
                 got = first.attend(0, q.slice(0, 0, 1), q.slice(0, 0, 1), q.slice(0, 0, 1), {});
    EXPECT_LT((got - want.slice(0, 0, 1)).abs().max().item<double>(), 1e-5);
  }
}

TEST(LocalAttention, SeesEverythingWhereItsRadiusIsLargeAndOnlyWhatIsNearElse) {
  at::manual_seed(5);
  LocalAttention local{.radius = 99, .grids = {{1, 1}, {17, 20}, {33, 40}}};
  const int64_t before = 1 + 17 * 20, n = 33 * 40;
  const Tensor q = at::randn({1, 2, n, 4}), k = at::randn({1, 2, before + n, 4}), v = at::randn({1, 2, before + n, 4});
  EXPECT_EQ(local.scale_of(before, n), 2);
  EXPECT_EQ(local.scale_of(0, 1), -1) << "small scales see everything";
  EXPECT_EQ(local.scale_of(before, n - 1), -1) << "not a whole scale";
  EXPECT_LT((attend_locally(q, k, v, local, 2, 0.5) - attend(q, k, v, {}, 0.5)).abs().max().item<double>(), 1e-5);

  local.radius = 3;
  const Tensor near = attend_locally(q, k, v, local, 2, 0.5);
  Tensor far_values = v.clone();
  far_values.select(2, before + n - 1).fill_(1e3);  // the last corner
  const Tensor moved = (attend_locally(q, k, far_values, local, 2, 0.5) - near).abs().amax({0, 2}).view({33, 40});
  EXPECT_EQ(moved.slice(0, 0, 16).max().item<double>(), 0);
  EXPECT_EQ(moved.slice(1, 0, 16).max().item<double>(), 0);
  EXPECT_GT(moved[32][39].item<double>(), 0);
  Tensor first_value = v.clone();
  first_value.select(2, 0).fill_(1e3);
  EXPECT_GT((attend_locally(q, k, first_value, local, 2, 0.5) - near).abs().amax({0, 2}).min().item<double>(), 0)
      << "small scales are seen from everywhere";
}

TEST(CosineSelfAttention, DoesNotDependOnTheLengthOfItsQueriesAndKeys) {
  CosineSelfAttention attention(16, 2);
  randomise(attention);
  const Tensor x = at::randn({1, 3, 16});
  const Tensor before = attention.forward(x, attention.constants(), no_turn(3, 8), {}, 0, nullptr);
  for (Tensor t : {attention.mat_qkv.weight, attention.q_bias, attention.zero_k_bias})
    t.slice(0, 0, t.size(0) == 48 ? 32 : 16).mul_(7);
  EXPECT_TRUE(
      at::allclose(attention.forward(x, attention.constants(), no_turn(3, 8), {}, 0, nullptr), before, 1e-4, 1e-5));
}

TEST(CosineSelfAttention, TheLearnedScaleIsCappedAtAHundred) {
  CosineSelfAttention attention(16, 2);
  randomise(attention);
  const Tensor x = at::randn({1, 3, 16});
  attention.scale_mul.fill_(std::log(100.0));
  const Tensor at_cap = attention.forward(x, attention.constants(), no_turn(3, 8), {}, 0, nullptr);
  attention.scale_mul.fill_(50);
  EXPECT_TRUE(
      at::allclose(attention.forward(x, attention.constants(), no_turn(3, 8), {}, 0, nullptr), at_cap, 1e-5, 1e-6));
}

TEST(CrossAttention, DoesNotSeePaddingNorTheOrderOfThePrompt) {
  CrossAttention attention(16, 2, 12);
  randomise(attention);
  const Tensor x = at::randn({1, 3, 16}), prompt = at::randn({1, 4, 12});
  const Tensor plain = attention.forward(x, attention.keys(prompt), {});

  const Tensor padded = at::cat({prompt, at::randn({1, 2, 12})}, 1);
  const Tensor mask = padding_mask(at::full({1}, 4, at::kLong), 6);
  EXPECT_TRUE(at::allclose(attention.forward(x, attention.keys(padded), mask), plain, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(attention.forward(x, attention.keys(prompt.flip(1)), {}), plain, 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(attention.forward(x, attention.keys(padded), {}), plain, 1e-3, 1e-3));
}

TEST(AttentionPool, GivesTheValueItselfForAPromptOfOneState) {
  AttentionPool pool(16, 2, 12);
  randomise(pool);
  const Tensor prompt = at::randn({3, 1, 12});
  const Tensor value = at::linear(prompt, pool.mat_kv.weight.slice(0, 16, 32), pool.v_bias).squeeze(1);
  EXPECT_TRUE(at::allclose(pool.forward(prompt, {}), pool.proj.forward(value), 1e-5, 1e-6));
}

TEST(Norms, ModulationIsAnAffineMapOfThePlainNorm) {
  at::manual_seed(2);
  const Tensor x = at::randn({2, 3, 8}), scale = at::randn({2, 1, 8}), shift = at::randn({2, 1, 8});
  const Tensor centred = x - x.mean(-1, true);
  const Tensor plain = centred / (centred.square().mean(-1, true) + 1e-6).sqrt();
  EXPECT_TRUE(at::allclose(layer_norm(x), plain, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(modulated_norm(x, scale, shift), plain * (1 + scale) + shift, 1e-5, 1e-5));
  RmsNorm rms(8);
  rms.weight.fill_(2);
  EXPECT_TRUE(at::allclose(rms.forward(x), 2 * x / (x.square().mean(-1, true) + 1e-6).sqrt(), 1e-5, 1e-6));
}

}  // namespace
}  // namespace tessera::nn
