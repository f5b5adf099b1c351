// A part computed twice gives the values and gradients of one computed once, in less memory.
#include "nn/layers/recompute.h"

#include <gtest/gtest.h>

#include <ATen/autocast_mode.h>
#include <ATen/ops/randn.h>

#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "tensor/live_bytes.h"

namespace tessera::nn {
namespace {

struct DeepBlock {
  LayerNorm norm{32};
  Linear up{32, 128}, down{128, 32};
  Tensor forward(const Tensor& x) const { return x + down.forward(up.forward(norm.forward(x)).tanh().square()); }
};
template <class V> void tensors(V& v, DeepBlock& m) {
  v("norm", m.norm);
  v("up", m.up);
  v("down", m.down);
}

struct DeepNet {
  std::vector<DeepBlock> layers{4};
};
template <class V> void tensors(V& v, DeepNet& m) { v("layers", m.layers); }

DeepNet made_deep_net() {
  DeepNet net;
  for (size_t i = 0; const NamedTensor& t : named_tensors(net)) {
    fill_uniform(t.tensor, 0.3, Rng(3).split(i++));
    t.tensor.requires_grad_(true);
  }
  return net;
}

Tensor forward(const DeepNet& net, Tensor x, bool again) {
  for (const DeepBlock& block : net.layers) {
    if (again) x = recomputed([&block](const Tensor& in) { return block.forward(in); }, x, trained_tensors(block));
    else x = block.forward(x);
  }
  return x;
}

struct Outcome {
  Tensor loss;
  std::vector<Tensor> gradients;
  int64_t peak = 0;
};
Outcome outcome(DeepNet net, bool again, bool input_wanted = true) {
  const Tensor x = at::randn({16, 8, 32}, at::TensorOptions()).fill_(0.5).cumsum(1).requires_grad_(input_wanted);
  const LiveBytes bytes;
  Outcome result;
  const Tensor loss = forward(net, x, again).square().sum();
  loss.backward();
  result.peak = bytes.peak();
  result.loss = loss.detach();
  for (const NamedTensor& t : named_tensors(net)) result.gradients.push_back(t.tensor.grad());
  result.gradients.push_back(x.grad());
  return result;
}

void expect_same(const Outcome& a, const Outcome& b) {
  EXPECT_TRUE(a.loss.equal(b.loss));
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  for (size_t i = 0; i < a.gradients.size(); ++i) {
    ASSERT_EQ(a.gradients[i].defined(), b.gradients[i].defined()) << i;
    EXPECT_TRUE(!a.gradients[i].defined() || a.gradients[i].equal(b.gradients[i])) << i;
  }
}

TEST(Recompute, ValuesAndGradientsAreThoseOfThePlainPassBitForBit) {
  expect_same(outcome(made_deep_net(), false), outcome(made_deep_net(), true));
}

TEST(Recompute, ParametersGetGradientsWhenTheInputNeedsNone) {
  expect_same(outcome(made_deep_net(), false, false), outcome(made_deep_net(), true, false));
}

TEST(Recompute, FrozenParametersGetNoGradient) {
  const auto frozen = [] {
    DeepNet net = made_deep_net();
    for (DeepBlock& block : net.layers) block.up.weight.requires_grad_(false);
    return net;
  };
  expect_same(outcome(frozen(), false), outcome(frozen(), true));
}

TEST(Recompute, PeakMemoryIsLower) {
  const int64_t plain = outcome(made_deep_net(), false).peak, again = outcome(made_deep_net(), true).peak;
  EXPECT_LT(static_cast<double>(again), 0.6 * static_cast<double>(plain)) << again << " of " << plain << " bytes";
}

TEST(Recompute, AutocastIsTheSameInTheRecomputedPass) {
  const auto under_autocast = [](bool again) {
    DeepNet net = made_deep_net();
    const Tensor x = at::randn({4, 32}).fill_(0.25);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    const Tensor y = forward(net, x, again);
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    y.to(at::kFloat).square().sum().backward();
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
    return net.layers[0].up.weight.grad();
  };
  EXPECT_TRUE(under_autocast(true).equal(under_autocast(false)));
}

TEST(Recompute, WithoutGradientsTheFunctionRunsOnce) {
  const at::NoGradGuard no_grad;
  int runs = 0;
  const Tensor y = recomputed([&](const Tensor& x) { return ++runs, x * 2; }, at::randn({2}), {});
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(y.requires_grad());
}

TEST(LiveBytes, CountsLiveBytesAndTheirPeak) {
  const Tensor before = at::randn({100});
  const LiveBytes bytes;
  Tensor a = at::randn({1000});
  { const Tensor b = at::randn({2000}); }
  EXPECT_GE(bytes.now(), 4000);
  EXPECT_LT(bytes.now(), 6000);
  EXPECT_GE(bytes.peak(), 12000);
}

}  // namespace
}  // namespace tessera::nn
