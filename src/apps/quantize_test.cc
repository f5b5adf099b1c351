// The verb `quantize`: a small model packed from its directory, and mistakes said before anything is written.
#include "apps/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"
#include "text/bpe_trainer.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class QuantizeVerb : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
    config.width = 64;
    config.heads = 4;
    config.kv_heads = 2;
    config.head_dim = 16;
    config.hidden = 96;
    config.vocabulary = 320;
    save();
    std::string text;
    for (int i = 0; i < 200; ++i) text += "a tale of " + std::to_string(i * 7919 % 1000) + " whales, and the sea. ";
    write_file_atomically(scratch / "text.txt", text);
    text::BpeTrainer trainer({.vocabulary = 300});
    trainer.add(text);
    trainer.save(trainer.train(), scratch / "m");
    options.model = scratch / "m";
    options.out = scratch / "out";
    options.calibration = {(scratch / "text.txt").string()};
    options.tokens = 256;
    options.compute.device = "cpu";
  }
  void save() {
    const at::NoGradGuard no_grad;
    lm::save_lm(scratch / "m", lm::tiny_lm(config), {.stored_as = StoredAs::f16});
  }
  void expect_refused(const char* why) {
    EXPECT_THAT([&] { run_quantize(options); }, ThrowsMessage<UserError>(HasSubstr(why)));
    EXPECT_FALSE(std::filesystem::exists(options.out / "config.json"));
  }

  tessera::testing::ScratchFolder scratch;
  lm::LmConfig config = lm::tiny_config("qwen2");
  QuantizeOptions options;
};

TEST_F(QuantizeVerb, AFileOfBlocksIsRefusedBeforeAnythingIsWritten) {
  options.out = scratch / "m.gguf";
  options.format = "q8_0";
  options.calibration.clear();
  ASSERT_EQ(run_quantize(options), 0);
  options.model = options.out;
  options.format.clear();
  options.out = scratch / "out";
  expect_refused("is a GGUF file; want a directory");
  EXPECT_FALSE(std::filesystem::exists(options.out));
}

TEST_F(QuantizeVerb, OptionsOfPackingAreRefusedBesideAFormatOfBlocks) {
  options.out = scratch / "m.gguf";
  options.format = "q8_0";
  EXPECT_THAT([&] { run_quantize(options); }, ThrowsMessage<UserError>(HasSubstr("--calibration are for packing")));
  options.calibration.clear();
  options.adapter = {(scratch / "no-adapter").string()};
  EXPECT_THAT([&] { run_quantize(options); }, ThrowsMessage<UserError>(HasSubstr("no-adapter")));
  EXPECT_FALSE(std::filesystem::exists(options.out));
}

TEST_F(QuantizeVerb, WritesADirectoryThatLoadsAndIsSmallerAndSaysSo) {
  for (const char* method : {"awq", "nearest"}) {
    options.method = method;
    options.out = scratch / method;
    options.output.json = true;
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run_quantize(options), 0);
    const Json said = parse_json(::testing::internal::GetCapturedStdout(), "output");
    EXPECT_EQ(said["layers"], 14);
    EXPECT_EQ(said["group"], 32);
    EXPECT_LT(said["bytes"].get<int64_t>(), said["bytes_before"].get<int64_t>());
    EXPECT_EQ(said["calibration_positions"], 256);
    EXPECT_LT(said["error"].get<double>(), 0.2);
    const lm::DecoderLm packed = lm::load_lm(options.out);
    EXPECT_TRUE(packed.layers[1].self_attn->o_proj.packed);
    EXPECT_TRUE(std::filesystem::exists(options.out / "tokenizer.json"));
    EXPECT_EQ(read_json_file(options.out / "config.json")["quantization_config"]["quant_method"], "awq");
  }
}

TEST_F(QuantizeVerb, WithoutTextsTheModelDrawsItsOwn) {
  options.calibration = {};
  options.tokens = 60;
  EXPECT_EQ(run_quantize(options), 0);
  EXPECT_TRUE(lm::load_lm(options.out).layers[0].mlp.up_proj.packed);
}

TEST_F(QuantizeVerb, MistakesAreSaidBeforeAnythingIsWritten) {
  options.bits = 3;
  expect_refused("--bits is 3, want 4 or 0");
  options.bits = 4;
  options.method = "gptq";
  expect_refused("want awq or nearest");
  options.method = "awq";
  options.tower = "int8";
  expect_refused("has no vision tower");
  options.tower = "auto";
  options.group = 64;
  expect_refused("reads 96 channels, want a multiple of the group 64");
  options.group = 0;
  options.group = 12;
  expect_refused("--group is 12");
  options.group = 0;
  options.calibration = {"nowhere"};
  expect_refused("nowhere does not exist");
  write_file_atomically(scratch / "blank.txt", std::string(" \n"));
  options.calibration = {(scratch / "blank.txt").string()};
  expect_refused("blank.txt holds nothing");
  options.calibration = {(scratch / "text.txt").string()};
  options.bits = 0;
  expect_refused("nothing to pack");
  options.bits = 4;
  config.hidden = 100;
  save();
  expect_refused("want a multiple of the group 32");
  config.hidden = 96;
  save();
  EXPECT_EQ(run_quantize(options), 0);
  options.model = options.out;
  options.out = scratch / "twice";
  expect_refused("packed already");
  options.out = options.model;
  EXPECT_THAT([&] { run_quantize(options); }, ThrowsMessage<UserError>(HasSubstr("exists; give a new directory")));
}

}  // namespace
}  // namespace tessera::apps
