// Laws of every family: causality, caches, padding and packing change nothing that a row can see.
#include "models/lm/architecture/module.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/lm/testing.h"

namespace tessera::lm {
namespace {

double distance(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

class LmFamily : public ::testing::TestWithParam<std::string> {
 protected:
  const at::NoGradGuard no_grad;
  const DecoderLm model = tiny_lm(tiny_config(GetParam()));
};

TEST_P(LmFamily, EarlierPositionsDoNotSeeLaterOnes) {
  Tensor ids = tiny_ids(2, 9);
  const Tensor before = full_logits(model, ids);
  ids.select(1, 6).add_(1).remainder_(40);
  const Tensor after = full_logits(model, ids);
  EXPECT_TRUE(before.slice(1, 0, 6).equal(after.slice(1, 0, 6)));
  EXPECT_GT(distance(before.select(1, 6), after.select(1, 6)), 1e-3);
}

TEST_P(LmFamily, RowsPaddedOnTheLeftEqualRowsAlone) {
  const Tensor ids = tiny_ids(3, 10), pad = at::tensor(std::vector<int64_t>{0, 3, 7});
  const Tensor together = model.logits(model.forward(model.embed(ids), positions_of(model, 10, pad, at::kCPU)));
  EXPECT_TRUE(at::isfinite(together).all().item<bool>());
  for (int64_t row = 0; row < 3; ++row) {
    const int64_t skipped = pad[row].item<int64_t>();
    const Tensor alone = full_logits(model, ids.slice(0, row, row + 1).slice(1, skipped));
    EXPECT_LT(distance(together.slice(0, row, row + 1).slice(1, skipped), alone), 1e-4) << "row " << row;
  }
}

TEST_P(LmFamily, PackedSegmentsEqualRowsOfTheirOwn) {
  const Tensor ids = tiny_ids(2, 12);
  const Tensor segments = at::tensor(std::vector<int64_t>{0, 0, 0, 1, 1, 1, 1, 1, 1, 1,  2,  2,  //
                                                          4, 4, 4, 4, 4, 4, 4, 4, 3, -1, -1, -1})
                              .view({2, 12});
  const Tensor packed = model.logits(model.forward(model.embed(ids), packed_positions(model, segments)));
  for (const auto& [row, begin, end] :
       {std::tuple<int64_t, int64_t, int64_t>{0, 0, 3}, {0, 3, 10}, {0, 10, 12}, {1, 0, 8}, {1, 8, 9}}) {
    const Tensor alone = full_logits(model, ids.slice(0, row, row + 1).slice(1, begin, end));
    EXPECT_LT(distance(packed.slice(0, row, row + 1).slice(1, begin, end), alone), 1e-4) << row << " from " << begin;
  }
}

TEST_P(LmFamily, BrainFloatsStayNearSingles) {
  DecoderLm half = tiny_lm(model.config);
  for_each_tensor(half, [](const std::string&, Tensor& t) { t = t.to(at::kBFloat16); });
  const Tensor ids = tiny_ids(2, 9), got = full_logits(half, ids), want = full_logits(model, ids);
  EXPECT_EQ(got.scalar_type(), at::kFloat);
  EXPECT_LT((got - want).norm().item<double>(), 0.08 * want.norm().item<double>());
}

TEST_P(LmFamily, EveryParameterGetsAGradientAlsoUnderBrainFloatAutocast) {
  const at::AutoGradMode with_grad(true);
  DecoderLm trained = tiny_lm(model.config);
  for_each_tensor(trained, [](const std::string&, Tensor& t) { t.requires_grad_(true); });
  const Tensor ids = tiny_ids(2, 9);
  for (const bool autocast : {false, true}) {
    at::autocast::set_autocast_enabled(at::kCPU, autocast);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    const Tensor loss = at::cross_entropy_loss(full_logits(trained, ids).flatten(0, 1), ids.roll(-1, 1).flatten());
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
    loss.backward();
    for_each_tensor(trained, [](const std::string& name, Tensor& t) {
      ASSERT_TRUE(t.grad().defined()) << name;
      EXPECT_TRUE(at::isfinite(t.grad()).all().item<bool>()) << name;
      // keys' biases shift all scores of a query alike where no positions turn them apart; theirs may be small, not
      // absent
      EXPECT_GT(t.grad().abs().max().item<double>(), 0) << name;
      t.mutable_grad().reset();
    });
  }
}

INSTANTIATE_TEST_SUITE_P(All, LmFamily, ::testing::ValuesIn(tiny_families()),
                         [](const auto& info) { return info.param; });

TEST(LmModule, AWindowHidesWhatIsFartherBackInItsBlocksAlone) {
  const at::NoGradGuard no_grad;
  LmConfig config = tiny_config();
  config.window = 3, config.depth = 1;
  const DecoderLm windowed = tiny_lm(config);
  config.window_first = 1;
  const DecoderLm open = tiny_lm(config);
  Tensor ids = tiny_ids(1, 8);
  const Tensor windowed_before = full_logits(windowed, ids), open_before = full_logits(open, ids);
  ids.select(1, 2).add_(1).remainder_(40);
  const Tensor windowed_change = (full_logits(windowed, ids) - windowed_before).abs().amax({0, 2});
  EXPECT_GT(windowed_change[4].item<double>(), 1e-3);  // 2, 3 and 4
  EXPECT_EQ(windowed_change[5].item<double>(), 0);     // 3, 4 and 5
  EXPECT_GT((full_logits(open, ids) - open_before).abs().amax({0, 2})[5].item<double>(), 1e-3);
}

TEST(LmModule, InitialWeightsAreAFunctionOfTheSeedAndScaledByDepth) {
  DecoderLm a(tiny_config()), b(tiny_config());
  initialise(a, 5), initialise(b, 5);
  EXPECT_TRUE(a.layers[1].mlp.up_proj.weight.equal(b.layers[1].mlp.up_proj.weight));
  initialise(b, 6);
  EXPECT_FALSE(a.layers[1].mlp.up_proj.weight.equal(b.layers[1].mlp.up_proj.weight));
  EXPECT_NEAR(a.embed_tokens.weight.std().item<double>(), 0.02 * 0.88,
              0.001);  // cut at two deviations: 0.88 of the spread
  EXPECT_NEAR(a.layers[0].mlp.down_proj.weight.std().item<double>(), 0.02 * 0.88 / 2, 0.001);
  EXPECT_TRUE(a.norm.weight.equal(at::ones(24)));
}

TEST(LmModule, SizesThatMakeNoModelAreRefused) {
  const auto refused = [](auto change, const std::string& because) {
    LmConfig config = tiny_config();
    change(config);
    EXPECT_THAT([&] { DecoderLm model(config); }, ::testing::ThrowsMessage<UserError>(::testing::HasSubstr(because)));
  };
  refused([](LmConfig& c) { c.kv_heads = 3; }, "kv_heads is 3, want a divisor of heads 4");
  refused([](LmConfig& c) { c.head_dim = 7; }, "head_dim is 7, want an even number");
  refused([](LmConfig& c) { c.depth = 0; }, "depth is 0, want 1 to");
  refused([](LmConfig& c) { c.norm_before = false; }, "without norms");
  refused([](LmConfig& c) { c.window = 0; }, "window is 0");
  refused([](LmConfig& c) { c.rope_scaling = RopeScaling{.high_frequency_factor = 1}; }, "high_frequency_factor is 1");
}

}  // namespace
}  // namespace tessera::lm
