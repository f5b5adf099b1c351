// Prompts through a T5 in its own folder: its tokens, its states, and what is refused.
#include "models/infinity/prompt_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "models/infinity/draw.h"
#include "models/infinity/testing.h"
#include "tensor/model_dir.h"
#include "tests/support/scratch.h"

namespace tessera::infinity {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// A small T5 with random weights beside the golden tokenizer, a decoder's tensor among the encoder's.
class PromptEncoders : public ::testing::Test {
 protected:
  PromptEncoders() {
    at::manual_seed(4);
    copy_tokenizer(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text/t5", folder());
    const auto tokenizer = text::load_tokenizer(folder());
    config = {
        .vocab_size = tokenizer->vocabulary(), .d_model = 16, .d_kv = 4, .num_heads = 2, .d_ff = 24, .num_layers = 2};
    encoder = nn::T5Encoder(config);
    for_each_tensor(encoder, [](const std::string&, Tensor& t) { t.normal_(0.5, 0.5); });
    std::vector<NamedTensor> all = named_tensors(encoder);
    all.push_back({"decoder.block.0.layer.0.SelfAttention.q.weight", at::zeros({2, 2})});
    all.push_back({"lm_head.weight", at::zeros({2, 2})});
    save_tensors(folder() / "model.safetensors", all, disk(), {.stored_as = StoredAs::f32});
    save_config("t5", "gated-gelu");
  }
  Path folder() const {
    std::filesystem::create_directories(scratch_ / "t5");
    return scratch_ / "t5";
  }
  void save_config(const char* type, const char* projection) const {
    Json tree = to_json(config);
    tree["model_type"] = type;
    tree["feed_forward_proj"] = projection;
    tree["dropout_rate"] = 0.1;
    write_file_atomically(folder() / "config.json", tree.dump());
  }
  PromptEncoder opened(int64_t longest = 512) const { return {folder(), longest, at::kCPU}; }

  tessera::testing::ScratchFolder scratch_;
  nn::T5Config config;
  nn::T5Encoder encoder;
};

TEST_F(PromptEncoders, StatesAreThoseOfTheTokensWithTheEndTokenBehind) {
  const at::NoGradGuard no_grad;
  const std::vector<Tensor> states = opened().encode({"a cat", "a cat on a very long mat"});
  std::vector<int32_t> ids = text::load_tokenizer(folder())->encode("a cat");
  if (ids.empty() || ids.back() != 1) ids.push_back(1);
  const Tensor want = encoder.forward(at::tensor(std::vector<int64_t>(ids.begin(), ids.end())))[0];
  EXPECT_TRUE(at::allclose(states[0], want, 1e-5, 1e-5));
  const nn::TextStates batch = batch_of(states, 0, 2);
  EXPECT_TRUE(batch.padded);
  EXPECT_EQ(batch.lengths[0].item<int64_t>(), std::ssize(ids));
  EXPECT_TRUE(batch.states[0].slice(0, 0, std::ssize(ids)).equal(states[0]));
  EXPECT_FALSE(batch_of(states, 1, 2).padded);
}

TEST_F(PromptEncoders, DrawingReadsThePromptThroughIt) {
  InfinityConfig shape = tiny_config();
  shape.text_encoder.reset();
  shape.text_width = 16;
  Bundle bundle{tiny_infinity(7, shape), tiny_codec(), {}};
  bundle.text = prompt_encoder_of(shape, folder(), at::kCPU);
  save_bundle(bundle, StoredAs::f32, scratch_ / "model");
  const DrawingInfinity drawing(std::move(bundle)), again(load_model(scratch_ / "model", at::kCPU));
  const DrawRequest cat{.prompts = {"a cat"}, .seed = 3}, dog{.prompts = {"a dog, far away"}, .seed = 3};
  EXPECT_EQ(drawing.draw(cat), again.draw(cat));
  EXPECT_NE(drawing.draw(cat), drawing.draw(dog));
  EXPECT_EQ(drawing.draw({.prompts = {"a cat", "a dog, far away"}, .seed = 3})[0], drawing.draw(cat)[0])
      << "a longer neighbour changes nothing";
}

TEST_F(PromptEncoders, WhatDoesNotFitIsRefused) {
  EXPECT_THAT([&] { opened(3).encode({"one two three four five six"}); },
              ThrowsMessage<UserError>(HasSubstr("tokens with its end, want at most 3")));
  InfinityConfig wider = tiny_config();
  wider.text_width = 32;
  EXPECT_THAT([&] { prompt_encoder_of(wider, folder(), at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("gives states 16 wide, the transformer reads 32")));
  save_config("t5", "relu");
  EXPECT_THAT([&] { opened(); }, ThrowsMessage<UserError>(HasSubstr("feed_forward_proj is 'relu'")));
  save_config("bert", "gated-gelu");
  EXPECT_THAT([&] { opened(); }, ThrowsMessage<UserError>(HasSubstr("is of model_type 'bert'")));
  config.num_layers = 3;
  save_config("t5", "gated-gelu");
  EXPECT_THAT([&] { opened(); }, ThrowsMessage<UserError>(HasSubstr("encoder.block.2.")));
}

}  // namespace
}  // namespace tessera::infinity
