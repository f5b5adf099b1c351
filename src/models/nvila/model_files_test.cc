// Model directories: what is saved loads again, what does not belong is said by name, and damaged configs end in one line.
#include "models/nvila/model_files.h"

#include <gmock/gmock.h>

#include <fstream>

#include "core/error.h"
#include "models/nvila/testing.h"
#include "tensor/model_dir.h"
#include "tests/fuzz/mutate.h"

namespace tessera::nvila {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

const Path golden = Path(TESSERA_SOURCE_DIR) / "tests/golden/data";

class NvilaFiles : public ::testing::Test {
 protected:
  NvilaFiles()
      : directory(Path(::testing::TempDir()) /
                  ("nvila-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()))) {
    std::filesystem::remove_all(directory);
  }
  /// A copy of a golden model directory that may be spoiled.
  void copy(const char* name) {
    std::filesystem::copy(golden / name, directory, std::filesystem::copy_options::recursive);
  }
  void change_config(const Path& file, const char* key, const Json& value) {
    Json tree = read_json_file(directory / file);
    tree[key] = value;
    std::ofstream(directory / file) << tree.dump();
  }
  void refused(const std::string& words) {
    EXPECT_THAT([&] { load_weights(directory, at::kCPU); },
                ThrowsMessage<UserError>(AllOf(HasSubstr(words), Not(HasSubstr("\n")))));
  }
  Path directory;
};

TEST_F(NvilaFiles, WhatIsSavedLoadsAgainWithTheSameConfigAndWeights) {
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    NvilaModel model = tiny_nvila(tiny_config(mode, "mlp_downsample_3x3_fix"));
    save_model(model, StoredAs::f32, directory, golden / "nvila-flat");
    NvilaModel again = load_weights(directory, at::kCPU);
    EXPECT_EQ(again.config, model.config) << mode;
    const auto saved = named_tensors(model), loaded = named_tensors(again);
    ASSERT_EQ(saved.size(), loaded.size());
    for (size_t i = 0; i < saved.size(); ++i) EXPECT_TRUE(saved[i].tensor.equal(loaded[i].tensor)) << saved[i].name;
    EXPECT_EQ(text::load_tokenizer(directory)->vocabulary(), text::load_tokenizer(golden / "nvila-flat")->vocabulary());
  }
}

TEST_F(NvilaFiles, ALegacyCheckpointSavedFlatIsTheSameModel) {
  const at::NoGradGuard no_grad;
  const NvilaModel legacy = load_weights(golden / "nvila-legacy", at::kCPU);
  EXPECT_EQ(read_model_directory(golden / "nvila-legacy").weight_files.size(), 4u);
  save_model(legacy, StoredAs::f32, directory, golden / "nvila-legacy" / "llm");
  const NvilaModel flat = load_weights(directory, at::kCPU);
  const Tensor pixels = normalised({noise_picture(1, 56, 56)});
  EXPECT_TRUE(legacy.features(pixels).equal(flat.features(pixels)));
  EXPECT_EQ(flat.config.tiles.mode, "dynamic");
  EXPECT_EQ(flat.config.vision.used_blocks(), legacy.config.vision.used_blocks());
}

TEST_F(NvilaFiles, ReleasedConfigsReadAsTheirModels) {
  const Json text = read_json_file(golden / "nvila-legacy/llm/config.json");
  Json tree = {{"model_type", "nvila_lite"},
               {"text_config", text},
               {"vision_config", read_json_file(golden / "nvila-legacy/vision_tower/config.json")}};
  const NvilaConfig lite = flat_config(tree, "lite");
  EXPECT_EQ(lite.tiles.mode, "dynamic");
  EXPECT_EQ(lite.projector, "mlp_downsample_3x3_fix");
  tree["model_type"] = "nvila";
  const NvilaConfig base = flat_config(tree, "base");
  EXPECT_EQ(base.tiles.mode, "dynamic_s2");
  EXPECT_EQ(base.feature_width(), 3 * base.vision.width);
  tree["s2_scales"] = "56,168", tree["video_encoder"] = {{"pool_sizes", {{8, 1, 1}}}};
  EXPECT_EQ(flat_config(tree, "base").tiles.scales, (std::vector<int64_t>{56, 168}));
  EXPECT_EQ(flat_config(tree, "base").video.pool, (std::vector<int64_t>{8, 1, 1}));
}

TEST_F(NvilaFiles, MissingShardsPartsAndTensorsAreNamed) {
  copy("nvila-legacy");
  std::filesystem::remove(directory / "llm" / "model-00002-of-00002.safetensors");
  refused("shard model-00002-of-00002.safetensors is missing");
  std::filesystem::remove_all(directory);
  copy("nvila-legacy");
  std::filesystem::remove_all(directory / "vision_tower");
  refused("vision_tower/config.json");
  std::filesystem::remove_all(directory);
  copy("nvila-legacy");
  change_config("vision_tower/config.json", "num_hidden_layers", 5);
  refused("vision_tower.vision_model.encoder.layers.3");
  change_config("vision_tower/config.json", "num_hidden_layers", 3);
  change_config("vision_tower/config.json", "intermediate_size", 41);
  refused("mlp.fc1.weight: got [40, 32], want [41, 32]");
}

TEST_F(NvilaFiles, UnsupportedConfigsListWhatIsSupported) {
  copy("nvila-legacy");
  change_config("mm_projector/config.json", "mm_projector_type", "resampler");
  refused("want one of: mlp_downsample, mlp_downsample_2x2_fix, mlp_downsample_3x3_fix");
  change_config("mm_projector/config.json", "mm_projector_type", "mlp_downsample_3x3_fix");
  change_config("vision_tower/config.json", "model_type", "intern_vit_6b");
  refused("'intern_vit_6b' is not supported, want siglip_vision_model");
  change_config("vision_tower/config.json", "model_type", "siglip_vision_model");
  change_config("config.json", "image_aspect_ratio", "pad");
  refused("'pad' is not supported, want resize, dynamic or dynamic_s2");
  change_config("config.json", "image_aspect_ratio", "dynamic");
  change_config("llm/config.json", "model_type", "mamba");
  refused("qwen2");
}

TEST_F(NvilaFiles, ATokenizerWithMoreWordsThanRowsIsRefusedUnlessTheyAreMediaTokens) {
  const auto tokenizer = text::load_tokenizer(golden / "nvila-legacy/llm");
  NvilaConfig config = read_config(read_model_directory(golden / "nvila-legacy")).config;
  EXPECT_LT(config.text.vocabulary, tokenizer->vocabulary());
  require_same_words(config, *tokenizer, "dir");
  config.text.vocabulary -= 1;
  EXPECT_THAT([&] { require_same_words(config, *tokenizer, "dir"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("<|im_end|>"), HasSubstr("rows"))));
}

TEST_F(NvilaFiles, DamagedConfigsEndInOneLine) {
  const std::string whole = [] {
    Json tree = flat_config_json(tiny_config("dynamic_s2"));
    tree["s2_scales"] = "24,48,72", tree["mm_vision_select_layer"] = -2;
    return tree.dump();
  }();
  const std::vector<std::string> words = {"-1", "0",  "null",       "1e99", "99999999999", "\"dynamic\"",
                                          "{}", "[]", "\"24,,48\"", "2.5",  "[[8,1,1]]"};
  Rng rng(11);
  int sound = 0, refused = 0;
  for (int i = 0; i < 3000; ++i) {
    try {
      const NvilaConfig config =
          flat_config(parse_json(tessera::testing::mutate({whole}, words, rng), "input"), "input");
      EXPECT_EQ(flat_config(flat_config_json(config), "again").tiles, config.tiles);
      ++sound;
    } catch (const UserError& error) {
      EXPECT_THAT(std::string(error.what()), AllOf(::testing::StartsWith("["), Not(HasSubstr("\n"))));
      ++refused;
    }
  }
  EXPECT_GT(sound, 30);
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace tessera::nvila
