// Judges: the number behind an answer by a second way, for tokenizers that cut "10" in two, and ratings that cannot be meant.
#include "align/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "generate/testing.h"
#include "tests/support/scratch.h"
#include "tests/support/user_error.h"

namespace tessera::align {
namespace {

using tessera::testing::user_error;
using ::testing::HasSubstr;

/// Reads bytes and says after "[[" what the law says; so "10" is two tokens.
class ByteJudge : public Writes {
 public:
  explicit ByteJudge(std::vector<double> weights) : weights_(std::move(weights)) {}
  const text::Tokenizer& tokenizer() const override { return tokenizer_; }
  int64_t context() const override { return 10'000; }
  std::vector<Written> write(const std::vector<std::string>&, const generate::TextOptions&) const override {
    return {};
  }
  Written chat(const std::vector<text::Message>&, const generate::TextOptions&) const override { return {}; }
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages) const override {
    return tokenizer_.encode(messages.back().content);
  }
  std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests, int64_t*) const override {
    std::vector<std::vector<ScoredToken>> all;
    for (const ScoreRequest& request : requests) {
      auto& tokens = all.emplace_back();
      const std::string words = tokenizer_.decode(request.continuation);
      const size_t open = words.find("[["), close = words.find("]]");
      const size_t value = std::stoul(words.substr(open + 2, close - open - 2));
      for (size_t i = 0; i < request.continuation.size(); ++i) tokens.push_back({.id = request.continuation[i]});
      // The digit "1" is said for 1 and for 10; what follows it decides.
      const double one = weights_[1] + weights_[10];
      if (value == 1 || value == 10) {
        tokens[open + 2].log_probability = std::log(one);
        tokens[open + 3].log_probability = std::log(weights_[value] / one);
      } else tokens[open + 2].log_probability = std::log(weights_[value]);
    }
    return all;
  }

 private:
  generate::testing::ToyTokenizer tokenizer_;
  std::vector<double> weights_;
};

TEST(JudgeScore, IsTheMeanOverTheScaleAlsoWhereTenIsTwoTokens) {
  const std::vector<double> weights = {0, 0.1, 0, 0, 0, 0.2, 0, 0, 0.1, 0, 0.4};  // .8 of the probability is a score
  const ByteJudge model(weights);
  const Judgement got = Judge(model, {}).judge({{"a prompt", "an answer"}}).front();
  EXPECT_NEAR(got.score, (1 * 0.1 + 5 * 0.2 + 8 * 0.1 + 10 * 0.4) / 0.8, 1e-9);
  EXPECT_EQ(got.likeliest, 10);
  EXPECT_FALSE(got.tied);
  EXPECT_NEAR(got.mass, 0.8, 1e-9);
  EXPECT_NEAR(got.probabilities[5], 0.25, 1e-9);
}

TEST(JudgeScore, TiesOfTheIntegerFormAreTold) {
  const Judgement got = judgement_of({std::log(0.4), std::log(0.1), std::log(0.4)}, {.low = 1, .high = 3});
  EXPECT_EQ(got.likeliest, 1);
  EXPECT_TRUE(got.tied);
  EXPECT_NEAR(got.score, 2, 1e-9);
}

TEST(JudgeQuestion, HoldsScalePromptAndResponse) {
  const std::string words = judge_question("Say [[9]].", "no", {.low = 1, .high = 5});
  EXPECT_THAT(words, HasSubstr("from 1 (unusable) to 5 (outstanding)"));
  EXPECT_THAT(words, HasSubstr("# Prompt:\nSay [[9]].\n\n# Response:\nno"));
  EXPECT_EQ(judge_lesson({"p", "a", 7.6}, {})[1].content, "Rating: [[8]]");
}

/// A judge with little room.
class NarrowJudge final : public ByteJudge {
 public:
  NarrowJudge(std::vector<double> weights, int64_t room) : ByteJudge(std::move(weights)), room_(room) {}
  int64_t context() const override { return room_; }

 private:
  int64_t room_;
};

TEST(JudgeScore, AnAnswerThatIsTooLongIsJudgedByItsBeginning) {
  const std::vector<double> weights(11, 0.05);
  const int64_t question = std::ssize(judge_question("p", "", {})), rating = std::ssize(judge_answer(10));
  const std::string longer = "Zürich, " + std::string(300, 'x');
  EXPECT_EQ(Judge(NarrowJudge(weights, question + rating + 9), {}).judge({{"p", longer}}).size(), 1u);
  EXPECT_THAT(user_error([&] {
                Judge(NarrowJudge(weights, question + rating - 1), {}).judge({{"p", longer}});
              }),
              HasSubstr("its context leaves"));
}

TEST(JudgeAgreement, CountsPairsOfOnePromptAndTiesAsHalf) {
  const Agreement got = agreement({1, 1, 1, 2, 2}, {5, 3, 3, 1, 9}, {7, 2, 7, 4, 8});
  EXPECT_EQ(got.pairs, 3);  // (5, 3) twice and (1, 9)
  EXPECT_EQ(got.ties, 1);
  EXPECT_NEAR(got.share(), 2.5 / 3, 1e-9);
}

TEST(JudgeWithOneAnswer, IsSeen) {
  EXPECT_TRUE(says_one_thing({5, 5.01, 5.05}, {}));
  EXPECT_FALSE(says_one_thing({5, 5.2}, {}));
  EXPECT_FALSE(says_one_thing({5}, {})) << "one answer tells nothing";
}

TEST(Ratings, WhatCannotBeMeantIsNamedByRow) {
  const tessera::testing::ScratchFolder scratch;
  set_log_level(LogLevel::quiet);
  const auto fault = [&](const std::string& lines) {
    write_file_atomically(scratch / "r.jsonl", lines);
    return user_error([&] { read_ratings(scratch / "r.jsonl", {}); });
  };
  const std::string good = R"({"prompt":"p","response":"a","score":7.5})"
                           "\n";
  EXPECT_EQ(fault(good), "accepted");
  EXPECT_THAT(fault(good + R"({"prompt":"p","response":"b","score":11})"),
              HasSubstr("row 2: 'score' is 11, want 0 to 10"));
  EXPECT_THAT(fault(R"({"prompt":" ","response":"b","score":1})"), HasSubstr("'prompt' is empty"));
  EXPECT_THAT(fault(R"({"prompt":"p","score":1})"), HasSubstr("'response' is missing"));
  EXPECT_THAT(fault(R"({"prompt":"p","response":"b","score":"7"})"), HasSubstr("want a number"));
  EXPECT_THAT(fault("[1]"), HasSubstr("want an object"));
  write_file_atomically(scratch / "twice.jsonl", good + good + R"({"instruction":"p","answer":"c","rating":2})");
  EXPECT_EQ(read_ratings(scratch / "twice.jsonl", {}).size(), 2u);
}

}  // namespace
}  // namespace tessera::align
