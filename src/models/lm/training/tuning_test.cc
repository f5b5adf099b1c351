// Language models while they are tuned: blocks computed again, adapters, a base in four bits.
#include <gtest/gtest.h>

#include "models/lm/testing.h"
#include "tensor/live_bytes.h"
#include "train/tune.h"

namespace tessera::lm {
namespace {

struct Pass {
  Tensor loss;
  std::map<std::string, Tensor> gradients;
  int64_t peak = 0;
};

Pass pass(DecoderLm& model, const std::vector<train::Parameter>& parameters, bool recompute, int64_t length = 12) {
  const Tensor ids = tiny_ids(2, length);
  Positions positions = positions_of(model, length, {}, at::kCPU);
  positions.recompute = recompute;
  Pass result;
  const LiveBytes bytes;
  const Tensor loss = model.forward(model.embed(ids), positions).square().sum();
  loss.backward();
  result.peak = bytes.peak();
  result.loss = loss.detach();
  for (const train::Parameter& p : parameters) {
    result.gradients[p.name] = p.tensor.grad();
    p.tensor.mutable_grad() = Tensor();
  }
  return result;
}

void expect_same(const Pass& a, const Pass& b, const std::string& what) {
  EXPECT_TRUE(a.loss.equal(b.loss)) << what;
  for (const auto& [name, gradient] : a.gradients) {
    const Tensor& other = b.gradients.at(name);
    ASSERT_EQ(present(gradient), present(other)) << what << " " << name;
    EXPECT_TRUE(!present(gradient) || gradient.equal(other)) << what << " " << name;
  }
}

TEST(LmTuning, RecomputedBlocksGiveTheSameGradientsInEveryFamilyAndKindOfTuning) {
  for (const std::string& family : tiny_families()) {
    for (const std::string what : {"full", "lora", "qlora", "norms"}) {
      DecoderLm model = tiny_lm(tiny_config(family));
      const auto parameters = train::tuned_parameters(model, {.what = what, .rank = 2, .last_layers = 1, .group = 8});
      expect_same(pass(model, parameters, false), pass(model, parameters, true), family + " " + what);
    }
  }
}

TEST(LmTuning, RecomputedBlocksNeedLessAtOnce) {
  LmConfig config = tiny_config();
  config.depth = 6;
  DecoderLm model = tiny_lm(config);
  const auto parameters = train::tuned_parameters(model, {.what = "lora", .rank = 2});
  const int64_t plain = pass(model, parameters, false, 60).peak, again = pass(model, parameters, true, 60).peak;
  EXPECT_LT(static_cast<double>(again), 0.5 * static_cast<double>(plain)) << again << " of " << plain << " bytes";
}

TEST(LmTuning, AnUntrainedAdapterChangesNothingAndTheHeadHasNone) {
  const at::NoGradGuard no_grad;
  DecoderLm model = tiny_lm(tiny_config("llama"));
  const Tensor before = full_logits(model, tiny_ids(1, 6));
  const auto parameters = train::tuned_parameters(model, {.what = "lora"});
  EXPECT_TRUE(full_logits(model, tiny_ids(1, 6)).equal(before));
  EXPECT_FALSE(model.lm_head.lora);
  EXPECT_EQ(parameters.size(), static_cast<size_t>(2 * 7 * model.config.depth)) << "A and B of seven layers a block";
}

}  // namespace
}  // namespace tessera::lm
