// Directories in and out, and everything that people's directories get wrong.
#include "models/lm/architecture/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "models/lm/architecture/config.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"

namespace tessera::lm {
namespace {

class LmFiles : public ::testing::Test {
 protected:
  const at::NoGradGuard no_grad;
  tessera::testing::ScratchFolder scratch;
  const Path directory = scratch.path() / "model";
  DecoderLm model = tiny_lm(tiny_config());

  void save(StoredAs stored = StoredAs::f32) { save_lm(directory, model, {.stored_as = stored}); }
  /// Writes the tensors again after a change, as one file.
  void save_changed(const std::function<void(std::map<std::string, Tensor>&)>& change) {
    save();
    std::map<std::string, Tensor> tensors = load_tensors(directory);
    change(tensors);
    std::vector<NamedTensor> all;
    for (const auto& [name, tensor] : tensors) all.push_back({name, tensor});
    save_tensors(directory / "model.safetensors", all);
  }
  std::string refusal(const LoadLmOptions& options = {}) const {
    try {
      load_lm(directory, options);
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  }
  Tensor logits_of(const DecoderLm& loaded) const { return full_logits(loaded, tiny_ids(2, 6)); }
};

TEST_F(LmFiles, EveryFamilyComesBackBitForBit) {
  for (const std::string& family : tiny_families()) {
    model = tiny_lm(tiny_config(family));
    save();
    const DecoderLm loaded = load_lm(directory);
    EXPECT_TRUE(loaded.config == model.config) << family;
    EXPECT_TRUE(logits_of(loaded).equal(logits_of(model))) << family;
  }
}

TEST_F(LmFiles, TheFormatIsTheFilesUnlessAsked) {
  const std::vector<std::tuple<StoredAs, std::string, at::ScalarType>> cases{
      {StoredAs::f32, "auto", at::kFloat},    {StoredAs::bf16, "auto", at::kBFloat16},
      {StoredAs::f16, "fp32", at::kFloat},    {StoredAs::bf16, "fp32", at::kFloat},
      {StoredAs::f32, "bf16", at::kBFloat16},
  };
  for (const auto& [stored, asked, want] : cases) {
    save(stored);
    DecoderLm loaded = load_lm(directory, {.dtype = asked});
    for_each_tensor(loaded,
                    [&, want = want](const std::string& name, Tensor& t) { EXPECT_EQ(t.scalar_type(), want) << name; });
  }
  EXPECT_THAT(refusal({.dtype = "fp8"}), ::testing::HasSubstr("dtype is 'fp8', want one of: auto, fp32, bf16"));
}

TEST_F(LmFiles, HalfPrecisionMatricesStaySoAndAreMultipliedInSingle) {
  save(StoredAs::f16);
  DecoderLm loaded = load_lm(directory);
  for_each_tensor(loaded, [](const std::string& name, Tensor& t) {
    EXPECT_EQ(t.scalar_type(), t.dim() == 2 ? at::kHalf : at::kFloat) << name;
  });
  const Tensor want = logits_of(load_lm(directory, {.dtype = "fp32"}));
  EXPECT_LT((logits_of(loaded) - want).abs().max().item<double>(), 1e-5);
  DecoderLm writable = load_lm(directory, {.writable = true});
  for_each_tensor(writable, [](const std::string& name, Tensor& t) { EXPECT_EQ(t.scalar_type(), at::kFloat) << name; });
}

TEST_F(LmFiles, AStoredHeadOfATiedModelAndOldTablesArePassedOver) {
  save_changed([](auto& tensors) {
    tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight").clone();
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({4});
  });
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model)));
}

TEST_F(LmFiles, VisionAndFurtherTokensAreLeftOutOfALargerModelByName) {
  model = tiny_lm(tiny_config("qwen3_5_text"));
  save_changed([](auto& tensors) {
    std::map<std::string, Tensor> whole{{"model.visual.merger.norm.weight", at::ones({2})},
                                        {"mtp.fc.weight", at::ones({2})}};
    for (const auto& [name, tensor] : tensors)
      whole["model.language_model." + name.substr(name.find('.') + 1)] = tensor;
    tensors = whole;
  });
  const Json own = read_json_file(directory / "config.json");
  const Json whole = {{"model_type", "qwen3_5"}, {"text_config", own}, {"tie_word_embeddings", true}};
  write_file_atomically(directory / "config.json", whole.dump());
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model)));
  save_changed([](auto& tensors) { tensors["model.vision.weight"] = at::ones({2}); });
  EXPECT_THAT(refusal(), ::testing::HasSubstr("model.vision.weight"));
}

TEST_F(LmFiles, APartOfALargerModelIsLoadedUnderItsOwnNames) {
  save_changed([](auto& tensors) {
    std::map<std::string, Tensor> prefixed{{"vision_tower.weight", at::ones({2})}};
    for (const auto& [name, tensor] : tensors) prefixed["llm." + name] = tensor;
    tensors = prefixed;
  });
  EXPECT_TRUE(
      logits_of(load_lm(read_json_file(directory / "config.json"), WeightSource(directory).part("llm."), directory, {}))
          .equal(logits_of(model)));
}

TEST_F(LmFiles, ShardsAreJoinedAndAMissingOneIsNamed) {
  save();
  std::vector<NamedTensor> halves[2];
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  for (const NamedTensor& each : named_tensors(model)) {
    const size_t half = each.name.find("layers.1") != std::string::npos;
    halves[half].push_back(each);
    index["weight_map"][each.name] = half ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
  }
  save_tensors(directory / "model-00001-of-00002.safetensors", halves[0]);
  save_tensors(directory / "model-00002-of-00002.safetensors", halves[1]);
  std::filesystem::remove(directory / "model.safetensors");
  write_file_atomically(directory / "model.safetensors.index.json", index.dump());
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model)));

  std::filesystem::rename(directory / "model-00002-of-00002.safetensors", directory / "elsewhere");
  EXPECT_THAT(refusal(), ::testing::HasSubstr("shard model-00002-of-00002.safetensors is missing"));
  std::filesystem::rename(directory / "elsewhere", directory / "model-00002-of-00002.safetensors");
  index["weight_map"]["model.absent.weight"] = "model-00001-of-00002.safetensors";
  write_file_atomically(directory / "model.safetensors.index.json", index.dump());
  EXPECT_THAT(refusal(), ::testing::HasSubstr("'model.absent.weight' is not in model-00001-of-00002.safetensors"));
}

TEST_F(LmFiles, MissingMisshapenAndStrangeTensorsAreNamed) {
  save_changed([](auto& tensors) {
    tensors.erase("model.layers.1.mlp.up_proj.weight");
    tensors["model.norm.weight"] = at::ones({25});
    tensors["model.layers.0.adapter"] = at::ones({1});
  });
  EXPECT_THAT(refusal(), ::testing::AllOf(::testing::HasSubstr("1 missing (model.layers.1.mlp.up_proj.weight)"),
                                          ::testing::HasSubstr("model.norm.weight: got [25], want [24]"),
                                          ::testing::HasSubstr("1 unexpected (model.layers.0.adapter)")));
}

TEST_F(LmFiles, UnsoundWeightsAreRefusedUnlessNotLookedAt) {
  save_changed([](auto& tensors) {
    tensors.at("model.layers.1.mlp.up_proj.weight")[3][5] = std::numeric_limits<double>::quiet_NaN();
  });
  EXPECT_THAT(refusal(), ::testing::HasSubstr("1 of the 960 numbers of tensor 'model.layers.1.mlp.up_proj.weight'"));
  EXPECT_EQ(refusal({.check_numbers = false}), "accepted");
}

TEST_F(LmFiles, WhatCannotBeRunIsRefused) {
  save();
  Json config = config_json(model.config);
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  write_file_atomically(directory / "config.json", config.dump());
  EXPECT_THAT(refusal(), ::testing::HasSubstr("weights are packed as bitsandbytes"));
  EXPECT_THAT([&] { require_rows_for(model.config, 41, directory); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("41 ids, the embedding only 40 rows")));
  EXPECT_NO_THROW(require_rows_for(model.config, 40, directory));
}

TEST_F(LmFiles, SavedConfigsCarryFormatAndTokens) {
  save_lm(directory, model,
          {.stored_as = StoredAs::bf16, .begin_token = 1, .end_tokens = {2, 3}, .generation = {{"temperature", 0.7}}});
  const Json config = read_json_file(directory / "config.json");
  EXPECT_EQ(config["torch_dtype"], "bfloat16");
  EXPECT_EQ(config["eos_token_id"], Json({2, 3}));
  const Json generation = read_json_file(directory / "generation_config.json");
  EXPECT_EQ(generation["temperature"], 0.7);
  EXPECT_EQ(generation["bos_token_id"], 1);
}

}  // namespace
}  // namespace tessera::lm
