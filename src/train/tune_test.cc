// What is trained moves, what is frozen does not; a mistake in the table is named.
#include "train/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "train/optimizer.h"

namespace tessera::train {
namespace {

struct Block {
  nn::LayerNorm norm{16};
  nn::Linear up{16, 32}, down{32, 16, false};
};
template <class V> void tensors(V& v, Block& m) {
  v("norm", m.norm);
  v("up", m.up);
  v("down", m.down);
}

struct Net {
  Tensor embedding = at::randn({5, 16});
  std::vector<Block> layers{2};
  nn::Linear lm_head{16, 5, false};
};
template <class V> void tensors(V& v, Net& m) {
  v("embedding", m.embedding);
  v("layers", m.layers);
  v("lm_head", m.lm_head);
}

Net made() {
  Net net;
  for (size_t i = 0; const NamedTensor& t : named_tensors(net)) fill_uniform(t.tensor, 0.5, Rng(3).split(i++));
  return net;
}

Tensor loss_of(const Net& net) {
  Tensor x = net.embedding;
  for (const Block& b : net.layers) x = x + b.down.forward(b.up.forward(b.norm.forward(x)).tanh());
  return net.lm_head.forward(x).square().mean();
}

/// Names whose tensors a step of training moved.
std::vector<std::string> moved(const TuneConfig& config) {
  Net net = made();
  const std::vector<Parameter> parameters = tuned_parameters(net, config);
  std::map<std::string, Tensor> before;
  for (const auto& [name, tensor] : named_tensors(net)) before[name] = tensor.detach().clone();
  AdamW optimizer(parameters, {});
  for (int step = 0; step < 2; ++step) {
    loss_of(net).backward();
    optimizer.step(0.1);
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named_tensors(net)) {
    if (!tensor.equal(before.at(name))) names.push_back(name);
  }
  return names;
}

using ::testing::ElementsAre;

TEST(Tune, AdaptersMoveAndTheBaseDoesNot) {
  EXPECT_THAT(moved({.what = "lora", .rank = 2, .targets = {"up"}}),
              ElementsAre("layers.0.up.lora.lora_A.weight", "layers.0.up.lora.lora_B.weight",
                          "layers.1.up.lora.lora_A.weight", "layers.1.up.lora.lora_B.weight"));
  EXPECT_EQ(moved({.what = "lora", .rank = 2}).size(), 8u);
}

TEST(Tune, ABaseInFourBitsTrainsItsAdapters) {
  EXPECT_THAT(moved({.what = "qlora", .rank = 2, .targets = {"down"}, .last_layers = 1, .group = 16}),
              ElementsAre("layers.1.down.lora.lora_A.weight", "layers.1.down.lora.lora_B.weight"));
  Net net = made();
  tuned_parameters(net, {.what = "qlora", .rank = 2, .targets = {"down"}, .group = 16});
  EXPECT_TRUE(net.layers[0].up.packed && !net.layers[0].up.weight.defined())
      << "layers without adapters are packed as well";
  EXPECT_TRUE(net.lm_head.weight.defined());
}

TEST(Tune, NormsAloneAndNamedPartsBesideThem) {
  EXPECT_THAT(moved({.what = "norms"}),
              ElementsAre("layers.0.norm.weight", "layers.0.norm.bias", "layers.1.norm.weight", "layers.1.norm.bias"));
  EXPECT_THAT(moved({.what = "norms", .also = {"lm_head", "1.down"}}),
              ElementsAre("layers.0.norm.weight", "layers.0.norm.bias", "layers.1.norm.weight", "layers.1.norm.bias",
                          "layers.1.down.weight", "lm_head.weight"));
}

TEST(Tune, AllOfItOrNothing) {
  EXPECT_EQ(moved({}).size(), 12u);
  Net net = made();
  EXPECT_TRUE(tuned_parameters(net, {.what = "nothing"}).empty());
  EXPECT_FALSE(loss_of(net).requires_grad());
}

TEST(Tune, MatricesDecayAndVectorsDoNot) {
  Net net = made();
  for (const Parameter& p : tuned_parameters(net, {})) EXPECT_EQ(p.decay, p.tensor.dim() > 1) << p.name;
}

TEST(Tune, APreparedModuleIsPreparedOnce) {
  Net net = made();
  const auto first = tuned_parameters(net, {.what = "lora"}), second = tuned_parameters(net, {.what = "lora"});
  ASSERT_EQ(first.size(), second.size());
  EXPECT_TRUE(first[0].tensor.is_same(second[0].tensor));
}

TEST(Tune, MistakesAreNamed) {
  const std::vector<std::pair<TuneConfig, std::string>> mistakes = {
      {{.what = "lor"}, "did you mean 'lora'"},
      {{.what = "lora", .rank = 0}, "rank, alpha are 0"},
      {{.what = "lora", .targets = {}}, "targets"},
      {{.what = "lora", .targets = {"upp"}}, "did you mean 'up'"},
      {{.also = {"tower"}}, "'tower'"},
      {{.what = "qlora", .group = 7}, "group is 7"},
      {{.what = "lora", .start = "zero"}, "start is 'zero'"}};
  for (const auto& [config, words] : mistakes) {
    Net net = made();
    try {
      tuned_parameters(net, config);
      FAIL() << words;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
    }
  }
}

TEST(Tune, PackedWeightsAreNotTrainedInFull) {
  Net net = made();
  tuned_parameters(net, {.what = "qlora", .group = 16});
  EXPECT_THROW(tuned_parameters(net, {.what = "full"}), UserError);
}

}  // namespace
}  // namespace tessera::train
