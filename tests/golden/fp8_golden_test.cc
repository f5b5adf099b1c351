// Products in 8-bit floating point against PyTorch's casts (tools/golden/fp8_twin.py).
#include <gtest/gtest.h>

#include "nn/layers/fp8.h"
#include "tests/golden/fixture.h"

namespace tessera::nn {
namespace {

TEST(Fp8Golden, OutputsAndBothGradientsEqualTheTwins) {
  const golden::Fixture fixture("fp8");
  const Tensor x = fixture["x"].clone().requires_grad_(true), weight = fixture["weight"].clone().requires_grad_(true);
  const Tensor y = fp8_linear(x, weight);
  golden::expect_close(y, fixture["y"], 1e-5, "y");
  y.backward(fixture["gradient"]);
  golden::expect_close(x.grad(), fixture["to_x"], 1e-8, "dL/dx");
  golden::expect_close(weight.grad(), fixture["to_weight"], 1e-6, "dL/dW");
}

}  // namespace
}  // namespace tessera::nn
