// OLMES's measures with a scorer whose probabilities are known; expected numbers are worked out by hand.
#include "eval/olmes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "eval/testing.h"
#include "eval/testing_gzip.h"

namespace tessera::eval {
namespace {

using testing::bytes_cost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ToyWriter;

OlmesDocument document_of(const std::vector<std::string>& choices, size_t answer) {
  OlmesDocument document{.contexts = {"Question: Which?\nAnswer:", "Answer:"}, .answer = answer, .where = "toy line 1"};
  for (const std::string& choice : choices) {
    document.choices.push_back({0, choice});
    document.unconditional.push_back({1, choice});
  }
  return document;
}

OlmesTask task_of(std::vector<OlmesDocument> documents) {
  return {.name = "toy", .primary_metric = "acc_per_char", .documents = std::move(documents)};
}

TEST(Olmes, EachMeasureNormalisesTheSameLogLikelihoods) {
  // 6 bytes in UTF-8, 4 characters and 5 + 2 nats; 4 bytes, as many characters and nats
  const OlmesResult result = measure_olmes(bytes_cost(2), task_of({document_of({" \xC3\xA9\xC3\xA9z", " abc"}, 0)}));
  const OlmesOutcome& outcome = result.outcomes[0];
  EXPECT_THAT(outcome.nats, ElementsAre(7, 4));
  EXPECT_THAT(outcome.unconditional, ElementsAre(7, 4));
  EXPECT_FALSE(outcome.right.at("acc_raw"));
  EXPECT_FALSE(outcome.right.at("acc_per_char")) << "7 / 4 against 4 / 4";
  EXPECT_FALSE(outcome.right.at("acc_per_byte")) << "7 / 6 against 4 / 4";
  EXPECT_NEAR(outcome.bpb, 7.0 / 6 / std::log(2), 1e-12);
  EXPECT_NEAR(outcome.ladder_bpb, 7.0 / 5 / std::log(2), 1e-12) << "without the blank";
  EXPECT_NEAR(outcome.ladder_ce, 3 + std::log(1 + std::exp(-3)), 1e-12);
}

TEST(Olmes, CharactersAndBytesAndTokensMayChooseDifferently) {
  const OlmesDocument document = document_of({" \xC3\xA9\xC3\xA9", " abcd"}, 0);
  const OlmesOutcome outcome = olmes_outcome(document, {3, 5.5}, {}, {2, 5});
  EXPECT_TRUE(outcome.right.at("acc_raw")) << "3 against 5.5";
  EXPECT_TRUE(outcome.right.at("acc_per_char")) << "3 / 3 against 5.5 / 5";
  EXPECT_TRUE(outcome.right.at("acc_per_byte")) << "3 / 5 against 5.5 / 5";
  EXPECT_FALSE(outcome.right.at("acc_per_token")) << "3 / 2 against 5.5 / 5";
  EXPECT_FALSE(outcome.ladder_right) << "3 / 2 against 5.5 / 4, without the blank";
  EXPECT_EQ(outcome.right.count("acc_uncond"), 0u) << "no unconditional requests";
}

TEST(Olmes, TheUnconditionalMeasureTakesWhatTheContextAdds) {
  const OlmesDocument document = document_of({" a", " b"}, 1);
  EXPECT_TRUE(olmes_outcome(document, {2, 3}, {1, 2.5}, {2, 2}).right.at("acc_uncond")) << "gains -1 and -0.5";
  EXPECT_FALSE(olmes_outcome(document, {2, 3}, {2.5, 3}, {2, 2}).right.at("acc_uncond")) << "gains 0.5 and 0";
  EXPECT_FALSE(olmes_outcome(document, {2, 3}, {1, 2}, {2, 2}).right.at("acc_uncond")) << "equal: the earlier wins";
}

TEST(Olmes, WinograndeComparesOneContinuationAfterTwoContexts) {
  OlmesDocument document{.contexts = {"so Sarah", "so Maria, who came first,"}, .answer = 1, .where = "toy"};
  document.choices = {{0, " won."}, {1, " won."}};
  const ToyWriter likes_long(
      {[](const std::vector<int32_t>& before, int32_t) { return before.size() > 20 ? -1.0 : -2.0; }, 1000});
  const OlmesResult result = measure_olmes(likes_long, task_of({document}));
  EXPECT_THAT(result.outcomes[0].nats, ElementsAre(10, 5));
  EXPECT_EQ(result.accuracies.at("acc_raw").share, 1);
}

TEST(Olmes, SharesHaveIntervalsAndBitsPerByteAreMeans) {
  std::vector<OlmesDocument> documents;
  for (size_t i = 0; i < 300; ++i) documents.push_back(document_of({" abc", " azc"}, i < 210 ? 0 : 1));
  const OlmesResult result = measure_olmes(bytes_cost(3), task_of(documents));
  EXPECT_EQ(result.count, 300);
  EXPECT_DOUBLE_EQ(result.accuracies.at("acc_raw").share, 0.7);
  EXPECT_NEAR(result.accuracies.at("acc_raw").interval.low, 0.6459, 1e-4);  // Wilson's, by hand
  EXPECT_NEAR(result.accuracies.at("acc_raw").interval.high, 0.7491, 1e-4);
  EXPECT_NEAR(result.bpb.mean, (0.7 * 4 + 0.3 * 6) / 4 / std::log(2), 1e-12);
  EXPECT_NEAR(result.ladder_bpb.mean, (0.7 * 4 + 0.3 * 6) / 3 / std::log(2), 1e-12);
}

TEST(Olmes, ATaskOfSingleContinuationsHasBitsPerByteAndNoAccuracy) {
  OlmesDocument document{.contexts = {"def f():\n"}, .where = "toy"};
  document.choices = {{0, "  pass\n"}};
  const OlmesResult result = measure_olmes(bytes_cost(1), task_of({document}));
  EXPECT_TRUE(result.accuracies.empty());
  EXPECT_NEAR(result.bpb.mean, 8.0 / 7 / std::log(2), 1e-12) << "the context's line end is scored with it, not counted";
}

TEST(Olmes, MmlusLadderNumbersAreMeansOverCategories) {
  std::vector<OlmesDocument> documents = {document_of({" a", " z"}, 0), document_of({" a", " z"}, 0),
                                          document_of({" a", " z"}, 0), document_of({" a", " z"}, 1)};
  for (size_t i = 0; i < 4; ++i) documents[i].group = i < 3 ? "astronomy" : "virology";
  const OlmesResult result = measure_olmes(bytes_cost(2), task_of(documents));
  EXPECT_DOUBLE_EQ(result.accuracies.at("acc_per_char").share, 0.75);
  EXPECT_DOUBLE_EQ(result.ladder_acc.share, 0.5);
  EXPECT_EQ(result.groups.at("virology").share, 0);
}

TEST(OlmesTokens, WhiteSpaceAtTheContextsEndBelongsToTheContinuation) {
  const generate::testing::ToyTokenizer bytes;
  const OlmesTokens tokens = olmes_tokens(bytes, "ab \n", "c", 100, "toy");
  EXPECT_THAT(tokens.request.prompt, ElementsAre('a', 'b'));
  EXPECT_THAT(tokens.request.continuation, ElementsAre(' ', '\n', 'c'));
  EXPECT_FALSE(tokens.truncated);
}

TEST(OlmesTokens, ContextsLoseTheirBeginningWhenTheyAreTooLong) {
  const generate::testing::ToyTokenizer bytes;
  EXPECT_THAT(olmes_tokens(bytes, "abcdef", " g", 7, "toy").request.prompt, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  const OlmesTokens cut = olmes_tokens(bytes, "abcdef", " g", 5, "toy");
  EXPECT_THAT(cut.request.prompt, ElementsAre('c', 'd', 'e', 'f'));
  EXPECT_THAT(cut.request.continuation, ElementsAre(' ', 'g'));
  EXPECT_TRUE(cut.truncated);
  EXPECT_THAT(testing::refusal([&] { olmes_tokens(bytes, "a", " long", 4, "toy line 1"); }),
              HasSubstr("[eval] toy line 1: a continuation has 5 tokens, the model's context is 4"));
}

/// "ab" is one token where it stands whole, as byte-pair encodings have it.
class PairTokenizer final : public generate::testing::ToyTokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text, const text::EncodeOptions& = {}) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool pair = text.substr(i, 2) == "ab";
      ids.push_back(pair ? 200 : static_cast<unsigned char>(text[i]));
      i += pair ? 1 : 0;
    }
    return ids;
  }
};

TEST(OlmesTokens, TheContinuationIsWhatLiesBehindAsManyTokensAsTheContextHas) {
  const PairTokenizer pairs;
  EXPECT_THAT(olmes_tokens(pairs, "xa", "bc", 100, "toy").request.prompt, ElementsAre('x', 200));
  EXPECT_THAT(olmes_tokens(pairs, "xa", "bc", 100, "toy").request.continuation, ElementsAre('c'));
  EXPECT_THAT(olmes_tokens(pairs, "xa", "b", 100, "toy").request.continuation, ElementsAre(200))
      << "one token at least is scored";
}

}  // namespace
}  // namespace tessera::eval
