// T5's encoder against transformers' own.
#include "nn/layers/t5_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "tensor/weights.h"

namespace tessera::nn {
namespace {

TEST(T5Encoder, StatesAreThoseOfTransformers) {
  const at::NoGradGuard no_grad;
  const WeightSource golden(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/t5.safetensors");
  Json stored = parse_json(golden.metadata().at("config").get<std::string>(), "config");
  T5Config config;
  Json known = to_json(config);
  for (const auto& [name, value] : known.items()) known[name] = stored.at(name);
  from_json(known, config, "config");
  T5Encoder encoder(config);
  map_weights(tensor_slots(encoder), golden.renamed([](std::string_view name) {
    return name.starts_with("states.") || name.starts_with("ids.") ? std::string() : std::string(name);
  }),
              "t5", {});
  for (const std::string text : {"long", "short"}) {
    const Tensor ids = mapped_tensor(*golden.find("ids." + text)).to(at::kLong);
    const Tensor want = mapped_tensor(*golden.find("states." + text));
    EXPECT_LT((encoder.forward(ids)[0] - want).abs().max().item<double>(), 1e-4) << text;  // of numbers of some 4
  }
}

TEST(T5Encoder, ShapesThatCannotBeBuiltAreRefused) {
  for (const auto change : {+[](T5Config& c) { c.num_heads = 0; }, +[](T5Config& c) { c.d_model = -1; },
                            +[](T5Config& c) { c.relative_attention_num_buckets = 6; },
                            +[](T5Config& c) { c.relative_attention_max_distance = 8; },
                            +[](T5Config& c) { c.num_layers = int64_t{1} << 40; }}) {
    T5Config config;
    change(config);
    EXPECT_THROW(validate(config), UserError);
  }
}

}  // namespace
}  // namespace tessera::nn
