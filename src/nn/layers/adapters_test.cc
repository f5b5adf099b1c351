// Adapters change nothing when they start, and the same whether beside the weight or in it; packed weights carry gradients.
#include "nn/layers/adapters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/allclose.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>

#include "core/error.h"

namespace tessera::nn {
namespace {

struct Block {
  LayerNorm norm{8};
  Linear q_proj{8, 8}, up_proj{8, 16, false};
};
template <class V> void tensors(V& v, Block& m) {
  v("norm", m.norm);
  v("q_proj", m.q_proj);
  v("up_proj", m.up_proj);
}

struct Net {
  std::vector<Block> layers{3};
  std::optional<RmsNorm> last = RmsNorm(8);
  Linear lm_head{8, 4, false};
  Linear absent;
};
template <class V> void tensors(V& v, Net& m) {
  v("layers", m.layers);
  v("last", m.last);
  v("lm_head", m.lm_head);
  v("absent", m.absent);
}

Net made() {
  Net net;
  for (size_t i = 0; const NamedTensor& t : named_tensors(net)) fill_uniform(t.tensor, 1, Rng(3).split(i++));
  return net;
}

std::vector<std::string> names(const std::vector<NamedLinear>& linears) {
  std::vector<std::string> all;
  for (const NamedLinear& l : linears) all.push_back(l.name);
  return all;
}

using ::testing::ElementsAre;

TEST(Adapters, TargetsAreEndsOfNamesAndNeverTheHead) {
  Net net = made();
  const auto all = named_linears(net);
  EXPECT_THAT(names(chosen_linears(all, {"q_proj"})),
              ElementsAre("layers.0.q_proj", "layers.1.q_proj", "layers.2.q_proj"));
  EXPECT_THAT(names(chosen_linears(all, {"1.up_proj"})), ElementsAre("layers.1.up_proj"));
  EXPECT_EQ(chosen_linears(all, {"all"}).size(), 6u) << "the head and the layer without a weight stay out";
  EXPECT_THAT(names(chosen_linears(all, {"all"}, 1)), ElementsAre("layers.2.q_proj", "layers.2.up_proj"));
}

TEST(Adapters, AnUnknownTargetNamesTheNearest) {
  Net net = made();
  for (const std::string target : {"q_prj", "proj", "lm_head"}) {
    try {
      chosen_linears(named_linears(net), {target});
      FAIL() << target;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("_proj")) << target;
    }
  }
}

TEST(Adapters, NormTensorsAreFoundByType) {
  Net net = made();
  EXPECT_THAT(norm_tensor_names(net),
              ElementsAre("layers.0.norm.weight", "layers.0.norm.bias", "layers.1.norm.weight", "layers.1.norm.bias",
                          "layers.2.norm.weight", "layers.2.norm.bias", "last.weight"));
}

TEST(Adapters, ChangeNothingAtFirstAndDependOnSeedAndNameAlone) {
  Net net = made(), other = made();
  const Tensor x = at::randn({2, 3, 8});
  const Tensor before = net.layers[1].q_proj.forward(x);
  attach_adapters(chosen_linears(named_linears(net), {"all"}), {.rank = 4, .alpha = 8});
  attach_adapters(chosen_linears(named_linears(other), {"q_proj"}), {.rank = 4, .alpha = 8});
  EXPECT_TRUE(net.layers[1].q_proj.forward(x).equal(before));
  EXPECT_TRUE(net.layers[1].q_proj.lora->a.equal(other.layers[1].q_proj.lora->a));
  EXPECT_FALSE(net.layers[1].q_proj.lora->a.equal(net.layers[2].q_proj.lora->a));
  EXPECT_LE(net.layers[1].q_proj.lora->a.abs().max().item<double>(), 1 / std::sqrt(8.0));
  EXPECT_THROW(attach_adapters(chosen_linears(named_linears(net), {"all"}), {}), UserError) << "twice";
}

TEST(Adapters, MergedEqualsBeside) {
  for (const bool packed : {false, true}) {
    Net net = made();
    const auto chosen = chosen_linears(named_linears(net), {"all"});
    if (packed) {
      EXPECT_EQ(pack_weights(chosen, 4), 0);
    }
    attach_adapters(chosen, {.rank = 2, .alpha = 3, .start = "normal"});
    for (const NamedLinear& l : chosen) fill_uniform(l.linear->lora->b, 1, Rng(5));
    const Tensor x = at::randn({2, 3, 8});
    const Tensor beside = net.layers[0].up_proj.forward(x);
    merge_adapters(chosen);
    EXPECT_FALSE(net.layers[0].up_proj.lora || net.layers[0].up_proj.packed);
    // the kernel of packed weights rounds activations to 16 bits (nn/kernels/int4_kernel.h)
    const double tolerance = packed ? 2e-4 : 1e-5;
    EXPECT_TRUE(at::allclose(net.layers[0].up_proj.forward(x), beside, tolerance, tolerance)) << packed;
  }
}

TEST(Adapters, PackingKeepsTheWeightOfLayersOfAnOddWidth) {
  Net net = made();
  const auto chosen = chosen_linears(named_linears(net), {"all"});
  EXPECT_EQ(pack_weights(chosen, 6), 6) << "8 inputs are no multiple of 6";
  EXPECT_TRUE(net.layers[0].q_proj.weight.defined());
}

}  // namespace
}  // namespace tessera::nn
