// Directories in and out, and everything that people's directories get wrong.
#include "models/lm/architecture/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/log.h"
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
  set_log_level(LogLevel::info);  // other tests of this program may have set another
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(refusal(), "accepted");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("model.vision.weight"))
      << "what is not known by its name is told by it";
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
  });
  EXPECT_THAT(refusal(), ::testing::AllOf(::testing::HasSubstr("1 missing (model.layers.1.mlp.up_proj.weight)"),
                                          ::testing::HasSubstr("model.norm.weight: got [25], want [24]")));
}

TEST_F(LmFiles, TensorsThatBelongToNoPartAreLeftOutAndNamedInOneWarning) {
  save_changed([](auto& tensors) {
    tensors["v_head.summary.weight"] = at::ones({1, 24});
    tensors["score.weight"] = at::ones({2, 24});
    tensors["marker"] = at::ones({0});
    tensors["model.layers.0.self_attn.k_scale"] = at::ones({1});
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({4});
  });
  set_log_level(LogLevel::info);
  ::testing::internal::CaptureStderr();
  const Tensor logits = logits_of(load_lm(directory));
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(logits.equal(logits_of(model)));
  EXPECT_THAT(said, ::testing::HasSubstr("4 tensors belong to no part of this model and are left out: marker, "
                                         "model.layers.0.self_attn.k_scale, score.weight, v_head.summary.weight"));
  EXPECT_EQ(said.find("inv_freq"), std::string::npos) << "a buffer of old programs";
}

TEST_F(LmFiles, WeightsInEightBitsWhoseScalesWouldBeLostAreRefused) {
  save();
  std::vector<NamedTensor> all = {{"model.layers.0.mlp.up_proj.weight_scale_inv", at::ones({1, 1})}};
  for (const auto& [name, tensor] : load_tensors(directory))
    all.push_back({name, name == "model.layers.0.mlp.up_proj.weight" ? tensor.to(at::kFloat8_e4m3fn) : tensor});
  save_tensors(directory / "model.safetensors", all, disk(), {.stored_as = StoredAs::unchanged});
  EXPECT_THAT(refusal(), ::testing::HasSubstr("model.layers.0.mlp.up_proj.weight is F8_E4M3 with the scales"));
}

TEST_F(LmFiles, AHeadThatDiffersFromTheEmbeddingItIsTiedToIsKeptAndSaid) {
  ASSERT_TRUE(model.config.tied);
  DecoderLm apart = model;
  apart.config.tied = false;
  apart.lm_head.weight = at::arange(40 * 24).view({40, 24}).to(at::kFloat).mul(0.001);
  save_changed([&](auto& tensors) { tensors["lm_head.weight"] = apart.lm_head.weight; });
  set_log_level(LogLevel::info);
  ::testing::internal::CaptureStderr();
  const DecoderLm loaded = load_lm(directory);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::HasSubstr("tie_word_embeddings is true, but the "
                                                                             "lm_head.weight stored differs"));
  EXPECT_TRUE(logits_of(loaded).equal(logits_of(apart)));
  save_lm(scratch / "again", loaded);
  EXPECT_EQ(read_json_file(scratch / "again/config.json")["tie_word_embeddings"], false);
}

TEST_F(LmFiles, NamesOfCompiledAndParallelTrainingAreRead) {
  for (const std::string before : {"_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod."}) {
    save_changed([&](auto& tensors) {
      std::map<std::string, Tensor> wrapped;
      for (const auto& [name, tensor] : tensors) wrapped[before + name] = tensor;
      tensors = wrapped;
    });
    EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model))) << before;
  }
  save_changed([](auto& tensors) {
    std::map<std::string, Tensor> wrapped;
    for (const auto& [name, tensor] : tensors) {
      const bool block = name.starts_with("model.layers.1.");
      wrapped[block ? "model.layers.1._orig_mod." + name.substr(15) : name] = tensor;
    }
    tensors = wrapped;
  });
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model))) << "blocks that were compiled one by one";
}

TEST_F(LmFiles, ShardsWithoutAnIndexAreReadWhenAllAreThere) {
  save();
  std::vector<NamedTensor> halves[2];
  for (const NamedTensor& each : named_tensors(model))
    halves[each.name.find("layers.1") != std::string::npos].push_back(each);
  save_tensors(directory / "model-00001-of-00002.safetensors", halves[0]);
  save_tensors(directory / "model-00002-of-00002.safetensors", halves[1]);
  std::filesystem::remove(directory / "model.safetensors");
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model)));
  std::filesystem::remove(directory / "model-00002-of-00002.safetensors");
  EXPECT_THAT(refusal(), ::testing::HasSubstr("shard 2 of 2 is missing"));
}

TEST_F(LmFiles, AHeadAloneIsTheEmbeddingOfATiedModelToo) {
  save_changed([](auto& tensors) {
    tensors["lm_head.weight"] = tensors.at("model.embed_tokens.weight").clone();
    tensors.erase("model.embed_tokens.weight");
  });
  EXPECT_TRUE(logits_of(load_lm(directory)).equal(logits_of(model)));
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
