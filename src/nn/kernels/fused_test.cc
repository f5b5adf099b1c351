// The hand-written loops against the chains of ATen calls that they replace: values and every gradient.
#include "nn/kernels/fused.h"

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

TEST(Fused, OtherPrecisionsTakeTheComposedForm) {
  const Tensor x = at::randn({2, 3, 8}, at::kDouble), scale = at::randn({2, 1, 8}, at::kDouble),
               shift = at::randn({2, 1, 8}, at::kDouble);
  EXPECT_TRUE(at::equal(modulated_norm(x, scale, shift), modulated_norm_composed(x, scale, shift)));
}

}  // namespace
}  // namespace tessera::nn
