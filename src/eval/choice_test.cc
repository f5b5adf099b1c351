// Ranked classification with a scorer whose probabilities are known, and rows in every spelling.
#include "eval/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "eval/testing.h"

namespace tessera::eval {
namespace {

using testing::bytes_cost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ToyWriter;

ChoiceRow row_of(std::vector<std::string> choices, size_t answer) {
  return {"Which?", std::move(choices), answer, "test"};
}

TEST(Choice, AccuracyTakesTheMostLikelyChoiceAndAccNormTheMostLikelyPerByte) {
  // with the blank before them: 3 and 7 nats; per byte 3 / 2 and 7 / 6
  const ChoiceResult result = measure_choice(bytes_cost(1), {.rows = {row_of({"ab", "abcdef"}, 0)}});
  EXPECT_THAT(result.outcomes[0].nats, ElementsAre(3, 7));
  EXPECT_TRUE(result.outcomes[0].right);
  EXPECT_FALSE(result.outcomes[0].right_norm);
  EXPECT_NEAR(result.outcomes[0].bpb, 1.5 / std::log(2), 1e-12);
  EXPECT_NEAR(result.outcomes[0].ce, std::log(1 + std::exp(-4)), 1e-12);
  EXPECT_EQ(result.acc, 1);
  EXPECT_EQ(result.acc_norm, 0);
}

TEST(Choice, AccuracyIsTheShareOfRightRowsWithAnInterval) {
  std::vector<ChoiceRow> rows;
  for (int i = 0; i < 100; ++i) rows.push_back(row_of({"abc", "abz"}, i < 70 ? 0 : 1));
  const ChoiceResult result = measure_choice(bytes_cost(2), {.rows = rows});
  EXPECT_DOUBLE_EQ(result.acc, 0.7);
  EXPECT_DOUBLE_EQ(result.acc_norm, 0.7);
  EXPECT_NEAR(result.acc_interval.low, 0.6042, 1e-4);  // Wilson's, by hand
  EXPECT_NEAR(result.acc_interval.high, 0.7811, 1e-4);
  EXPECT_NEAR(result.bpb.mean, (0.7 * 4 + 0.3 * 5) / 3 / std::log(2), 1e-12);
}

TEST(Choice, PerByteScoresCountTheBytesOfMultibyteLetters) {
  const ChoiceResult result = measure_choice(bytes_cost(1), {.rows = {row_of({"\xC3\xA9\xC3\xA9", "a"}, 0)}});
  EXPECT_NEAR(result.outcomes[0].bpb, 5.0 / 4 / std::log(2), 1e-12);
}

TEST(Choice, SolvedExamplesPrecedeTheQuestion) {
  const ChoiceRow solved{"One and one?", {"one", "two"}, 1, "shots"};
  EXPECT_EQ(with_examples(row_of({"a", "b"}, 0), {solved, solved}, 1), "One and one? two\n\nWhich?");
  EXPECT_THROW(measure_choice(bytes_cost(1), {.rows = {solved}, .examples = {}, .shots = 1}), UserError);
}

TEST(Choice, AQuestionOverTheContextReportsByHowMuch) {
  const ToyWriter small([](const auto&, int32_t) { return -1.0; }, 10);
  try {
    measure_choice(small, {.rows = {row_of({"abcdefghij", "b"}, 0)}});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("test: question and choice have 17 tokens, the context is 10: 6 too many"));
  }
}

ChoiceRow parsed(std::string_view line) { return parse_choice_row(line, "set.jsonl line 1"); }

TEST(ChoiceRows, KeysOfPublishedDatasetsAreRead) {
  const ChoiceRow arc =
      parsed(R"({"id":"x","question":"Why?","choices":{"text":["a","b","c"],"label":["A","B","C"]},"answerKey":"B"})");
  EXPECT_EQ(arc.prompt, "Question: Why?\nAnswer:");
  EXPECT_THAT(arc.choices, ElementsAre("a", "b", "c"));
  EXPECT_EQ(arc.answer, 1u);
  const ChoiceRow old = parsed(
      R"({"question":{"stem":"Why?","choices":[{"text":"a","label":"1"},{"text":"b","label":"2"}]},"answerKey":"2"})");
  EXPECT_EQ(old.answer, 1u) << "labels go before counting";
  const ChoiceRow swag = parsed(R"({"ctx":"A man","endings":["sits.","flies."],"label":"1"})");
  EXPECT_EQ(swag.prompt, "A man");
  EXPECT_EQ(swag.answer, 1u);
  EXPECT_EQ(parsed(R"({"question":"2+2?","choices":["3","4","5","22"],"answer":1})").answer, 1u);
  EXPECT_EQ(parsed(R"({"question":"2+2?","choices":["3","4"],"answer":"4"})").answer, 1u) << "the choice itself";
  EXPECT_EQ(parsed(R"({"question":"q","choices":["x","y","z"],"answer":"C"})").answer, 2u);
  EXPECT_EQ(parsed(R"({"goal":"open","sol1":"push","sol2":"pull","label":0})").prompt, "Question: open\nAnswer:");
  const ChoiceRow siqa =
      parsed(R"({"context":"It rained.","question":"And?","answerA":"a","answerB":"b","answerC":"c","label":"3"})");
  EXPECT_EQ(siqa.prompt, "Question: It rained. And?\nAnswer:");
  EXPECT_EQ(siqa.answer, 2u);
  EXPECT_EQ(parsed(R"({"question_stem":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"A"})").answer,
            0u);
  EXPECT_EQ(parsed(R"({"prompt":"as is","options":["a","b"],"gold":1})").prompt, "as is");
}

TEST(ChoiceRows, LabelsAndChoicesMayBeNumbers) {
  const char* lists = R"({"question":"q","choices":{"text":["a","b","c"],"label":[1,2,3]},"answerKey":3})";
  EXPECT_EQ(parsed(lists).answer, 2u) << "labels go before counting";
  EXPECT_EQ(parsed(R"({"prompt":"p","choices":{"text":["a","b"],"label":[1,2]},"answerKey":"1"})").answer, 0u);
  EXPECT_EQ(parsed(R"({"prompt":"p","choices":{"text":["a","b"],"label":["1","2"]},"answerKey":2.0})").answer, 1u);
  EXPECT_EQ(parsed(R"({"prompt":"p","choices":[{"text":"a","label":0},{"text":"b","label":1}],"answer":1})").answer,
            1u);
  EXPECT_EQ(parsed(R"({"prompt":"p","choices":["a","b"],"label":1.0})").answer, 1u) << "as pandas writes it";
  const ChoiceRow sums = parsed(R"({"prompt":"2+2","choices":[3,4.5,22],"answer":22})");
  EXPECT_THAT(sums.choices, ElementsAre("3", "4.5", "22"));
  EXPECT_EQ(sums.answer, 2u);
}

TEST(ChoiceRows, OneBlankStandsBetweenPromptAndChoiceWhateverIsWritten) {
  const ChoiceRow row = parsed(R"({"prompt":"The capital is ","choices":[" Paris","Rome  "],"answer":" Paris"})");
  EXPECT_EQ(row.prompt, "The capital is");
  EXPECT_THAT(row.choices, ElementsAre("Paris", "Rome"));
  EXPECT_EQ(row.answer, 0u);
}

TEST(ChoiceRows, ANumberThatNamesTwoChoicesIsRefused) {
  try {
    parsed(R"({"prompt":"p","choices":[1,2,3],"answer":1})");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("the answer 1 is one choice by its text and another by its place"));
  }
}

TEST(ChoiceRows, MissingKeysAreReportedWithTheLine) {
  const auto refusal = [](std::string_view line) -> std::string {
    try {
      parsed(line);
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(R"({"choices":["a","b"],"answer":0})"), HasSubstr("set.jsonl line 1: has no prompt"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":["a"],"answer":0})"), HasSubstr("has 1 choices, want at least 2"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":["a","b"]})"), HasSubstr("has no answer"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":["a","b"],"answer":2})"), HasSubstr("'2' is none of the 2 choices"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":["a","b"],"answer":-1})"), HasSubstr("'-1' is none"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":["a",""],"answer":0})"), HasSubstr("an empty choice"));
  EXPECT_THAT(refusal(R"({"prompt":3,"choices":["a","b"],"answer":0})"), HasSubstr("'prompt' is number, want a text"));
  EXPECT_THAT(refusal(R"({"prompt":"p","choices":"ab","answer":0})"), HasSubstr("choices are string, want a list"));
  EXPECT_THAT(refusal(R"([1])"), HasSubstr("is array, want an object"));
  EXPECT_THAT(refusal("{"), HasSubstr("set.jsonl line 1"));
}

}  // namespace
}  // namespace tessera::eval
