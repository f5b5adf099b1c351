// Rows that are added to language models, and where the ids around pictures go.
#include "models/liquid/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "models/liquid/testing.h"

namespace tessera::liquid {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Knows its tokens' names alone.
class NamedTokens final : public text::Tokenizer {
 public:
  explicit NamedTokens(std::vector<std::string> names) : names_(std::move(names)) {}
  std::vector<int32_t> encode(std::string_view, const text::EncodeOptions&) const override { return {}; }
  std::string decode(const std::vector<int32_t>&, bool) const override { return ""; }
  int64_t vocabulary() const override { return std::ssize(names_); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    const auto at = std::ranges::find(names_, token);
    return at == names_.end() ? std::nullopt : std::optional(static_cast<int32_t>(at - names_.begin()));
  }
  std::string token_of(int32_t id) const override { return names_[static_cast<size_t>(id)]; }
  bool is_special(int32_t) const override { return false; }
  std::optional<int32_t> begin_token() const override { return std::nullopt; }
  std::optional<int32_t> end_token() const override { return std::nullopt; }
  std::optional<int32_t> pad_token() const override { return std::nullopt; }

 private:
  std::vector<std::string> names_;
};

lm::DecoderLm model_of(int64_t rows, bool tied) {
  lm::LmConfig config = lm::tiny_config("mistral");
  config.vocabulary = rows;
  config.tied = tied;
  return lm::tiny_lm(config);
}

TEST(LiquidVocabulary, NewRowsAreTheMeanOfTheOldOnesInTiedAndUntiedHeads) {
  for (const bool tied : {true, false}) {
    lm::DecoderLm model = model_of(4, tied);
    const Tensor embedding = model.embed_tokens.weight.clone(), head = model.head().weight.clone();
    const PictureTokens p = extend_vocabulary(model, NamedTokens({"a", "b", "c", "d"}), tiny_vq().config);
    EXPECT_EQ(p, (PictureTokens{.first = 7, .codes = 16, .edge = 4, .begin = 4, .end = 5, .unconditional = 6}));
    EXPECT_EQ(model.config.vocabulary, 23);
    for (const auto& [before, after] : {std::pair(embedding, model.embed_tokens.weight), {head, model.head().weight}}) {
      ASSERT_EQ(after.size(0), 23);
      EXPECT_TRUE(at::equal(after.narrow(0, 0, 4), before));
      for (int64_t row = 4; row < 23; ++row) EXPECT_TRUE(at::allclose(after[row], before.mean(0))) << tied << row;
    }
    EXPECT_EQ(present(model.lm_head.weight), !tied);
    const Tensor ids = lm::tiny_ids(1, 6, 23);
    EXPECT_EQ(model.logits(model.forward(model.embed(ids), lm::positions_of(model, 6, {}, at::kCPU))).size(2), 23);
  }
}

TEST(LiquidVocabulary, TokensAroundPicturesTakeReservedIdsThenRowsWithoutATokenThenNewOnes) {
  const auto around = [](const std::vector<std::string>& names, int64_t rows) {
    lm::DecoderLm model = model_of(rows, true);
    const PictureTokens p = extend_vocabulary(model, NamedTokens(names), tiny_vq().config);
    EXPECT_EQ(model.config.vocabulary, p.first + 16);
    return std::vector<int64_t>{p.begin, p.end, p.unconditional, p.first};
  };
  EXPECT_EQ(around({"<pad>", "<unused0>", "<unused1>", "<unused2>", "x"}, 5), (std::vector<int64_t>{1, 2, 3, 5}));
  EXPECT_EQ(around({"a", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"}, 3),
            (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(around({"a", "b"}, 8), (std::vector<int64_t>{2, 3, 4, 8}));            // rows that pad the embedding
  EXPECT_EQ(around({"a", "b", "c", "d"}, 3), (std::vector<int64_t>{4, 5, 6, 7}));  // a token without a row gets one
}

TEST(LiquidVocabulary, IdsThatDoNotFitAreRefusedInOneLine) {
  const TinyLiquid tiny;
  const auto refusal = [&](auto change, const std::string& message) {
    PictureTokens p = tiny.bundle.config.pictures;
    lm::LmConfig model = tiny.bundle.model.config;
    change(p, model);
    EXPECT_THAT([&] { validate(p, model, *tiny.tokenizer, "DIR"); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  refusal([](auto&, auto& m) { m.vocabulary -= 1; },
          "the embedding has 277 rows, want 278: 262 before the picture codes");
  refusal([](auto& p, auto&) { p.begin = p.first; }, "pictures.begin is 262, want an id of the 278 that is no picture");
  refusal([](auto& p, auto&) { p.end = p.begin; }, "want three ids");
  refusal([](auto& p, auto&) { p.first = 200; }, "id 200 is the tokenizer's");
  refusal([](auto&, auto& m) { m.context = 16; }, "a picture has 16 codes, the context is 16 positions; too short");
  EXPECT_THAT([&] { require_same_codes({.first = 0, .codes = 8, .edge = 4}, tiny.bundle.codec.config); },
              ThrowsMessage<UserError>(HasSubstr("codec 'tiny' has 16 codes, the vocabulary 8")));
  EXPECT_THAT([&] { require_same_codes({.first = 0, .codes = 16, .edge = 8}, tiny.bundle.codec.config); },
              ThrowsMessage<UserError>(HasSubstr("a picture of codec 'tiny' has 4 x 4 codes, the model draws 8 x 8")));
}

}  // namespace
}  // namespace tessera::liquid
