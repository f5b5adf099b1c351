// The searches on a small network whose inputs have a few loud channels, which is where plain rounding goes wrong.
#include "quant/awq.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/layers/norm.h"

namespace tessera::quant {
namespace {

/// norm -> (gate, up) -> down, and a pair whose producer has fewer outputs than its consumer has inputs (grouped queries).
struct Net {
  nn::RmsNorm norm{64};
  nn::Linear gate{64, 96, false}, up{64, 96}, down{96, 40};
  nn::Linear value{40, 16}, out{32, 24};

  Net() {
    at::manual_seed(5);
    norm.weight.copy_(at::rand({64}) + 0.5);
    norm.weight.slice(0, 3, 6).mul_(30);  // the loud channels
    for (nn::Linear* layer : {&gate, &up, &down, &value, &out}) {
      layer->weight.copy_(at::randn_like(layer->weight) * 0.2);
      if (layer->bias.defined()) layer->bias.copy_(at::randn_like(layer->bias) * 0.1);
    }
  }

  Tensor forward(const Tensor& x) const {
    const Tensor y = norm.forward(x);
    const Tensor hidden = down.forward(at::silu(gate.forward(y)) * up.forward(y));
    const Tensor heads = value.forward(hidden).unflatten(-1, {2, 8}).repeat_interleave(2, -2);  // each serves two
    return out.forward(heads.flatten(-2));
  }

  std::vector<SharedInput> inputs() {
    const Tensor channels = at::arange(16, at::kLong).view({2, 8}).repeat_interleave(2, 0).flatten();
    std::vector<SharedInput> all;
    all.push_back({.name = "gate", .consumers = {{&gate}, {&up}}, .norm = SharedInput::Norm{norm.weight, {}, 0}});
    all.push_back({.name = "down", .consumers = {{&down}}, .norm = {}, .producer = &up});
    all.push_back({.name = "value", .consumers = {{&value}}, .norm = {}});
    all.push_back({.name = "out", .consumers = {{&out}}, .norm = {}, .producer = &value, .channels = channels});
    return all;
  }
};

double error_after(const AwqOptions& options, const Tensor& seen, const Tensor& asked) {
  Net net;
  const Tensor plain = net.forward(asked);
  auto inputs = net.inputs();
  std::vector<InputStatistics> statistics;
  {
    const Calibration calibration(inputs);
    net.forward(seen);
    statistics = calibration.statistics();
  }
  EXPECT_EQ(net.gate.observer, nullptr);
  awq(inputs, statistics, options);
  EXPECT_TRUE(net.down.packed && !net.down.weight.defined());
  return ((net.forward(asked) - plain).square().sum() / plain.square().sum()).item<double>();
}

TEST(Awq, FoldingLeavesTheFunctionAsItIs) {
  Net net;
  const Tensor x = at::randn({9, 64}), before = net.forward(x);
  for (const SharedInput& input : net.inputs()) {
    if (!input.scalable()) continue;
    Tensor scale = at::rand({input.width()}) * 3 + 0.2;
    if (input.channels.defined()) scale = scale.slice(0, 0, 16).index_select(0, input.channels);
    fold(input, scale);
  }
  EXPECT_TRUE(at::allclose(net.forward(x), before, 1e-4, 1e-5));
}

TEST(Awq, ANormThatAddsOneToItsWeightIsFoldedAsSuch) {
  Net net;
  const Tensor y = at::randn({4, 64}), scale = at::rand({64}) + 0.5;
  const Tensor before = net.up.forward(y * (1 + net.norm.weight));
  fold({.name = "up", .consumers = {{&net.up}}, .norm = SharedInput::Norm{net.norm.weight, {}, 1}}, scale);
  EXPECT_TRUE(at::allclose(net.up.forward(y * (1 + net.norm.weight)), before, 1e-4, 1e-5));
}

TEST(Awq, EachSearchLowersTheErrorOnInputsThatItHasNotSeen) {
  at::manual_seed(6);
  const Tensor seen = at::randn({400, 64}), asked = at::randn({200, 64});
  const double nearest = error_after({.group = 8, .scale = false, .clip = false}, seen, asked);
  const double scaled = error_after({.group = 8, .clip = false}, seen, asked);
  const double both = error_after({.group = 8}, seen, asked);
  EXPECT_LT(scaled, 0.8 * nearest);
  EXPECT_LT(both, scaled);
}

TEST(Awq, ReportsWhatItFoundAndPassesUnseenInputsOver) {
  Net net;
  auto inputs = net.inputs();
  std::vector<InputStatistics> statistics(inputs.size());
  statistics[0].see(at::randn({64, 64}) * at::cat({at::ones({3}) * 20, at::ones({61})}));
  int64_t done = 0;
  const auto results = awq(inputs, statistics, {.group = 8, .on_input = [&](int64_t n) { done = n; }});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(done, 4);
  EXPECT_EQ(results[0].name, "gate");
  EXPECT_GT(results[0].exponent, 0);
  EXPECT_LT(results[0].error, results[0].nearest_error);
  EXPECT_EQ(results[1].error, 0);
  EXPECT_TRUE(net.out.packed);
}

TEST(Awq, NarrowedRangesAreNeverWorseOnTheSample) {
  at::manual_seed(7);
  Tensor weight = at::randn({12, 64});
  weight.select(1, 9).mul_(12);
  const Tensor x = at::randn({100, 64});
  x.select(1, 9).mul_(0.01);  // a large weight that hardly counts
  const auto error = [&](const nn::Ranges& ranges) {
    return at::linear(x, nn::rounded_int4(weight, 32, ranges) - weight).square().sum().item<double>();
  };
  EXPECT_LT(error(narrowed_ranges(weight, x, 32, 10)), 0.9 * error(nn::full_ranges(weight, 32)));
}

TEST(InputStatistics, GathersOverPassesAndKeepsAnEvenSample) {
  InputStatistics statistics(8);
  Tensor all = at::randn({53, 4});
  all.select(1, 0).copy_(at::arange(53));
  for (const auto& [first, count] : {std::pair{0, 5}, {5, 1}, {6, 20}, {26, 27}}) {
    statistics.see(all.narrow(0, first, count).view({1, count, 4}));
  }
  EXPECT_EQ(statistics.rows(), 53);
  EXPECT_TRUE(at::allclose(statistics.mean_magnitude(), all.abs().mean(0)));
  EXPECT_TRUE(at::equal(statistics.largest_magnitude(), all.abs().amax(0)));
  EXPECT_TRUE(at::equal(statistics.sample().select(1, 0), at::arange(0, 53, 8, at::kFloat)));
}

}  // namespace
}  // namespace tessera::quant
