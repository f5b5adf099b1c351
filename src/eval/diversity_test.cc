// Measures against counting by hand.
#include "eval/diversity.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/rng.h"
#include "eval/testing.h"

namespace tessera::eval {
namespace {

using Tokens = std::vector<int32_t>;

TEST(Bleu, IsOneOfATextThatStandsInTheReferences) {
  const Texts references = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}};
  const Bleu bleu(references);
  EXPECT_DOUBLE_EQ(bleu.of(Tokens{1, 2, 3, 4, 5, 6}), 1);
  EXPECT_DOUBLE_EQ(bleu.of(Tokens{20, 21, 22}), 0);
  EXPECT_DOUBLE_EQ(bleu.of_reference(0), 0) << "a text is not its own reference";
}

TEST(Bleu, ClipsCountsToTheMostThatOneReferenceHolds) {
  const Texts references = {{1, 1, 2}, {1, 3, 3}};
  // unigrams: 1 1 of four; two of the three 2-grams, 3-grams, ... smoothed by one: (1 + 1) / (3 + 1), (0 + 1) / (2 + 1), 1 / 2
  EXPECT_NEAR(Bleu(references).of(Tokens{1, 1, 1, 1}), std::pow(2.0 / 4 * 2 / 4 * 1 / 3 * 1 / 2, 0.25), 1e-12);
}

TEST(Bleu, OfAReferenceIsThatAgainstTheOthers) {
  Rng rng(5);
  Texts texts(6);
  for (Tokens& text : texts) {
    for (int i = 0; i < 40; ++i) text.push_back(static_cast<int32_t>(rng.below(6)));
  }
  const Bleu all(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    Texts others = texts;
    others.erase(others.begin() + static_cast<int64_t>(i));
    EXPECT_NEAR(all.of_reference(i), Bleu(others).of(texts[i]), 1e-12);
  }
}

/// Says the same to every prompt; when it scores, a token is likely in so far as it repeats the one before.
class Parrot final : public Writes {
 public:
  explicit Parrot(Tokens says) : says_(std::move(says)) {}
  const text::Tokenizer& tokenizer() const override { return tokenizer_; }
  int64_t context() const override { return 100; }
  std::vector<Written> write(const std::vector<std::string>& prompts,
                             const generate::TextOptions& options) const override {
    EXPECT_LE(prompts.size(), 2u);
    for (const uint64_t row : options.rows) rows_.push_back(row);
    std::vector<Written> all(prompts.size());
    for (Written& each : all) each.continuation.tokens = says_;
    return all;
  }
  Written chat(const std::vector<text::Message>&, const generate::TextOptions&) const override { return {}; }
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>&) const override { return {}; }
  std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests,
                                              int64_t* /*positions*/ = nullptr) const override {
    std::vector<std::vector<ScoredToken>> all;
    for (const ScoreRequest& request : requests) {
      auto& scored = all.emplace_back();
      for (const int32_t id : request.continuation)
        scored.push_back({.id = id,
                          .log_probability = -2,
                          .entropy = request.temperature,
                          .top_probability = 0.25,
                          .most_likely = id % 2 == 0 ? id : says_.front()});
    }
    return all;
  }
  const std::vector<uint64_t>& rows() const { return rows_; }

 private:
  generate::testing::ToyTokenizer tokenizer_;
  Tokens says_;
  mutable std::vector<uint64_t> rows_;
};

TEST(Diversity, CutsContinuationsAtEachLengthAndCountsNoSpecialTokens) {
  const Parrot parrot({'a', 'b', 'a', 'c', 256, 256, 256});  // 256 ends a text
  const auto read = data::CitationIndex::of({'x', 'b', 'a', 'c', 'y'}, {5});
  const DiversityTask task{.contexts = contexts_of({"The quick brown fox jumps."}, parrot.tokenizer(), 3, 2, 7),
                           .lengths = {2, 7},
                           .window = 3,
                           .read = &read,
                           .batch = 2};
  const DiversityResult result = measure_diversity(parrot, task);
  ASSERT_EQ(result.written.size(), 2u);
  EXPECT_EQ(result.written[0].counted.mean, 2);
  EXPECT_EQ(result.written[0].ttr.mean, 1);
  EXPECT_EQ(result.written[1].counted.mean, 4) << "the end tokens are no words";
  EXPECT_EQ(result.written[1].ttr.mean, 3.0 / 4);
  EXPECT_NEAR(result.written[1].ttr_window.mean, (2.0 / 3 + 1) / 2, 1e-12);
  EXPECT_EQ(result.written[1].self_bleu, 1) << "all say the same";
  EXPECT_EQ(result.written[1].longest_read.mean, 3);
  EXPECT_EQ(result.written[1].over_ten, 0);
  EXPECT_EQ(result.reference[1].counted.mean, 7);
  EXPECT_NEAR(result.certainty.perplexity, std::exp(2), 1e-9);
  EXPECT_EQ(result.certainty.entropy, 1);
  EXPECT_EQ(result.certainty.top1, 0.25);
  EXPECT_EQ(parrot.rows(), (std::vector<uint64_t>{0, 1, 2})) << "a text is drawn alike in whichever batch it goes";
}

TEST(Diversity, FindsTheTemperatureWithAGivenEntropy) {
  const Parrot parrot({'a'});
  const DiversityTask task{.contexts = contexts_of({"The quick brown fox jumps."}, parrot.tokenizer(), 2, 2, 7),
                           .lengths = {1},
                           .match_entropy = 0.6};
  EXPECT_NEAR(measure_diversity(parrot, task).temperature, 0.6, 0.002);
}

TEST(Diversity, CountsPredictionsWithAnotherMostLikelyToken) {
  const Parrot one({'a'}), other({'c'});
  const auto contexts = contexts_of({"aabbccddeeffgghh"}, one.tokenizer(), 1, 4, 8);  // ccddeeff: c and e are odd
  EXPECT_EQ(changed_top1(one, one, contexts, 2), 0);
  EXPECT_EQ(changed_top1(one, other, contexts, 2), 0.5);
}

TEST(Contexts, AreSpreadOverAllTextsAndKeepTheWordsThatFollow) {
  const generate::testing::ToyTokenizer tokenizer;
  const std::vector<std::string> texts = {"abcdefghijklmnopqrst", "xy", "ABCDEFGHIJKLMNOPQRST"};
  const std::vector<Context> contexts = contexts_of(texts, tokenizer, 4, 3, 5);
  ASSERT_EQ(contexts.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const std::string both = contexts[i].prompt + tokenizer.decode(contexts[i].reference);
    EXPECT_EQ(both.size(), 8u);
    EXPECT_NE(texts[i < 2 ? 0 : 2].find(both), std::string::npos) << both;
  }
  EXPECT_THROW(contexts_of(texts, tokenizer, 40, 3, 5), UserError);
  EXPECT_THROW(contexts_of(texts, tokenizer, 1, 30, 5), UserError);
}

}  // namespace
}  // namespace tessera::eval
