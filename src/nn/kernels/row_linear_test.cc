// Products row by row equal plain ones, and a row is the same bits whatever stands beside it.
#include "nn/kernels/row_linear.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/kernels/row_product.h"

namespace tessera::nn {
namespace {

TEST(Linear16Bit, EqualsTheProductWithTheWidenedWeight) {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    for (const int64_t in : {1, 7, 16, 33, 64, 200}) {
      for (const int64_t rows : {1, 2, 3, 5, 8, 9, 16, 17, 40}) {
        const Tensor weight = at::randn({19, in}).to(type), x = at::randn({rows, in});
        const Tensor plain = at::linear(x.to(at::kDouble), weight.to(at::kDouble));
        const double off = ((linear_16bit(x, weight) - plain).abs().max() / plain.abs().max()).item<double>();
        EXPECT_LT(off, 2e-6) << weight.scalar_type() << " in " << in << " rows " << rows;
      }
    }
  }
}

TEST(Linear16Bit, KeepsLeadingDimensionsAndGradients) {
  const Tensor weight = at::randn({6, 10}).to(at::kHalf), x = at::randn({2, 3, 10}).requires_grad_();
  const Tensor y = linear_16bit(x, weight);
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{2, 3, 6}));
  y.sum().backward();
  EXPECT_TRUE(at::allclose(x.grad(), weight.to(at::kFloat).sum(0).expand_as(x), 1e-4, 1e-5));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(linear_16bit(x, weight), y, 1e-5, 1e-5));
}

TEST(Linear16Bit, ManyRowsMayBeRoundedToBf16AndFewBesideFp16AreNot) {
  at::manual_seed(5);
  const at::NoGradGuard no_grad;
  const Tensor weight = at::randn({70, 300}).to(at::kHalf), x = at::randn({40, 300});
  const auto off = [&](const Tensor& y, const Tensor& from) {
    const Tensor want = at::linear(from.to(at::kDouble), weight.to(at::kDouble));
    return ((y - want).norm() / want.norm()).item<double>();
  };
  const double many = off(linear_16bit(x, weight, true), x);
  EXPECT_LT(many, 6e-3);
  EXPECT_GT(many, 1e-4);
  EXPECT_LT(off(linear_16bit(x.narrow(0, 0, 8), weight, true), x.narrow(0, 0, 8)), 1e-6);
}

TEST(Linear16Bit, FewRowsBesideBf16AreRoundedAsManyAre) {
  if (!rows::has_bf16_dot()) GTEST_SKIP() << "this processor does not multiply bf16";
  at::manual_seed(8);
  const at::NoGradGuard no_grad;
  const Tensor weight = at::randn({70, 300}).to(at::kBFloat16), x = at::randn({40, 300});
  const Tensor few = x.narrow(0, 0, 8), rounded = few.to(at::kBFloat16).to(at::kFloat);
  EXPECT_TRUE(at::allclose(linear_16bit(few, weight, true), at::linear(rounded, weight.to(at::kFloat)), 1e-4, 1e-4));
  EXPECT_FALSE(at::allclose(linear_16bit(few, weight, true), linear_16bit(few, weight), 1e-4, 1e-4));
}

TEST(RowProduct, InBf16EqualsTheProductOfRoundedInputsAndARowIsTheSameBitsInACrowd) {
  if (!rows::has_bf16_dot()) GTEST_SKIP() << "this processor does not multiply bf16";
  at::manual_seed(6);
  for (const int64_t in : {1, 31, 32, 33, 64, 95, 576, 1001, 4100}) {
    const Tensor weight = at::randn({37, in}).to(at::kBFloat16), x = at::randn({21, in});
    const auto product = row_product_of(weight, true);
    const auto of = [&](int64_t first, int64_t count) {
      const Tensor some = x.narrow(0, first, count).contiguous(), y = at::full({count, 37}, -7.0f);
      RowScratch scratch;
      product->prepare(some.const_data_ptr<float>(), count, scratch);
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 16}, {16, 37}})
        product->multiply(some.const_data_ptr<float>(), count, scratch, begin, end, y.mutable_data_ptr<float>());
      return y;
    };
    const Tensor all = of(0, 21), rounded = x.to(at::kBFloat16).to(at::kDouble);
    const Tensor want = at::linear(rounded, weight.to(at::kDouble));
    EXPECT_LT(((all - want).abs().max() / want.abs().max()).item<double>(), 1e-5) << "in " << in;
    for (const int64_t r : {0, 7, 8, 20}) EXPECT_TRUE(at::equal(of(r, 1), all.narrow(0, r, 1))) << "in " << in;
    for (const auto& [first, count] :
         {std::pair<int64_t, int64_t>{0, 2}, {1, 3}, {2, 4}, {3, 6}, {1, 7}, {4, 8}, {2, 9}, {5, 15}})
      EXPECT_TRUE(at::equal(of(first, count), all.narrow(0, first, count))) << count << " rows, in " << in;
  }
}

TEST(RowProduct, ManyRowsRoundedInPartsAreTheBitsOfFewInBf16) {
  if (!rows::has_bf16_dot()) GTEST_SKIP() << "this processor does not multiply bf16";
  at::manual_seed(7);
  for (const int64_t in : {32, 96, 1000}) {
    const Tensor weight = at::randn({59, in}).to(at::kBFloat16), x = at::randn({67, in});
    const auto product = row_product_of(weight, true);
    RowScratch at_once, in_parts;
    product->prepare(x.const_data_ptr<float>(), 67, at_once);
    product->make_room(67, in_parts);
    for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 40}, {40, 67}}) {
      for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 32}, {32, in}})
        product->round({x.const_data_ptr<float>() + begin * in + first, in, begin, end, first, last}, in_parts);
    }
    EXPECT_EQ(in_parts.bf16, at_once.bf16);
    const Tensor y = at::empty({67, 59});
    product->multiply(nullptr, 67, in_parts, 0, 59, y.mutable_data_ptr<float>());
    for (int64_t r = 0; r < 67; ++r) {
      const Tensor one = at::empty({1, 59});
      product->prepare(x.const_data_ptr<float>() + r * in, 1, at_once);
      product->multiply(nullptr, 1, at_once, 0, 59, one.mutable_data_ptr<float>());
      EXPECT_TRUE(at::equal(one, y.narrow(0, r, 1))) << "row " << r << ", in " << in;
    }
  }
}

TEST(RowProduct, ManyRowsBesideFp16AreMultipliedInBf16AndFewInFp32) {
  if (!rows::has_bf16_dot()) GTEST_SKIP() << "this processor does not multiply bf16";
  at::manual_seed(8);
  const Tensor weight = at::randn({53, 200}).to(at::kHalf), x = at::randn({70, 200}), y = at::empty({70, 53});
  const auto product = row_product_of(weight, true);
  RowScratch scratch;
  product->make_room(70, scratch);
  product->round({x.const_data_ptr<float>(), 200, 0, 70, 0, 200}, scratch);
  product->multiply(nullptr, 70, scratch, 0, 53, y.mutable_data_ptr<float>());
  const Tensor want = at::linear(x.to(at::kBFloat16).to(at::kDouble), weight.to(at::kBFloat16).to(at::kDouble));
  EXPECT_LT(((y - want).abs().max() / want.abs().max()).item<double>(), 1e-5);
  product->prepare(x.const_data_ptr<float>(), 3, scratch);
  product->multiply(x.const_data_ptr<float>(), 3, scratch, 0, 53, y.mutable_data_ptr<float>());
  const Tensor few = at::linear(x.narrow(0, 0, 3).to(at::kDouble), weight.to(at::kDouble));
  EXPECT_LT(((y.narrow(0, 0, 3) - few).abs().max() / few.abs().max()).item<double>(), 1e-5);
}

TEST(Linear16Bit, BlocksOfAWideWeightJoin) {
  const Tensor weight = at::randn({5000, 1000}).to(at::kBFloat16), x = at::randn({20, 1000});
  const Tensor plain = at::linear(x, weight.to(at::kFloat));
  EXPECT_TRUE(at::allclose(linear_16bit(x, weight), plain, 1e-4, 1e-3));
}

TEST(RowLinear, EqualsThePlainProductInEveryFormat) {
  at::manual_seed(2);
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    for (const int64_t in : {1, 7, 16, 33, 200}) {
      const Tensor weight = at::randn({19, in}).to(type), bias = at::randn({19}).to(type), x = at::randn({3, 5, in});
      const Tensor plain = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      const double off = ((row_linear(x, weight, bias) - plain).abs().max() / plain.abs().max()).item<double>();
      EXPECT_LT(off, 2e-6) << type << " in " << in;
    }
  }
}

TEST(RowLinear, ARowHasTheSameBitsAloneAndInACrowd) {
  at::manual_seed(3);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t in : {24, 64, 576, 1001}) {
      const Tensor weight = at::randn({300, in}).to(type), x = at::randn({37, in}).to(type);
      const RowByRow on;
      const Tensor all = product(x, weight);
      for (const int64_t r : {0, 7, 8, 36})
        EXPECT_TRUE(at::equal(product(x.narrow(0, r, 1), weight), all.narrow(0, r, 1))) << type << " row " << r;
    }
  }
}

TEST(RowLinear, ElementWiseFunctionsHaveTheSameBitsInEveryRow) {
  at::manual_seed(4);
  const Tensor x = at::randn({5, 21});
  const RowByRow on;
  const auto f = [](const Tensor& t) { return at::gelu(t, "tanh"); };
  const Tensor all = elementwise(x, f);
  for (int64_t r = 0; r < 5; ++r) EXPECT_TRUE(at::equal(elementwise(x.narrow(0, r, 1), f), all.narrow(0, r, 1)));
}

}  // namespace
}  // namespace tessera::nn
