// Adapters against the PEFT library (tools/golden/lora_twin.py): its directory loads, outputs and gradients agree, and what we
// write is left for the twin's --check to load.
#include <gtest/gtest.h>

#include "nn/layers/peft.h"
#include "tests/golden/fixture.h"
#include "train/tune.h"

namespace tessera::nn {
namespace {

using golden::expect_close;
using golden::Fixture;

struct Block {
  Linear q_proj{12, 16}, o_proj{16, 12, false};
};
template <class V> void tensors(V& v, Block& m) {
  v("q_proj", m.q_proj);
  v("o_proj", m.o_proj);
}

struct Net {
  std::vector<Block> layers{2};
  Tensor forward(Tensor x) const {
    for (const Block& b : layers) x = x + b.o_proj.forward(b.q_proj.forward(x).tanh());
    return x;
  }
};
template <class V> void tensors(V& v, Net& m) { v("layers", m.layers); }

struct Twin {
  Fixture fixture{"lora"};
  Net net;
  Twin() {
    fixture.fill(named_tensors(net));
    load_adapters(named_linears(net), Path(TESSERA_SOURCE_DIR) / "tests/golden/data/peft");
  }
};

TEST(LoraGolden, AnAdapterOfPeftGivesPeftsOutputsAndGradients) {
  Twin twin;
  const std::vector<train::Parameter> parameters = train::tuned_parameters(twin.net, {.what = "lora"});
  const Tensor y = twin.net.forward(twin.fixture["x"]);
  expect_close(y, twin.fixture["y"], 1e-5, "outputs");
  y.square().sum().backward();
  twin.fixture.expect_gradients(parameters, 1e-4);
}

TEST(LoraGolden, MergedAdaptersGiveTheSameOutputs) {
  Twin twin;
  merge_adapters(named_linears(twin.net));
  expect_close(twin.net.forward(twin.fixture["x"]), twin.fixture["y"], 1e-5, "outputs");
}

TEST(LoraGolden, SavedAdaptersLoadWithTheirPatternsOfRankAndAlpha) {
  Twin twin;
  const Path directory = Path(::testing::TempDir()) / "tessera-adapter-for-peft";
  save_adapters(named_linears(twin.net), directory);
  Net again;
  twin.fixture.fill(named_tensors(again));
  load_adapters(named_linears(again), directory);
  expect_close(again.forward(twin.fixture["x"]), twin.fixture["y"], 1e-5, "outputs");
}

}  // namespace
}  // namespace tessera::nn
