// AdamW against the textbook formula, clipping, averages.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <cmath>

namespace tessera::train {
namespace {

Parameter parameter(const std::string& name, std::vector<double> values, bool decay = true, double lr_scale = 1) {
  return {.name = name, .tensor = at::tensor(values, at::kFloat), .decay = decay, .lr_scale = lr_scale};
}

void set_gradient(Parameter p, double value) { p.tensor.mutable_grad() = at::full(p.tensor.sizes(), value); }

TEST(AdamW, FollowsTheFormulaForThreeSteps) {
  const OptimizerConfig c{.beta1 = 0.9, .beta2 = 0.97, .epsilon = 1e-8, .weight_decay = 0.1, .clip = 0};
  const Parameter p = parameter("w", {1.0});
  AdamW optimizer({p}, c);
  double w = 1.0, m = 0, v = 0;
  const double lr = 0.01;
  for (int t = 1; t <= 3; ++t) {
    const double g = 0.5 * t;
    set_gradient(p, g);
    optimizer.step(lr);
    m = 0.9 * m + 0.1 * g;
    v = 0.97 * v + 0.03 * g * g;
    w -= lr * 0.1 * w;
    w -= lr * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.97, t))) + 1e-8);
    EXPECT_NEAR(p.tensor.item<double>(), w, 1e-6) << t;
  }
}

TEST(AdamW, GroupsKeepTheirOwnDecayAndRate) {
  const OptimizerConfig c{.weight_decay = 0.5, .clip = 0};
  const Parameter plain = parameter("plain", {1.0}, false), decayed = parameter("decayed", {1.0}, true),
                  slow = parameter("slow", {1.0}, false, 0.1);
  AdamW optimizer({plain, decayed, slow}, c);
  for (const Parameter& p : optimizer.parameters()) set_gradient(p, 1.0);
  optimizer.step(0.1);
  EXPECT_NEAR(plain.tensor.item<double>(), 0.9, 1e-5);
  EXPECT_NEAR(decayed.tensor.item<double>(), 0.85, 1e-5);
  EXPECT_NEAR(slow.tensor.item<double>(), 0.99, 1e-5);
}

TEST(AdamW, RowsBeforeTheFirstStayAsTheyAre) {
  const OptimizerConfig c{.weight_decay = 0.5, .clip = 1.0, .ema = 0.9};
  const Tensor whole = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kFloat).view({4, 1}), alone = whole.narrow(0, 2, 2).clone();
  AdamW rows({{.name = "w", .tensor = whole, .first_row = 2}}, c), plain({{.name = "w", .tensor = alone}}, c);
  for (int step = 0; step < 3; ++step) {
    whole.mutable_grad() = at::tensor({1e6, -1e6, 3.0, 1.0}, at::kFloat).view({4, 1});
    alone.mutable_grad() = at::tensor({3.0, 1.0}, at::kFloat).view({2, 1});
    EXPECT_EQ(rows.step(0.1), plain.step(0.1)) << "rows that stay do not count for clipping";
  }
  const at::NoGradGuard no_grad;
  for (int look = 0; look < 2; ++look) {  // the weights, then their average
    EXPECT_EQ(whole.narrow(0, 0, 2).sum().item<float>(), 3.0);
    EXPECT_TRUE(whole.narrow(0, 2, 2).equal(alone));
    rows.swap_average();
    plain.swap_average();
  }
  for (const NamedTensor& item : rows.state())
    if (item.name != "step") EXPECT_EQ(item.tensor.size(0), 2) << item.name;
}

TEST(AdamW, ClipsTheNormOfAllGradientsTogether) {
  const Parameter a = parameter("a", {0.0}), b = parameter("b", {0.0});
  AdamW optimizer({a, b}, {.clip = 1.0});
  set_gradient(a, 3.0);
  set_gradient(b, 4.0);
  EXPECT_NEAR(optimizer.step(0.1), 5.0, 1e-6);
  const auto state = optimizer.state();
  EXPECT_NEAR(state[1].tensor.item<double>(), 0.1 * 3.0 / 5.0, 1e-6) << "mean." << state[1].name;
}

TEST(AdamW, NonFiniteGradientsChangeNothing) {
  const Parameter p = parameter("w", {1.0});
  AdamW optimizer({p}, {});
  set_gradient(p, std::nan(""));
  EXPECT_FALSE(std::isfinite(optimizer.step(0.1)));
  EXPECT_EQ(p.tensor.item<double>(), 1.0);
}

TEST(AdamW, SwappingTheAverageTwiceRestoresTheWeights) {
  const Parameter p = parameter("w", {1.0});
  AdamW optimizer({p}, {.clip = 0, .ema = 0.9});
  for (int i = 0; i < 20; ++i) {
    set_gradient(p, 1.0);
    optimizer.step(0.01);
  }
  const double weight = p.tensor.item<double>();
  optimizer.swap_average();
  EXPECT_GT(p.tensor.item<double>(), weight) << "the average lags behind a falling weight";
  optimizer.swap_average();
  EXPECT_EQ(p.tensor.item<double>(), weight);
}

}  // namespace
}  // namespace tessera::train
