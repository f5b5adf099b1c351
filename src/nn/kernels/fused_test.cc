// The hand-written loops against the chains of ATen calls that they replace: values and every gradient.
#include "nn/kernels/fused.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

namespace tessera::nn {
namespace {

Tensor leaf(at::IntArrayRef shape) { return at::randn(shape).requires_grad_(true); }

/// Gradients of sum(weights * out) for each of `leaves`.
std::vector<Tensor> gradients(const std::vector<Tensor>& outs, const std::vector<Tensor>& leaves) {
  at::manual_seed(17);
  Tensor total = at::zeros({});
  for (const Tensor& out : outs) total = total + (out * at::randn(out.sizes())).sum();
  total.backward();
  std::vector<Tensor> grads;
  for (const Tensor& l : leaves) {
    grads.push_back(l.grad().clone());
    l.mutable_grad().reset();
  }
  return grads;
}

void expect_close(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(at::allclose(a[i], b[i], 1e-4, 1e-5)) << i << ": " << (a[i] - b[i]).abs().max();
}

TEST(Fused, CosineHeadsEqualTheirComposition) {
  at::manual_seed(1);
  const Rope2d rope = rope_2d({{1, 1, 3, 3}, {2, 2, 3, 3}, {3, 3, 3, 3}}, 12, at::kCPU);
  const Tensor qkv = leaf({3, 14, 3 * 24}), scale = leaf({2});
  const Heads fast = cosine_heads(qkv, scale, rope), slow = cosine_heads_composed(qkv, scale, rope);
  expect_close({fast.q, fast.k, fast.v}, {slow.q, slow.k, slow.v});
  expect_close(gradients({fast.q, fast.k, fast.v}, {qkv, scale}), gradients({slow.q, slow.k, slow.v}, {qkv, scale}));
  expect_close(gradients({cosine_heads(qkv, scale, rope).q}, {qkv, scale}),  // no gradient comes from k and v
               gradients({cosine_heads_composed(qkv, scale, rope).q}, {qkv, scale}));
}

TEST(Fused, ModulatedNormEqualsItsComposition) {
  at::manual_seed(2);
  const Tensor x = leaf({3, 5, 19}), scale = leaf({3, 1, 19}), shift = leaf({3, 1, 19});
  const Tensor fast = modulated_norm(x, scale, shift), slow = modulated_norm_composed(x, scale, shift);
  expect_close({fast}, {slow});
  expect_close(gradients({fast}, {x, scale, shift}), gradients({slow}, {x, scale, shift}));
}

TEST(Fused, GatedAddEqualsItsComposition) {
  at::manual_seed(3);
  const Tensor x = leaf({3, 5, 19}), gate = leaf({3, 1, 19}), y = leaf({3, 5, 19});
  const Tensor fast = gated_add(x, gate, y), slow = x + gate * y;
  expect_close({fast}, {slow});
  expect_close(gradients({fast}, {x, gate, y}), gradients({slow}, {x, gate, y}));
}

TEST(Fused, ViewsOfOneTensorAreReadWithTheirStrides) {
  at::manual_seed(4);
  const Tensor six = at::randn({2, 1, 6, 8}), x = at::randn({2, 7, 8});
  const std::vector<Tensor> parts = six.unbind(2);  // strided
  expect_close({modulated_norm(x, parts[2], parts[4])}, {modulated_norm_composed(x, parts[2], parts[4])});
  expect_close({modulated_norm(x.transpose(1, 2).contiguous().transpose(1, 2), parts[1], parts[3])},
               {modulated_norm_composed(x, parts[1], parts[3])});
}

/// bf16 autocast on the CPU while it lives.
struct CpuAutocast {
  CpuAutocast() {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  }
  ~CpuAutocast() { at::autocast::set_autocast_enabled(at::kCPU, false); }
};

TEST(Fused, UnderAutocastBf16IsWidenedAndGradientsComeBackInIt) {
  at::manual_seed(6);
  const Rope2d rope = rope_2d({{1, 1, 2, 2}, {2, 2, 2, 2}}, 12, at::kCPU);
  const auto half = [](at::IntArrayRef shape) { return at::randn(shape).to(at::kBFloat16).requires_grad_(true); };
  const Tensor qkv = half({2, 5, 72}), heads = leaf({2}), x = leaf({2, 5, 24}), scale = half({2, 1, 24}),
               shift = half({2, 1, 24}), y = half({2, 5, 24});
  const CpuAutocast autocast;
  const auto wide = [](const Tensor& t) { return t.to(at::kFloat); };
  const Heads fast = cosine_heads(qkv, heads, rope), slow = cosine_heads_composed(wide(qkv), heads, rope);
  const Tensor norm = modulated_norm(x, scale, shift), sum = gated_add(x, scale, y);
  const Tensor norm_slow = modulated_norm_composed(x, wide(scale), wide(shift)), sum_slow = x + wide(scale) * wide(y);
  expect_close({fast.q, fast.k, fast.v, norm, sum}, {slow.q, slow.k, slow.v, norm_slow, sum_slow});
  for (const Tensor& out : {fast.q, norm, sum}) EXPECT_EQ(out.scalar_type(), at::kFloat);
  const std::vector<Tensor> got = gradients({fast.q, fast.k, fast.v, norm, sum}, {qkv, heads, x, scale, shift, y});
  const std::vector<Tensor> want =
      gradients({slow.q, slow.k, slow.v, norm_slow, sum_slow}, {qkv, heads, x, scale, shift, y});
  for (size_t i = 0; i < got.size(); ++i) {  // what both add up in bf16 may differ by its last bit
    EXPECT_EQ(got[i].scalar_type(), want[i].scalar_type());
    EXPECT_TRUE(at::allclose(got[i].to(at::kFloat), want[i].to(at::kFloat), 2e-2, 1e-2)) << i;
  }
}

TEST(Fused, OtherPrecisionsTakeTheComposedForm) {
  const Tensor x = at::randn({2, 3, 8}, at::kDouble), scale = at::randn({2, 1, 8}, at::kDouble),
               shift = at::randn({2, 1, 8}, at::kDouble);
  EXPECT_TRUE(at::equal(modulated_norm(x, scale, shift), modulated_norm_composed(x, scale, shift)));
  const Tensor half = x.to(at::kBFloat16), by = scale.to(at::kBFloat16), plus = shift.to(at::kBFloat16);
  EXPECT_TRUE(at::equal(modulated_norm(half, by, plus), modulated_norm_composed(half, by, plus)));
}

}  // namespace
}  // namespace tessera::nn
