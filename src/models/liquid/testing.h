// Small Liquid models for tests: bytes as words, four codes an edge out of 16.
#pragma once

#include <memory>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>

#include "data/testing_tokenizer.h"
#include "models/liquid/loaded.h"
#include "models/liquid/vocabulary.h"
#include "models/lm/testing.h"
#include "models/registry.h"
#include "tests/support/scratch.h"

namespace tessera::liquid {

/// Pictures of 16 pixels, codes of 4 x 4.
inline vq::VqCodec tiny_vq(uint64_t seed = 3) {
  vq::VqCodec codec({.name = "tiny",
                     .picture_size = 16,
                     .patch = 2,
                     .channels = 8,
                     .multipliers = {1, 1},
                     .encoder_blocks = 1,
                     .decoder_blocks = 1,
                     .norm_groups = 4,
                     .latent_channels = 6,
                     .code_width = 4,
                     .codes = 16});
  const at::NoGradGuard no_grad;
  vq::initialise(codec, seed);
  codec.codebook.copy_(at::randn({16, 4}, at::detail::createCPUGenerator(seed)).mul_(0.3));
  return codec;
}

/// A language model over bytes whose every part matters, its vocabulary extended, and its tokenizer's folder.
struct TinyLiquid {
  tessera::testing::ScratchFolder folder;
  Bundle bundle;
  std::unique_ptr<text::Tokenizer> tokenizer;

  explicit TinyLiquid(const std::string& family = "qwen2", bool begins = true) {
    data::testing::write_byte_tokenizer(folder / "words", begins);
    tokenizer = text::load_tokenizer(folder / "words");
    lm::LmConfig config = lm::tiny_config(family);
    config.vocabulary = data::testing::byte_vocabulary;
    config.context = 160;
    bundle.model = lm::tiny_lm(config);
    bundle.codec = tiny_vq();
    bundle.directory = folder / "words";
    bundle.text_config = Json::object();
    bundle.config.pictures = extend_vocabulary(bundle.model, *tokenizer, bundle.codec.config);
    const at::NoGradGuard no_grad;  // rows at one mean would all be alike
    Tensor rows = bundle.model.embed_tokens.weight;
    const int64_t first = data::testing::byte_vocabulary;
    rows.narrow(0, first, rows.size(0) - first)
        .add_(at::randn({rows.size(0) - first, rows.size(1)}, at::detail::createCPUGenerator(9)).mul_(0.3));
    bundle.config.drawing = {.cfg = 3, .temperature = 1, .top_k = 0, .top_p = 1};
  }
  /// Written as a directory of ours.
  Path saved() const {
    save_bundle(bundle, StoredAs::f32, {{"eos_token_id", data::testing::end_id}}, folder / "model");
    return folder / "model";
  }
  std::unique_ptr<LoadedModel> loaded() const { return load_model(saved(), at::kCPU); }
};

inline Image speckled(int64_t width, int64_t height, uint64_t seed, int64_t channels = 3) {
  Image picture(width, height, channels);
  Rng rng(seed);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(rng.below(256));
  return picture;
}

}  // namespace tessera::liquid
