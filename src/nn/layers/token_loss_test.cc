// The grouped loss is the plain one, in value and gradients.
#include "nn/layers/token_loss.h"

#include <gtest/gtest.h>

#include <ATen/autocast_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "nn/packed/int8_weight.h"

namespace tessera::nn {
namespace {

struct Result {
  Tensor loss, hidden_grad, weight_grad;
};

template <class F> Result run(F loss_of) {
  at::manual_seed(3);
  const Tensor hidden = at::randn({23, 12}).requires_grad_(true), weight = at::randn({37, 12}).requires_grad_(true);
  const Tensor targets = at::randint(37, {23}, at::kLong);
  const Tensor loss = loss_of(hidden, weight, targets);
  (loss * 0.25).backward();
  return {loss.detach(), hidden.grad(), weight.grad()};
}

void expect_same(const Result& a, const Result& b, double tolerance) {
  EXPECT_TRUE(at::allclose(a.loss, b.loss, tolerance, tolerance)) << a.loss << " and " << b.loss;
  EXPECT_TRUE(at::allclose(a.hidden_grad, b.hidden_grad, tolerance, tolerance));
  EXPECT_TRUE(at::allclose(a.weight_grad, b.weight_grad, tolerance, tolerance));
}

TEST(TokenLoss, GroupsOfRowsGiveTheLossAndGradientsOfAllAtOnce) {
  for (const std::optional<double> cap : {std::optional<double>(), std::optional<double>(3.0)}) {
    const Result want = run([&](auto&... t) { return token_loss_composed(t..., cap); });
    for (const int64_t rows : {1, 5, 512})
      expect_same(run([&](auto&... t) { return token_loss(t..., cap, rows); }), want, 1e-5);
  }
}

TEST(TokenLosses, WeighedRowsHaveTheGradientsOfThePlainChain) {
  const Tensor weights = at::randn({23});
  for (const std::optional<double> cap : {std::optional<double>(), std::optional<double>(3.0)}) {
    const auto weighed = [&](const Tensor& losses) { return (losses * weights).sum(); };
    const Result want = run([&](const Tensor& hidden, const Tensor& weight, const Tensor& targets) {
      Tensor logits = at::matmul(hidden, weight.t());
      if (cap) logits = (logits / *cap).tanh() * *cap;
      return weighed(at::cross_entropy_loss(logits, targets, {}, at::Reduction::None));
    });
    for (const int64_t rows : {1, 5, 512})
      expect_same(run([&](auto&... t) { return weighed(token_losses(t..., cap, rows)); }), want, 1e-5);
  }
}

TEST(TokenLoss, UnderAutocastItIsTheLossOfRoundedProducts) {
  const Result want = run([](auto&... t) { return token_loss_composed(t...); });
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const Result got = run([](auto&... t) { return token_loss(t...); });
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(got.loss.scalar_type(), at::kFloat);
  EXPECT_EQ(got.weight_grad.scalar_type(), at::kFloat);
  expect_same(got, want, 0.03);
  EXPECT_FALSE(at::allclose(got.loss, want.loss, 1e-7, 0)) << "the products were in fp32 after all";
}

TEST(TokenLoss, WithoutATapeNothingIsKept) {
  const at::NoGradGuard no_grad;
  const Tensor loss = token_loss(at::ones({2, 3}), at::ones({4, 3}), at::zeros({2}, at::kLong));
  EXPECT_NEAR(loss.item<double>(), 2 * std::log(4.0), 1e-6);
  EXPECT_FALSE(loss.requires_grad());
}

TEST(TokenLoss, OfAPackedHeadOrOneWithAnAdapterIsThatOfItsWeight) {
  const at::NoGradGuard no_grad;
  at::manual_seed(4);
  const Tensor hidden = at::randn({7, 16}), targets = at::randint(37, {7}, at::kLong);
  Linear head(16, 37, false);
  head.weight.normal_();
  head.lora = Lora{at::randn({2, 16}), at::randn({37, 2}), 0.5};
  const Tensor sum = head.weight + at::matmul(head.lora->b, head.lora->a) * 0.5;
  EXPECT_TRUE(
      at::allclose(token_loss(hidden, head, targets, 3.0), token_loss_composed(hidden, sum, targets, 3.0), 1e-4));
  head.lora.reset();
  head.pack(std::make_shared<Int8Weight>(round_int8(head.weight)));
  const Tensor unpacked = head.packed->unpack();
  EXPECT_TRUE(at::allclose(token_loss(hidden, head, targets), token_loss_composed(hidden, unpacked, targets), 2e-2));
}

}  // namespace
}  // namespace tessera::nn
