// Prompts through a T5 in its own folder: its tokens, its states, and what is refused.
#include "models/infinity/prompt_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "models/infinity/draw.h"
#include "models/infinity/objective.h"
#include "models/infinity/testing.h"
#include "models/registry.h"
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

/// Two pictures of noise with captions.
class TwoPictures final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    return {.picture = noise_picture(index % 2),
            .caption = index % 2 == 0 ? "a cat" : "a dog, far away",
            .picture_id = index % 2};
  }
  std::optional<uint64_t> pass_length() const override { return 2; }
};

TEST_F(PromptEncoders, AdaptersAreTrainedOnItsStatesAndDrawWithTheModelTheyBelongTo) {
  InfinityConfig shape = tiny_config();
  shape.text_encoder.reset();
  shape.text_width = 16;
  Bundle bundle{tiny_infinity(7, shape), tiny_codec(), {}};
  bundle.text = prompt_encoder_of(shape, folder(), at::kCPU);
  save_bundle(bundle, StoredAs::f32, scratch_ / "model");
  train::Recipe recipe;
  recipe.model = {{"from", (scratch_ / "model").string()}, {"tune", {{"what", "lora"}, {"rank", 4}}}};
  recipe.loss = {{"half", false}, {"flip_percent", 0}};
  const auto objective = make_infinity_objective(recipe, TwoPictures(), at::kCPU);
  const std::vector<train::Parameter> parameters = objective->parameters();
  for (const train::Parameter& p : parameters) EXPECT_THAT(p.name, HasSubstr("lora_")) << "the base stays as it is";
  const double before = objective->evaluate()["clean_loss"];
  for (int64_t step = 0; step < 20; ++step) {
    objective->loss({TwoPictures().at(0), TwoPictures().at(1)}, {.step = step, .rng = Rng(4, 1)}).value.backward();
    const at::NoGradGuard no_grad;
    for (const train::Parameter& p : parameters) {
      p.tensor.sub_(p.tensor.grad().sign() * 0.01);
      p.tensor.mutable_grad() = Tensor();
    }
  }
  const auto after = objective->evaluate();
  EXPECT_LT(after.at("clean_loss"), 0.9 * before);
  EXPECT_GT(after.at("clean_bit_acc"), 0.5);

  objective->save_model(scratch_ / "tuned", disk());
  const auto tuned = tessera::load_model(scratch_ / "tuned", at::kCPU);
  const auto beside = tessera::load_model(scratch_ / "model", at::kCPU, {.adapters = {scratch_ / "tuned/adapter"}});
  const DrawRequest cat{.prompts = {"a cat"}, .seed = 3, .tau = {0}};
  const Image merged_one = tuned->draws()->draw(cat)[0],
              plain = tessera::load_model(scratch_ / "model", at::kCPU)->draws()->draw(cat)[0];
  EXPECT_EQ(merged_one, beside->draws()->draw(cat)[0]) << "merged or beside, it is the same model";
  EXPECT_NE(merged_one, plain);
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
