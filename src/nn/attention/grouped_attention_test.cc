// Grouped attention against the same thing written out with repeated heads.
#include "nn/attention/grouped_attention.h"

#include <gtest/gtest.h>

#include <limits>

namespace tessera::nn {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Case {
  int64_t batch, heads, groups, length, total;
  bool mask = false, mask_per_row = false;
  std::optional<double> cap = {};
};

/// Scores, cap, mask, softmax and sum in doubles, heads repeated.
Tensor written_out(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options) {
  const int64_t each = q.size(1) / k.size(1), length = q.size(2), total = k.size(2);
  const Tensor keys = k.to(at::kDouble).repeat_interleave(each, 1),
               values = v.to(at::kDouble).repeat_interleave(each, 1);
  Tensor scores = at::matmul(q.to(at::kDouble), keys.transpose(-1, -2)) * options.scale;
  if (options.cap) scores = (scores / *options.cap).tanh() * *options.cap;
  if (present(options.mask)) scores = scores + options.mask.to(at::kDouble);
  else if (length > 1) scores = scores + at::full({length, total}, -infinity, at::kDouble).triu(total - length + 1);
  return at::matmul(scores.softmax(-1), values).transpose(1, 2).flatten(2);
}

class Grouped : public ::testing::TestWithParam<Case> {
 protected:
  GroupedOptions options(const Case& c) const {
    GroupedOptions options{.scale = 0.4, .cap = c.cap};
    if (c.mask) {
      options.mask = at::zeros({c.mask_per_row ? c.batch : 1, 1, c.length, c.total});
      options.mask.masked_fill_(at::rand(options.mask.sizes()) < 0.4, -infinity).diagonal(0, -2, -1).zero_();
    }
    return options;
  }
};

TEST_P(Grouped, EqualsRepeatedHeadsInValueAndGradient) {
  at::manual_seed(4);
  const Case c = GetParam();
  const GroupedOptions options = this->options(c);
  // as they come: queries and keys out of a turn, values a view of a projection
  Tensor q = at::randn({c.batch, c.heads, c.length, 8}).requires_grad_();
  Tensor k = at::randn({c.batch, c.groups, c.total, 8}).requires_grad_();
  Tensor v = at::randn({c.batch, c.total, c.groups, 8}).requires_grad_();
  const Tensor got = attend_grouped(q, k, v.transpose(1, 2), options);
  const Tensor want = written_out(q, k, v.transpose(1, 2), options);
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-5);

  const Tensor weight = at::randn(want.sizes());
  const auto gradients = [&](const Tensor& out) {
    for (Tensor* t : {&q, &k, &v}) t->mutable_grad().reset();
    (out * weight).sum().backward();
    return std::vector<Tensor>{q.grad().clone(), k.grad().clone(), v.grad().clone()};
  };
  const std::vector<Tensor> a = gradients(got), b = gradients(want);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_LT((a[i] - b[i]).abs().max().item<double>(), 1e-4) << "input " << i;
}

INSTANTIATE_TEST_SUITE_P(Shapes, Grouped,
                         ::testing::Values(Case{2, 4, 4, 5, 5}, Case{2, 6, 2, 5, 5}, Case{2, 6, 2, 1, 7},
                                           Case{2, 6, 2, 1, 7, true, true}, Case{1, 6, 2, 5, 7, true},
                                           Case{3, 6, 2, 5, 7, true}, Case{3, 6, 3, 5, 7, true, true},
                                           Case{2, 6, 2, 5, 5, false, false, 2.0},
                                           Case{2, 6, 2, 1, 7, false, false, 2.0},
                                           Case{2, 6, 2, 5, 7, true, true, 2.0}));

}  // namespace
}  // namespace tessera::nn
