// Every linear layer of the transformer, the fused projections of its attentions among them, can be packed and tuned.
#include <gtest/gtest.h>

#include "models/infinity/testing.h"
#include "nn/layers/adapters.h"
#include "train/tune.h"

namespace tessera::infinity {
namespace {

Tensor logits_of(const Infinity& model) {
  at::manual_seed(11);
  const Positions positions = positions_of(model.config, schedule_for(model.config, 1), at::kCPU);
  const Condition condition = model.condition(model.encode({"red apple", "cat"}));
  return model.forward(at::randn({2, positions.schedule.tokens() - 1, model.config.bits_per_token()}), condition,
                       positions);
}

/// Largest difference as a share of the largest magnitude.
double difference(const Tensor& a, const Tensor& b) { return ((a - b).abs().max() / b.abs().max()).item<double>(); }

/// The layers whose product is queries, keys and values at once, or keys and values.
std::vector<nn::NamedLinear> fused_projections(Infinity& model) {
  std::vector<nn::NamedLinear> all;
  for (const nn::NamedLinear& l : nn::named_linears(model)) {
    if (nn::name_ends(l.name, "mat_qkv") || nn::name_ends(l.name, "mat_kv")) all.push_back(l);
  }
  return all;
}

TEST(PackedInfinity, EqualsThePlainOneOfTheUnpackedWeights) {
  const at::NoGradGuard no_grad;
  Infinity model = tiny_infinity();
  const Tensor before = logits_of(model);
  EXPECT_EQ(fused_projections(model).size(), 2 * model.blocks.size() + 1) << "and the pool's";
  EXPECT_EQ(nn::pack_weights(nn::named_linears(model), 4), 0) << "every layer is packed";
  const Tensor packed = logits_of(model);
  EXPECT_GT(difference(packed, before), 1e-3) << "four bits are heard";
  Infinity plain = model;
  for (const nn::NamedLinear& l : nn::named_linears(plain)) {
    l.linear->weight = l.linear->packed->unpack();
    l.linear->packed.reset();
  }
  EXPECT_LT(difference(packed, logits_of(plain)), 1e-3);
}

TEST(PackedInfinity, AdaptersOnFusedProjectionsAreHeardAndMerged) {
  const at::NoGradGuard no_grad;
  Infinity model = tiny_infinity();
  const Tensor before = logits_of(model);
  const auto chosen = fused_projections(model);
  nn::attach_adapters(chosen, {.rank = 2});
  EXPECT_LT(difference(logits_of(model), before), 1e-5) << "adapters start without effect";
  for (const nn::NamedLinear& l : chosen) {
    fill_uniform(l.linear->lora->b, 1, Rng(1));
    const Tensor without = l.linear->lora->b.clone();
    const Tensor heard = logits_of(model);
    l.linear->lora->b.zero_();
    EXPECT_GT(difference(heard, logits_of(model)), 1e-4) << l.name;
    l.linear->lora->b.copy_(without);
  }
  const Tensor beside = logits_of(model);
  nn::merge_adapters(chosen);
  EXPECT_LT(difference(logits_of(model), beside), 1e-4);
}

TEST(PackedInfinity, ABaseInFourBitsGivesGradientsToEveryAdapter) {
  Infinity model = tiny_infinity();
  const auto trained = train::tuned_parameters(model, {.what = "qlora", .rank = 2, .group = 4});
  for (const auto& parameter : trained) {
    const at::NoGradGuard no_grad;
    fill_uniform(parameter.tensor, 1, Rng(hash_text(parameter.name)));
  }
  logits_of(model).square().mean().backward();
  for (const auto& parameter : trained) {
    ASSERT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    EXPECT_GT(parameter.tensor.grad().abs().max().item<double>(), 0) << parameter.name;
  }
}

}  // namespace
}  // namespace tessera::infinity
