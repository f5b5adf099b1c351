// Adapters of every kind that PEFT saves, on tiny language models, against PEFT's logits (tools/golden/adapter_twin.py).
#include <gtest/gtest.h>

#include "core/json.h"
#include "models/lm/architecture/adapters.h"
#include "models/lm/architecture/model_files.h"
#include "nn/layers/peft.h"
#include "tests/golden/fixture.h"

namespace tessera::lm {
namespace {

const Path data = Path(TESSERA_SOURCE_DIR) / "tests/golden/data";

class AdapterGolden : public ::testing::TestWithParam<const char*> {
 protected:
  const at::NoGradGuard no_grad;
  const golden::Fixture fixture{"adapters"};
  const std::string name = GetParam();
  const std::string family =
      read_json_file(data / "adapters" / name / "adapter_config.json")["base_model_name_or_path"].get<std::string>();

  DecoderLm base() const { return load_lm(data / "lm" / family, {.dtype = "fp32"}); }
  Tensor logits(const DecoderLm& model) const {
    const Tensor& ids = fixture["ids." + family];
    return model.logits(model.forward(model.embed(ids), positions_of(model, ids.size(1), {}, at::kCPU)));
  }
};

TEST_P(AdapterGolden, LogitsBesideTheBaseEqualTheReferences) {
  DecoderLm model = base();
  add_adapters(model, {data / "adapters" / name});
  golden::expect_close(logits(model), fixture[name], 1e-4, name);
}

TEST_P(AdapterGolden, LogitsOfTheMergedModelEqualTheReferences) {
  DecoderLm model = base();
  merge_adapters_into(model, {data / "adapters" / name});
  golden::expect_close(logits(model), fixture[name], 1e-4, name);
}

TEST(AdapterFiles, APickledAdapterIsTheSameAsOneInSafetensors) {
  const nn::PeftAdapter pickled = nn::read_adapter(data / "adapters/plain-pickled");
  const nn::PeftAdapter plain = nn::read_adapter(data / "adapters/plain");
  ASSERT_EQ(pickled.linears.size(), plain.linears.size());
  for (const auto& [name, parts] : plain.linears) {
    EXPECT_TRUE(at::equal(pickled.linears.at(name).a, parts.a)) << name;
    EXPECT_TRUE(at::equal(pickled.linears.at(name).b, parts.b)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, AdapterGolden,
                         ::testing::Values("plain", "all-linear", "pattern-targets", "rslora", "dora", "dora-rslora",
                                           "patterns", "layers", "transposed", "saved-modules", "saved-head-tied",
                                           "saved-embedding-tied", "saved-both-tied", "bias-lora", "bias-all",
                                           "token-rows", "token-rows-tied", "head", "head-tied", "embedding",
                                           "embedding-tied", "fused", "fused-dora", "gaussian", "orthogonal"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tessera::lm
