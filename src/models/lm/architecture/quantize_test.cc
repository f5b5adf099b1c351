// Packing a small language model, from directory to directory.
#include "models/lm/architecture/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "models/quantizable.h"
#include "models/registry.h"
#include "quant/awq.h"
#include "quant/stored_form.h"
#include "tests/support/scratch.h"

namespace tessera::lm {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A family's small shape, with widths that 4-bit words and groups of 32 divide.
LmConfig packable(const std::string& family) {
  LmConfig config = tiny_config(family);
  config.width = 64, config.heads = 4, config.kv_heads = 2, config.head_dim = 16, config.hidden = 96;
  return config;
}

/// Packs every input of `model` after it has seen some ids.
void pack(DecoderLm& model, const quant::AwqOptions& options) {
  const at::NoGradGuard no_grad;
  const auto inputs = shared_inputs(model);
  const quant::Calibration calibration(inputs);
  full_logits(model, tiny_ids(4, 24, model.config.vocabulary, 5));
  quant::awq(inputs, calibration.statistics(), options);
}

TEST(LmQuantize, EveryLayerOfTheBlocksIsListedOnceAndScalesLeaveTheModelAsItIs) {
  const at::NoGradGuard no_grad;
  for (const std::string& family : tiny_families()) {
    DecoderLm model = tiny_lm(packable(family));
    const Tensor ids = tiny_ids(2, 6, model.config.vocabulary), before = full_logits(model, ids);
    std::set<nn::Linear*> listed;
    for (const auto& input : shared_inputs(model)) {
      for (const auto& consumer : input.consumers) EXPECT_TRUE(listed.insert(consumer.layer).second);
      if (!input.scalable()) continue;
      Tensor scale = at::rand({input.width()}) + 0.5;
      if (input.channels.defined())
        scale = at::rand({input.producer->weight.size(0)}).add(0.5).index_select(0, input.channels);
      quant::fold(input, scale);
    }
    const std::vector<nn::NamedLinear> linears = nn::named_linears(model);
    EXPECT_EQ(std::ssize(listed),
              std::ranges::count_if(linears,
                                    [](const nn::NamedLinear& each) { return each.name.starts_with("model.layers."); }))
        << family;
    const Tensor after = full_logits(model, ids);
    EXPECT_LT(((after - before).abs().max() / before.abs().max()).item<double>(), 1e-4) << family;
  }
}

TEST(LmQuantize, APackedDirectoryIsTheModelThatWasPacked) {
  const at::NoGradGuard no_grad;
  for (const std::string& family : tiny_families()) {
    const tessera::testing::ScratchFolder scratch;
    DecoderLm model = tiny_lm(packable(family));
    save_lm(scratch / "plain", model, {.stored_as = StoredAs::f16});
    model = load_lm(scratch / "plain", {.dtype = "fp32", .writable = true});
    pack(model, {.group = 32});
    Json config = read_json_file(scratch / "plain" / "config.json");
    config["quantization_config"] = quant::int4_format_json({32}, unpacked_layers(model.config));
    quant::write_packed_directory(scratch / "plain", scratch / "packed", quant::saving_form(model), config);
    const DecoderLm loaded = load_lm(scratch / "packed");
    EXPECT_TRUE(loaded.layers[0].mlp.down_proj.packed);
    EXPECT_EQ(loaded.embed_tokens.weight.scalar_type(), at::kHalf);
    const Tensor ids = tiny_ids(2, 6, model.config.vocabulary), want = full_logits(model, ids),
                 got = full_logits(loaded, ids);
    EXPECT_LT(((got - want).norm() / want.norm()).item<double>(), 5e-3) << family;  // norms and words went through fp16
  }
}

TEST(LmQuantize, GatesOfADeltaNetStayPlainBesideItsPackedLayers) {
  DecoderLm model = tiny_lm(packable("qwen3_5_text"));
  pack(model, {.group = 32});
  const GatedDeltaNet& net = *model.layers[0].linear_attn;
  EXPECT_TRUE(net.in_proj_qkv.packed && net.in_proj_z.packed && net.out_proj.packed);
  EXPECT_FALSE(net.in_proj_a.packed || net.in_proj_b.packed);
}

TEST(LmQuantize, APackedModelIsRefused) {
  const tessera::testing::ScratchFolder scratch;
  save_lm(scratch.path() / "m", tiny_lm(packable("qwen2")));
  Json config = read_json_file(scratch / "m/config.json");
  config["quantization_config"] = quant::int4_format_json({32}, {});
  write_file_atomically(scratch / "m/config.json", config.dump());
  EXPECT_THAT([&] { load_quantizable(scratch / "m", at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("packed already")));
}

}  // namespace
}  // namespace tessera::lm
