// config.json of the releases, spelt as old and new transformers spell it, and what is refused.
#include "models/lm/architecture/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/lm/testing_config.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/targets.h"

namespace tessera::lm {
namespace {

LmConfig read(std::string_view text) { return config_from_json(parse_json(text, "config.json"), "config.json"); }

std::string refusal(std::string_view text) {
  try {
    read(text);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

/// A Llama with one more key, or another value of one.
std::string llama_with(const std::string& key, const Json& value) {
  Json tree = config_json(tiny_config("llama"));
  tree[key] = value;
  return tree.dump();
}

constexpr std::string_view qwen25_7b = R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0,
  "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584, "initializer_range": 0.02,
  "intermediate_size": 18944, "max_position_embeddings": 131072, "max_window_layers": 28, "model_type": "qwen2",
  "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06,
  "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.43.1", "use_cache": true, "use_sliding_window": false, "vocab_size": 152064})";

constexpr std::string_view llama_31_8b = R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
  "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu",
  "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0,
  "high_freq_factor": 4.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
  "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256})";

constexpr std::string_view gemma_2b = R"({"architectures": ["GemmaForCausalLM"], "attention_bias": false,
  "bos_token_id": 2, "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu", "hidden_size": 2048,
  "intermediate_size": 16384, "max_position_embeddings": 8192, "model_type": "gemma", "num_attention_heads": 8,
  "num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0, "rms_norm_eps": 1e-06, "rope_scaling": null,
  "rope_theta": 10000.0, "torch_dtype": "bfloat16", "vocab_size": 256000})";

constexpr std::string_view gemma2_2b = R"({"architectures": ["Gemma2ForCausalLM"], "attention_bias": false,
  "attn_logit_softcapping": 50.0, "cache_implementation": "hybrid", "final_logit_softcapping": 30.0, "head_dim": 256,
  "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304,
  "intermediate_size": 9216, "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 8,
  "num_hidden_layers": 26, "num_key_value_heads": 4, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
  "rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "float32", "vocab_size": 256000})";

constexpr std::string_view olmo2_7b = R"({"architectures": ["Olmo2ForCausalLM"], "attention_bias": false,
  "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008, "max_position_embeddings": 4096,
  "model_type": "olmo2", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
  "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 500000, "tie_word_embeddings": false,
  "torch_dtype": "float32", "vocab_size": 100352})";

constexpr std::string_view qwen3_06b = R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false,
  "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
  "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28,
  "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8,
  "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null,
  "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_sliding_window": false, "vocab_size": 151936})";

constexpr std::string_view gemma3_1b = R"({"architectures": ["Gemma3ForCausalLM"], "attention_bias": false,
  "attn_logit_softcapping": null, "bos_token_id": 2, "cache_implementation": "hybrid", "eos_token_id": [1, 106],
  "final_logit_softcapping": null, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152,
  "intermediate_size": 6912, "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
  "num_hidden_layers": 26, "num_key_value_heads": 1, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06,
  "rope_local_base_freq": 10000, "rope_scaling": null, "rope_theta": 1000000, "sliding_window": 512,
  "sliding_window_pattern": 6, "torch_dtype": "bfloat16", "vocab_size": 262144})";

TEST(LmConfigJson, ReleasedFilesGiveThePresets) {
  EXPECT_TRUE(read(qwen3_06b) == preset("qwen3-0.6b"));
  EXPECT_TRUE(read(gemma3_1b) == preset("gemma-3-1b"));
  EXPECT_TRUE(read(qwen25_7b) == preset("qwen2.5-7b"));
  EXPECT_TRUE(read(llama_31_8b) == preset("llama-3.1-8b"));
  EXPECT_TRUE(read(gemma_2b) == preset("gemma-2b")) << "its gelu is the tanh form";
  EXPECT_TRUE(read(gemma2_2b) == preset("gemma-2-2b"));
  EXPECT_TRUE(read(olmo2_7b) == preset("olmo-2-7b"));
}

TEST(LmConfigJson, NewerKeysMeanTheSame) {
  Json tree = parse_json(llama_31_8b, "old");
  tree["rope_parameters"] = tree["rope_scaling"];
  tree["rope_parameters"]["rope_theta"] = tree["rope_theta"];
  tree.erase("rope_scaling");
  tree.erase("rope_theta");
  tree["dtype"] = tree["torch_dtype"];
  tree.erase("torch_dtype");
  tree["layer_types"] = std::vector<std::string>(32, "full_attention");
  EXPECT_TRUE(config_from_json(tree, "new") == preset("llama-3.1-8b"));

  Json gemma = parse_json(gemma2_2b, "old");
  gemma["rope_parameters"] = {{"rope_theta", 10000.0}, {"rope_type", "default"}};
  for (int i = 0; i < 26; ++i) gemma["layer_types"].push_back(i % 2 == 0 ? "sliding_attention" : "full_attention");
  EXPECT_TRUE(config_from_json(gemma, "new") == preset("gemma-2-2b"));
}

TEST(LmConfigJson, SlidingBlocksAreReadAsFirstBlockAndSpacing) {
  Json tree = config_json(tiny_config("qwen2"));
  tree["num_hidden_layers"] = 6;
  tree["use_sliding_window"] = true;
  tree["sliding_window"] = 9;
  tree["max_window_layers"] = 4;
  const LmConfig config = config_from_json(tree, "qwen");
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(config.windowed(i), i >= 4) << i;
  tree["max_window_layers"] = 6;
  EXPECT_FALSE(config_from_json(tree, "qwen").window.has_value()) << "no block slides";
  for (int i = 0; i < 6; ++i) tree["layer_types"].push_back(i % 3 == 1 ? "sliding_attention" : "full_attention");
  const LmConfig spaced = config_from_json(tree, "qwen");
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(spaced.windowed(i), i % 3 == 1) << i;
  tree["layer_types"][5] = "sliding_attention";
  EXPECT_THAT([&] { config_from_json(tree, "qwen"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("slides at no even spacing")));
}

TEST(LmConfigJson, RotarySettingsByLayerTypeAreReadInBothSpellings) {
  Json older = config_json(tiny_config("gemma3_text"));
  older.erase("rope_parameters");
  Json newer = config_json(tiny_config("gemma3_text"));
  for (const char* key : {"rope_theta", "rope_scaling", "rope_local_base_freq"}) newer.erase(key);
  EXPECT_TRUE(config_from_json(older, "old") == tiny_config("gemma3_text"));
  EXPECT_TRUE(config_from_json(newer, "new") == tiny_config("gemma3_text"));
  newer["rope_parameters"]["sliding_attention"]["rope_type"] = "linear";
  EXPECT_THAT([&] { config_from_json(newer, "new"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("sliding_attention.rope_type' is \"linear\"")));
  newer["model_type"] = "llama";
  EXPECT_THAT([&] { config_from_json(newer, "new"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("differ between layers are not supported")));
}

TEST(LmConfigJson, BlocksWithoutPositionsAreReadAsTheirSpacing) {
  Json tree = config_json(tiny_config("smollm3"));
  tree["num_hidden_layers"] = 8;
  tree.erase("layer_types");
  tree.erase("no_rope_layers");
  tree.erase("no_rope_layer_interval");
  const LmConfig usual = config_from_json(tree, "smollm3");
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(usual.rotated(i), i % 4 != 3) << i;
  tree["no_rope_layers"] = {1, 0, 1, 0, 1, 0, 1, 0};
  EXPECT_EQ(config_from_json(tree, "smollm3").unrotated_every, 2);
  tree["no_rope_layers"] = {1, 0, 1, 0, 1, 1, 1, 0};
  EXPECT_THAT([&] { config_from_json(tree, "smollm3"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("at no even spacing")));
}

TEST(LmConfigJson, LongropeIsReadAsThePhiReleasesSpellIt) {
  Json tree = config_json(tiny_config("phi3"));
  EXPECT_EQ(tree["rope_scaling"].size(), 3u) << "transformers 4 wants no more";
  tree["rope_scaling"]["type"] = "su";
  EXPECT_TRUE(config_from_json(tree, "phi3") == tiny_config("phi3"));
  tree["rope_scaling"]["long_factor"] = {1.0};
  EXPECT_THAT([&] { config_from_json(tree, "phi3"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("long_factors has 1 entries, want 2")));
}

/// As released, with the parts that no language model has.
constexpr std::string_view qwen35_08b = R"({"architectures": ["Qwen3_5ForConditionalGeneration"],
  "image_token_id": 248056, "model_type": "qwen3_5", "text_config": {"attention_bias": false, "attention_dropout": 0.0,
  "attn_output_gate": true, "dtype": "bfloat16", "eos_token_id": 248044, "full_attention_interval": 4, "head_dim": 256,
  "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 3584,
  "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 16,
  "linear_value_head_dim": 128, "max_position_embeddings": 262144, "mlp_only_layers": [], "model_type": "qwen3_5_text",
  "mtp_num_hidden_layers": 1, "num_attention_heads": 8, "num_hidden_layers": 24, "num_key_value_heads": 2,
  "rms_norm_eps": 1e-06, "use_cache": true, "vocab_size": 248320, "rope_parameters": {"mrope_interleaved": true,
  "mrope_section": [11, 11, 10], "rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.25}},
  "tie_word_embeddings": true, "vision_config": {"depth": 12, "hidden_size": 768, "model_type": "qwen3_5"}})";

TEST(LmConfigJson, ALargerModelsLanguagePartIsReadAlone) {
  const LmConfig config = read(qwen35_08b);
  EXPECT_EQ(config.family, "qwen3_5_text");
  EXPECT_TRUE(config.tied && config.head_norm && config.norm_plus_one && config.attention_gate);
  EXPECT_EQ(config.turned(), 64);
  EXPECT_EQ(config.rope_theta, 1e7);
  ASSERT_TRUE(config.linear);
  EXPECT_TRUE(*config.linear == (LinearAttention{.key_heads = 16, .value_heads = 16}));
  for (size_t i = 0; i < 24; ++i) EXPECT_EQ(config.attends(i), i % 4 == 3) << i;
  EXPECT_TRUE(config_from_json(config_json(config), "again") == config);
  Json tree = parse_json(qwen35_08b, "whole");
  tree.erase("text_config");
  EXPECT_THAT(refusal(tree.dump()),
              ::testing::HasSubstr("no 'text_config', the language model of model_type 'qwen3_5'"));
  tree["text_config"] = {{"model_type", "qwen2"}};
  EXPECT_THAT(refusal(tree.dump()), ::testing::HasSubstr("text_config.model_type is \"qwen2\", want"));
}

TEST(LmConfigJson, BlocksThatAttendInFullAreReadAsTheirSpacing) {
  Json tree = config_json(tiny_config("qwen3_5_text"));
  const auto every = [&](const std::string& blocks) {  // "l" and "f", one a block
    tree["num_hidden_layers"] = blocks.size();
    tree["layer_types"] = Json::array();
    for (const char c : blocks) tree["layer_types"].push_back(c == 'l' ? "linear_attention" : "full_attention");
    return config_from_json(tree, "qwen").linear->full_every;
  };
  EXPECT_EQ(every("lflf"), 2);
  EXPECT_EQ(every("llfl"), 3);
  EXPECT_EQ(every("fff"), 1);
  EXPECT_EQ(every("ll"), 3) << "none of them";
  tree["full_attention_interval"] = 9;
  EXPECT_EQ(every("ll"), 9);
  tree.erase("layer_types");
  EXPECT_EQ(config_from_json(tree, "qwen").linear->full_every, 9);
  EXPECT_THAT([&] { every("flf"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("attends in full at no even spacing")));
  tree["layer_types"] = {"linear_attention", "sliding_attention", "full_attention"};
  EXPECT_THAT(refusal(tree.dump()), ::testing::HasSubstr("want one of: full_attention, linear_attention"));
}

TEST(LmConfigJson, SizesThatMakeNoDeltaNetAreRefused) {
  const auto refused = [](const char* key, const Json& value) {
    Json tree = config_json(tiny_config("qwen3_5_text"));
    tree.erase("layer_types");
    tree[key] = value;
    return refusal(tree.dump());
  };
  EXPECT_THAT(refused("linear_num_value_heads", 3), ::testing::HasSubstr("value_heads is 3, want a multiple of"));
  EXPECT_THAT(refused("linear_num_key_heads", 0), ::testing::HasSubstr("linear.key_heads is 0, want 1 to"));
  EXPECT_THAT(refused("linear_key_head_dim", -4), ::testing::HasSubstr("linear.key_dim is -4, want 1 to"));
  EXPECT_THAT(refused("linear_value_head_dim", 1 << 24), ::testing::HasSubstr("numbers in a gated DeltaNet"));
  EXPECT_THAT(refused("linear_conv_kernel_dim", 0), ::testing::HasSubstr("linear.kernel is 0, want 1 to 64"));
  EXPECT_THAT(refused("full_attention_interval", 0), ::testing::HasSubstr("linear.full_every is 0"));
  EXPECT_THAT(refused("num_experts", 128), ::testing::HasSubstr("mixture of experts"));
  EXPECT_THAT(refused("partial_rotary_factor", 1.5), ::testing::HasSubstr("partial_rotary_factor is 1.5"));
  EXPECT_THAT(refused("model_type", "qwen3_5_moe_text"), ::testing::HasSubstr("'model_type' is \"qwen3_5_moe_text\""));
}

TEST(LmConfigJson, EveryTinyFamilySurvivesTheRoundTrip) {
  for (const std::string& family : tiny_families()) {
    const LmConfig config = tiny_config(family);
    EXPECT_TRUE(config_from_json(config_json(config), family) == config) << family;
  }
}

TEST(LmConfigJson, IntegersAreWrittenAsTransformersRequires) {
  const Json tree = config_json(tiny_config("gemma2"));
  EXPECT_TRUE(tree.at("query_pre_attn_scalar").is_number_integer()) << tree.dump();
  EXPECT_TRUE(tree.at("attn_logit_softcapping").is_number_float()) << tree.dump();
}

TEST(LmConfigJson, ShapesThatAFamilyCannotExpressAreRefused) {
  LmConfig config = tiny_config("qwen2");
  config.qk_norm = true;
  EXPECT_THAT([&] { config_json(config); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("'qwen2' cannot hold this shape")));
}

TEST(LmConfigJson, UnsupportedFeaturesAreRefusedWithTheSupportedOnes) {
  EXPECT_THAT(refusal(llama_with("model_type", "mixtral")),
              ::testing::AllOf(::testing::HasSubstr("'model_type' is \"mixtral\", want one of: gemma (Gemma)"),
                               ::testing::HasSubstr("qwen2 (Qwen2, Qwen2.5)")));
  EXPECT_THAT(
      refusal(llama_with("rope_scaling", {{"type", "ntk"}, {"factor", 4}})),
      ::testing::HasSubstr("'rope_type' is \"ntk\", want one of: default, dynamic, linear, llama3, longrope, yarn"));
  EXPECT_THAT(refusal(llama_with("rope_scaling", {{"rope_type", "llama3"}, {"factor", 4}})),
              ::testing::HasSubstr("'low_freq_factor' is missing"));
  EXPECT_THAT(refusal(llama_with("hidden_act", "relu")),
              ::testing::HasSubstr("'hidden_act' is \"relu\", want one of: silu, gelu_pytorch_tanh"));
  EXPECT_THAT(refusal(llama_with("hidden_act", "gelu")), ::testing::HasSubstr("'hidden_act' is \"gelu\""));
  EXPECT_THAT(refusal(llama_with("num_local_experts", 8)), ::testing::HasSubstr("mixture of experts"));
  EXPECT_THAT(refusal(llama_with("partial_rotary_factor", 0.5)), ::testing::HasSubstr("partial_rotary_factor is 0.5"));
  EXPECT_THAT(refusal(llama_with("hidden_size", "wide")), ::testing::HasSubstr("hidden_size"));
  EXPECT_THAT(refusal(llama_with("hidden_size", nullptr)), ::testing::HasSubstr("'hidden_size' is missing"));
  EXPECT_THAT(refusal(llama_with("num_attention_heads", 0)), ::testing::HasSubstr("num_attention_heads is 0"));
  EXPECT_THAT(refusal("[]"), ::testing::HasSubstr("no table of settings"));
  EXPECT_THAT(refusal("{}"), ::testing::HasSubstr("'model_type' is missing"));
}

void read_and_write(std::string_view bytes) {
  const LmConfig config = config_from_json(parse_json(bytes, "input"), "input");
  LmConfig back;
  from_json(to_json(config), back, "again");
  if (!(back == config)) throw std::logic_error("a config that was read reads back");
}

TEST(LmConfigJson, MutatedFilesAreReadOrRefusedInOneLine) {
  std::vector<std::string> corpus{std::string(qwen25_7b), std::string(llama_31_8b), std::string(gemma2_2b),
                                  std::string(olmo2_7b), config_json(tiny_config("gemma2")).dump()};
  for (const char* family : {"gemma3_text", "olmo3", "phi3", "qwen3", "qwen3_5_text", "smollm3"})
    corpus.push_back(config_json(tiny_config(family)).dump());
  const std::vector<std::string> words{"null", "-1", "0", "1e999", "9223372036854775807", "\"", "[", "{}", "true"};
  Rng rng(5);
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string bytes = tessera::testing::mutate(corpus, words, rng);
    ASSERT_NO_THROW(accepted += tessera::testing::accepts(read_and_write, bytes)) << bytes;
  }
  EXPECT_GT(accepted, 20);
  EXPECT_LT(accepted, 3600);
}

}  // namespace
}  // namespace tessera::lm
