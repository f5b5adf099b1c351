// Models between directories and GGUF files: numbers, configs and tokenizers come back, and what cannot be kept is said.
#include "models/lm/text/convert.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "nn/kernels/blocks/block_type.h"
#include "tensor/gguf.h"
#include "tensor/gguf_writer.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace tessera::lm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr const char* corpus = "once upon a time there was a cat, and the cat sat on the mat 123 times";

/// A model directory of a family with a tokenizer of its own.
Path saved_model(const Path& directory, const LmConfig& shape, StoredAs stored = StoredAs::f32) {
  const at::NoGradGuard no_grad;
  text::BpeTrainer trainer({.vocabulary = 280});
  trainer.add(corpus);
  std::filesystem::create_directories(directory);
  trainer.save(trainer.train(), directory);
  LmConfig config = shape;
  config.vocabulary = 300;
  save_lm(directory, tiny_lm(config), {.stored_as = stored, .end_tokens = {0}});
  return directory;
}

Tensor logits_of(const Path& model) {
  const at::NoGradGuard no_grad;
  return full_logits(load_lm(model, {.dtype = "fp32"}), tiny_ids(1, 20));
}

class Converted : public ::testing::TestWithParam<std::string> {};

TEST_P(Converted, ModelsComeBackFromGgufWithTheirNumbers) {
  const tessera::testing::ScratchFolder scratch;
  const LmConfig shape = tiny_config(GetParam());
  const Path directory = saved_model(scratch / "model", shape), file = scratch / "model.gguf";
  try {
    convert_lm(read_model_directory(directory), file, {.format = "f32"});
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("GGUF has no key for"))
        << "a shape may be refused, by the settings that are lost";
    EXPECT_FALSE(std::filesystem::exists(file));
    return;
  }
  EXPECT_LT(furthest(logits_of(file), logits_of(directory)), 3e-5);
  convert_lm(read_model_directory(file), scratch / "back", {.format = "f32"});
  EXPECT_LT(furthest(logits_of(scratch / "back"), logits_of(directory)), 3e-5);
  for (const char* text : {corpus, " 7  ways\n\nof it"}) {
    const auto ids = text::load_tokenizer(directory)->encode(text);
    EXPECT_EQ(text::load_tokenizer(file)->encode(text), ids);
    EXPECT_EQ(text::load_tokenizer(scratch / "back")->encode(text), ids);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Converted, ::testing::ValuesIn(supported_families()));

/// The tiny shape with what the file format takes for granted of a family.
LmConfig usual_config(const std::string& family) {
  LmConfig config = tiny_config(family);
  if (config.query_scale) config.query_scale = config.head_dim;
  if (config.unrotated_every > 0) {
    config.unrotated_every = config.depth = 4;
    config.rope_scaling = RopeScaling{.type = "linear", .factor = 2};
  }
  if (family == "mistral") config.window.reset();
  return config;
}

TEST(Convert, NoFamilyInItsUsualShapeIsRefused) {
  for (const std::string& family : supported_families()) {
    const tessera::testing::ScratchFolder scratch;
    const Path directory = saved_model(scratch / "model", usual_config(family)), file = scratch / "model.gguf";
    convert_lm(read_model_directory(directory), file, {.format = "f32"});
    EXPECT_LT(furthest(logits_of(file), logits_of(directory)), 3e-5) << family;
  }
}

TEST(Convert, ADeltaNetsFileHasWhatLlamaCppAsksFor) {
  const tessera::testing::ScratchFolder scratch;
  const Path directory = saved_model(scratch / "model", tiny_config("qwen3_5_text")), file = scratch / "model.gguf";
  convert_lm(read_model_directory(directory), file, {.format = "f16"});
  const MappedFile map(file);
  const Json keys = gguf_json(parse_gguf(map.bytes(), "file"));
  EXPECT_EQ(keys["qwen35.ssm.time_step_rank"], 4);
  EXPECT_EQ(keys["qwen35.ssm.inner_size"], 32);
  EXPECT_EQ(keys["qwen35.full_attention_interval"], 2);
  EXPECT_EQ(keys["qwen35.rope.dimension_sections"], (Json{1, 1, 0, 0}));
  const WeightSource stored(file);
  EXPECT_EQ(stored.find("blk.0.ssm_conv1d.weight")->shape, (std::vector<int64_t>{48, 3}));
  EXPECT_EQ(stored.find("blk.0.ssm_conv1d.weight")->dtype, Dtype::f32);
  const Tensor decay = mapped_tensor(*stored.find("blk.0.ssm_a"));
  const Tensor own = load_tensors(directory).at("model.layers.0.linear_attn.A_log");
  EXPECT_LT(furthest(decay, -own.exp().view({2, 2}).t().reshape({4})), 1e-6) << "heads of one key are apart";
  const DecoderLm read = load_lm(file);
  EXPECT_TRUE(read.config.linear->tiled);
  convert_lm(read_model_directory(file), scratch / "again.gguf", {.format = "f16"});
  EXPECT_LT(furthest(logits_of(scratch / "again.gguf"), logits_of(file)), 1e-5) << "the order is kept";
}

/// Widths that hold whole blocks of 32.
LmConfig wide_config() {
  LmConfig config = tiny_config("llama");
  config.width = 64;
  config.hidden = 96;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 32;
  return config;
}

TEST(Convert, RoundsToTheFormatThatIsAskedFor) {
  const at::NoGradGuard no_grad;
  const tessera::testing::ScratchFolder scratch;
  const Path directory = saved_model(scratch / "model", wide_config());
  const Tensor plain = load_lm(directory).layers[1].mlp.down_proj.weight;
  std::map<std::string, double> errors;
  for (const char* format : {"f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"}) {
    const Path file = scratch / (std::string(format) + ".gguf");
    convert_lm(read_model_directory(directory), file, {.format = format});
    const DecoderLm model = load_lm(file);
    const nn::Linear& layer = model.layers[1].mlp.down_proj;
    const Tensor kept = layer.packed ? layer.packed->unpack() : layer.weight.to(at::kFloat);
    errors[format] = (kept - plain).pow(2).mean().sqrt().item<double>();
    if (layer.packed) EXPECT_EQ(layer.packed->format(), format);
  }
  EXPECT_LT(errors["f16"], 1e-4);
  EXPECT_LT(errors["q8_0"], errors["q5_1"]);
  EXPECT_LT(errors["q5_1"], errors["q4_1"]);
  EXPECT_LT(errors["q4_0"], 0.05);
}

TEST(Convert, FaultsAreOneLineAndLeaveNothing) {
  const tessera::testing::ScratchFolder scratch;
  const Path directory = saved_model(scratch / "model", tiny_config("llama"));
  const ModelDirectory found = read_model_directory(directory);
  EXPECT_THAT([&] { convert_lm(found, scratch / "m.gguf", {.format = "q3_K"}); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("the format is 'q3_K'"), HasSubstr("q8_0"))));
  EXPECT_THAT([&] { convert_lm(found, scratch / "other", {.format = "bf16"}); },
              ThrowsMessage<UserError>(HasSubstr("is a model directory already")));
  convert_lm(found, scratch / "m.gguf", {});
  EXPECT_THAT([&] { convert_lm(read_model_directory(scratch / "m.gguf"), scratch / "m.gguf", {}); },
              ThrowsMessage<UserError>(HasSubstr("is the file that is read")));
  EXPECT_THAT([&] { convert_lm(read_model_directory(scratch / "m.gguf"), scratch / "d", {.format = "q8_0"}); },
              ThrowsMessage<UserError>(HasSubstr("a directory's weights cannot be q8_0")));
  EXPECT_FALSE(std::filesystem::exists(scratch / "d"));
}

TEST(GgufModel, WhatCannotBeReadIsNamed) {
  const tessera::testing::ScratchFolder scratch;
  const auto file = [&](const std::string& architecture, const char* type, bool with_tokenizer) {
    GgufWriter writer;
    writer.set("general.architecture", std::string_view(architecture));
    for (const char* key :
         {"embedding_length", "feed_forward_length", "block_count", "attention.head_count", "context_length"})
      writer.set(architecture + "." + key, uint32_t{1});
    writer.set(architecture + ".attention.key_length", uint32_t{2});
    if (with_tokenizer) writer.set("tokenizer.ggml.model", "rwkv");
    const std::vector<int64_t> shape = {4, 256};
    writer.add("token_embd.weight", *gguf_type(type), shape, [&](WritableFile& to) {
      to.append(std::string(GgufWriter::tensor_bytes(*gguf_type(type), shape), '\0'));
    });
    const Path path = scratch / "m.gguf";
    write_file_atomically(path, [&](WritableFile& to) { writer.write(to); });
    return path;
  };
  const auto loading = [&](const Path& path) { return [path] { load_lm(path); }; };
  EXPECT_THAT(loading(file("mamba", "f32", true)),
              ThrowsMessage<UserError>(AllOf(HasSubstr("'mamba'"), HasSubstr("llama"))));
  EXPECT_THAT(loading(file("llama", "iq2_xxs", true)), ThrowsMessage<UserError>(HasSubstr("iq2_xxs")));
  EXPECT_THAT([&] { text::load_tokenizer(file("llama", "f32", false)); },
              ThrowsMessage<UserError>(HasSubstr("holds no tokenizer")));
}

}  // namespace
}  // namespace tessera::lm
