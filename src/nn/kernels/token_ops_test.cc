// The loops against the same thing in ATen calls: values and gradients, both formats, strides and sizes that fill no
// vector.
#include "nn/kernels/token_ops.h"

#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "nn/kernels/token_loops.h"

namespace tessera::nn {
namespace {

using Step = std::function<Tensor(const std::vector<Tensor>&)>;

/// Expects the same value, format and gradients of two ways to compute from the same inputs.
void expect_same(const Step& got, const Step& want, std::vector<Tensor> inputs, double tolerance) {
  for (Tensor& input : inputs) input = input.detach().requires_grad_();
  Tensor weight;
  const auto run = [&](const Step& step) {
    for (Tensor& input : inputs) input.mutable_grad().reset();
    const Tensor out = step(inputs);
    if (!present(weight)) weight = at::randn(out.sizes()).to(out.scalar_type());
    (out * weight).sum().backward();
    std::vector<Tensor> all{out.detach()};
    for (const Tensor& input : inputs) all.push_back(input.grad().clone());
    return all;
  };
  const std::vector<Tensor> a = run(got), b = run(want);
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].sizes(), b[i].sizes());
    ASSERT_EQ(a[i].scalar_type(), b[i].scalar_type()) << i;
    const double size = std::max(1.0, b[i].abs().max().item<double>());
    EXPECT_LT((a[i].to(at::kDouble) - b[i].to(at::kDouble)).abs().max().item<double>(), tolerance * size)
        << (i == 0 ? "value" : "gradient of an input") << " " << i;
  }
  const at::NoGradGuard no_grad;  // the way without a tape
  EXPECT_TRUE(got(inputs).equal(a[0]));
}

class TokenOps : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(6); }
  Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
  double tolerance() const { return GetParam() == at::kFloat ? 2e-6 : 1.6e-2; }  // of bfloat16: two of its steps
};

TEST_P(TokenOps, NormsEqualTheComposedForm) {
  for (const double offset : {0.0, 1.0}) {
    for (const int64_t width : {5, 32, 67}) {
      expect_same([=](const auto& in) { return rms_norm(in[0], in[1], 1e-5, offset); },
                  [=](const auto& in) { return rms_norm_composed(in[0], in[1], 1e-5, offset); },
                  {random({3, 50, width}), random({width})}, tolerance());
    }
  }
}

TEST_P(TokenOps, RotationsEqualTheComposedFormForAllRowsAndRowByRow) {
  for (const int64_t rows : {1, 3}) {
    const Tensor angles = at::randn({rows, 7, 9});
    expect_same([&](const auto& in) { return rotate_halves(in[0], angles.cos(), angles.sin()); },
                [&](const auto& in) { return rotate_halves_composed(in[0], angles.cos(), angles.sin()); },
                {random({3, 7, 2, 18})}, tolerance());
    // a slice of a wider projection, as packed queries, keys and values are
    expect_same(
        [&](const auto& in) { return rotate_halves(in[0].narrow(2, 1, 2), angles.cos(), angles.sin()); },
        [&](const auto& in) { return rotate_halves_composed(in[0].narrow(2, 1, 2), angles.cos(), angles.sin()); },
        {random({3, 7, 4, 18})}, tolerance());
  }
}

TEST_P(TokenOps, GatesEqualTheComposedForm) {
  expect_same([](const auto& in) { return gated_silu(in[0], in[1]); },
              [](const auto& in) { return gated_silu_composed(in[0], in[1]); },
              {random({3, 11, 29}) * 5, random({3, 11, 29})}, tolerance());
}

INSTANTIATE_TEST_SUITE_P(Formats, TokenOps, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(at::toString(info.param)); });

TEST(TokenOpsEdges, GatesAreFiniteForLargeInputs) {
  const Tensor gate = at::tensor(std::vector<float>{-1e30f, -200, -88, 0, 88, 200, 1e30f}), up = at::ones({7});
  const Tensor got = gated_silu(gate, up);
  EXPECT_TRUE(at::isfinite(got).all().item<bool>());
  EXPECT_LT((got - at::silu(gate)).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(gated_silu(at::full({9}, NAN), at::ones({9})).isnan().all().item<bool>()) << "faults must show";
  EXPECT_TRUE(rms_norm(at::full({1, 9}, NAN), at::ones({9}), 1e-6, 0).isnan().all().item<bool>());
}

TEST(TokenOpsEdges, TheLargestIsFoundWhereverItStandsAndIsTheFirstOfEquals) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), most = std::numeric_limits<float>::infinity();
  for (const int64_t count : {1, 2, 15, 16, 17, 100}) {
    for (const float low : {-most, -3.0f, -0.0f, 0.0f, 2.0f}) {
      std::vector<float> x(static_cast<size_t>(count), low);
      EXPECT_EQ(loops::index_of_largest(x.data(), count), 0) << low;
      for (int64_t at = 0; at < count; ++at) {
        for (const float high : {-2.0f, 0.5f, 3.0f, most, nan, -nan}) {
          if (high <= low) continue;
          x.assign(static_cast<size_t>(count), low);
          x[static_cast<size_t>(at)] = x.back() = high;
          EXPECT_EQ(loops::index_of_largest(x.data(), count), at) << high << " above " << low << " of " << count;
        }
      }
    }
  }
  const std::vector<float> zeros = {-1.0f, -0.0f, 0.0f};
  EXPECT_EQ(loops::index_of_largest(zeros.data(), 3), 1) << "zeros are equal whatever their sign";
}

TEST(TokenOpsEdges, NormsReturnBf16UnderAutocast) {
  at::manual_seed(7);
  const Tensor x = at::randn({2, 5, 16}), weight = at::randn({16});
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  expect_same([](const auto& in) { return rms_norm(in[0], in[1], 1e-6, 0); },
              [](const auto& in) { return rms_norm_composed(in[0], in[1], 1e-6, 0).to(at::kBFloat16); }, {x, weight},
              1.6e-2);
  at::autocast::set_autocast_enabled(at::kCPU, false);
}

TEST(TokenOpsEdges, AWeightsGradientDoesNotDependOnTheNumberOfThreads) {
  at::manual_seed(8);
  const Tensor x = at::randn({4, 100, 33}), toward = at::randn({4, 100, 33});
  const auto gradient = [&](int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    Tensor weight = at::ones({33}).requires_grad_();
    (rms_norm(x, weight, 1e-6, 0) * toward).sum().backward();
    at::set_num_threads(before);
    return weight.grad().clone();
  };
  EXPECT_TRUE(gradient(1).equal(gradient(2)));
}

}  // namespace
}  // namespace tessera::nn
