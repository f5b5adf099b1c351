// What a packed model's directory holds.
#include "quant/packed_dir.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera::quant {
namespace {

TEST(PackedDirectory, HasTheSourcesSmallFilesAndItsOwnWeightsAndConfig) {
  const tessera::testing::ScratchFolder scratch;
  const Path source = scratch / "source", out = scratch / "a/b";
  std::filesystem::create_directories(source / "folder");
  for (const char* name : {"tokenizer.json", "README.md", "config.json", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", "pytorch_model.bin", ".lock"}) {
    write_file_atomically(source / name, std::string("of the source: ") + name);
  }
  const Tensor large = at::full({2}, 1e6), small = at::full({2}, 0.1), scale = at::full({2, 1}, 1e-9);
  write_packed_directory(
      source, out,
      {{"large", large}, {"small", small}, {"q.weight_scale", scale}, {"q.weight", at::ones({2, 4}, at::kChar)}},
      {{"model_type", "qwen2"}});
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(out)) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"README.md", "config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_file(out / "tokenizer.json"), "of the source: tokenizer.json");
  EXPECT_EQ(read_json_file(out / "config.json"), (Json{{"model_type", "qwen2"}}));
  const auto stored = load_tensors(out);
  EXPECT_EQ(stored.at("large").scalar_type(), at::kBFloat16);
  EXPECT_EQ(stored.at("small").scalar_type(), at::kHalf);
  EXPECT_TRUE(at::equal(stored.at("q.weight_scale"), scale));
  EXPECT_EQ(stored.at("q.weight").scalar_type(), at::kChar);
}

}  // namespace
}  // namespace tessera::quant
