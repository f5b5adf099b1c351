// Laws of the token loop on toy models: rows are independent, streaming is the whole in pieces, stops and limits end
// rows.
#include "generate/text_loop.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "generate/testing.h"

namespace tessera::generate {
namespace {

using testing::noise;
using testing::script;
using testing::ToySteps;
using testing::ToyTokenizer;
using Prompts = std::vector<std::vector<int32_t>>;

const Prompts kPrompts = {{1, 2, 3}, {4}, {5, 6}};

std::vector<Continuation> write(const Prompts& prompts, const ToySteps::Model& model, const TextOptions& options,
                                const ToyTokenizer& tokenizer = ToyTokenizer()) {
  ToySteps steps(prompts, model);
  return run(steps, prompts, tokenizer, options);
}

/// What one row says that is told these tokens by its model.
Continuation say(const std::vector<int32_t>& said, const TextOptions& options,
                 const ToyTokenizer& tokenizer = ToyTokenizer()) {
  return write({{1}}, script(tokenizer.vocabulary(), 1, said), options, tokenizer)[0];
}

std::vector<int32_t> bytes(const std::string& text) { return ToyTokenizer().encode(text); }

TEST(TextLoop, GreedyTextIsTheMostLikelyTokens) {
  const Continuation said = say(bytes("hello"), {.max_new_tokens = 5});
  EXPECT_EQ(said.text, "hello");
  EXPECT_EQ(said.tokens, bytes("hello"));
  EXPECT_EQ(said.reason, StopReason::length);
}

TEST(TextLoop, EndTokensEndARowAndAreNotPartOfIt) {
  std::vector<int32_t> script = bytes("hi");
  script.push_back(256);
  const Continuation said = say(script, {.end_tokens = {256}});
  EXPECT_EQ(said.text, "hi");
  EXPECT_EQ(said.tokens, bytes("hi"));
  EXPECT_EQ(said.reason, StopReason::end_token);
}

TEST(TextLoop, ARowDoesNotDependOnItsBatch) {
  for (const TokenSampling& sampling : {TokenSampling{}, TokenSampling{.temperature = 1, .top_k = 50, .seed = 4},
                                        TokenSampling{.repetition_penalty = 1.3, .temperature = 0.7, .top_p = 0.9}}) {
    TextOptions options{.max_new_tokens = 40, .sampling = sampling, .end_tokens = {256, 17, 90}};
    const auto together = write(kPrompts, noise(257, 1), options);
    for (size_t r = 0; r < kPrompts.size(); ++r) {
      options.rows = {r};
      const Continuation alone = write({kPrompts[r]}, noise(257, 1), options)[0];
      EXPECT_EQ(alone.tokens, together[r].tokens);
      EXPECT_EQ(alone.text, together[r].text);
      EXPECT_EQ(alone.reason, together[r].reason);
    }
  }
}

TEST(TextLoop, DrawsDependOnTheSeed) {
  const auto tokens = [](uint64_t seed) {
    return write(kPrompts, noise(257, 1), {.max_new_tokens = 30, .sampling = {.temperature = 1, .seed = seed}})[1]
        .tokens;
  };
  EXPECT_EQ(tokens(1), tokens(1));
  EXPECT_NE(tokens(1), tokens(2));
}

TEST(TextLoop, EqualPromptsDrawDifferentlyInDifferentRows) {
  const auto said = write({{1}, {1}}, noise(257, 1), {.max_new_tokens = 30, .sampling = {.temperature = 1, .seed = 5}});
  EXPECT_NE(said[0].tokens, said[1].tokens);
}

TEST(TextLoop, StreamedPiecesJoinToTheTextAndHoldWholeCharacters) {
  const std::string text = "a\xF0\x9F\x8D\x8E\xC3\xA9 STO and STOP here";
  std::vector<std::string> pieces;
  const Continuation said =
      say(bytes(text), {.max_new_tokens = 100, .stop = {"STOP"}, .on_text = [&](size_t, std::string_view piece) {
                          pieces.emplace_back(piece);
                          return true;
                        }});
  std::string joined;
  for (const std::string& piece : pieces) {
    EXPECT_NE(static_cast<unsigned char>(piece[0]) & 0xC0, 0x80) << "a piece begins inside a character";
    joined += piece;
  }
  EXPECT_EQ(joined, said.text);
  EXPECT_EQ(said.text, "a\xF0\x9F\x8D\x8E\xC3\xA9 STO and ");
  EXPECT_EQ(said.reason, StopReason::stop_text);
}

TEST(TextLoop, AStopTextMayBeInsideATokenOrAcrossSeveral) {
  const ToyTokenizer tokenizer({"one.two", " end", "ing\nUs", "er: x"});
  EXPECT_EQ(say({256}, {.stop = {"."}}, tokenizer).text, "one");
  const Continuation across = say({256, 257, 258, 259, 256}, {.stop = {"\nUser:"}}, tokenizer);
  EXPECT_EQ(across.text, "one.two ending");
  EXPECT_EQ(across.tokens, (std::vector<int32_t>{256, 257, 258, 259}));
}

TEST(TextLoop, TextThatOnlyBeginsLikeAStopIsShownInTheEnd) {
  EXPECT_EQ(say(bytes("one STO"), {.max_new_tokens = 7, .stop = {"STOP"}}).text, "one STO");
}

TEST(TextLoop, AnIncompleteCharacterAtTheEndIsReplaced) {
  EXPECT_EQ(say(bytes("a\xF0\x9F\x8D"), {.max_new_tokens = 4}).text, "a\xEF\xBF\xBD");
}

TEST(TextLoop, FinishedRowsLeaveTheBatch) {
  const auto model = [](const std::vector<int32_t>& tokens) {  // the row of prompt {n} says n tokens, then ends
    const bool done = std::ssize(tokens) > tokens[0];
    return script(257, 0, {done ? 256 : 'x'})({});
  };
  ToySteps steps({{3}, {1}, {5}}, model);
  const auto said = run(steps, {{3}, {1}, {5}}, ToyTokenizer(), {.end_tokens = {256}});
  EXPECT_EQ(said[0].text, "xxx");
  EXPECT_EQ(said[1].text, "x");
  EXPECT_EQ(said[2].text, "xxxxx");
  EXPECT_EQ(steps.batches(), (std::vector<int64_t>{3, 3, 2, 2, 1, 1}));
}

TEST(TextLoop, TheContextEndsEachRowByItsOwnLength) {
  const auto said = write(kPrompts, noise(257, 1), {.max_new_tokens = 100, .context = 5});
  EXPECT_EQ(said[0].tokens.size(), 2u);
  EXPECT_EQ(said[1].tokens.size(), 4u);
  EXPECT_EQ(said[2].tokens.size(), 3u);
}

TEST(TextLoop, APromptThatFillsTheContextIsRefusedWithTheNumbers) {
  try {
    write(kPrompts, noise(257, 1), {.context = 3});
    FAIL() << "want a UserError";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[generate] the prompt has 3 tokens, the context is 3: 1 too many for one new token");
  }
}

TEST(TextLoop, RowsOfTheEmbeddingBeyondTheTokenizerAreNeverDrawn) {
  const auto model = [](const std::vector<int32_t>&) {
    Tensor logits = at::zeros({1000});
    logits.slice(0, 257).fill_(50);
    return logits;
  };
  for (const double temperature : {0.0, 5.0}) {
    const auto said = write({{1}}, model, {.max_new_tokens = 50, .sampling = {.temperature = temperature}});
    for (const int32_t id : said[0].tokens) EXPECT_LT(id, 257);
  }
}

TEST(TextLoop, ARuleSeesTheTokensAndDecides) {
  const LogitsRule upwards = [](size_t, const std::vector<int32_t>& tokens, Tensor& logits) {
    logits.slice(0, 0, tokens.back() + 1).fill_(-std::numeric_limits<float>::infinity());
  };
  for (const double temperature : {0.0, 1.0}) {
    const auto said = write({{'a'}}, noise(257, 3),
                            {.max_new_tokens = 3, .sampling = {.temperature = temperature}, .rules = {upwards}});
    EXPECT_TRUE(std::is_sorted(said[0].tokens.begin(), said[0].tokens.end()));
    EXPECT_GT(said[0].tokens[0], 'a');
  }
}

TEST(TextLoop, ThePenaltyCountsThePromptToo) {
  const auto model = [](const std::vector<int32_t>&) {
    Tensor logits = at::full({257}, -1.0f);
    logits['a'] = 2.0f;
    logits['b'] = 1.5f;
    logits['c'] = 1.2f;
    return logits;
  };
  EXPECT_EQ(write({{'a'}}, model, {.max_new_tokens = 3, .sampling = {.repetition_penalty = 2}})[0].text, "bca");
}

TEST(TextLoop, CallbacksEndOneRowOrAll) {
  const auto one = write({{1}, {2}}, noise(257, 1),
                         {.max_new_tokens = 9, .on_text = [](size_t row, std::string_view) { return row != 0; }});
  EXPECT_EQ(one[0].reason, StopReason::caller);
  EXPECT_EQ(one[1].tokens.size(), 9u);
  const auto all =
      write({{1}, {2}}, noise(257, 1), {.max_new_tokens = 9, .on_step = [](int64_t tokens) { return tokens < 6; }});
  for (const Continuation& row : all) {
    EXPECT_EQ(row.reason, StopReason::caller);
    EXPECT_EQ(row.tokens.size(), 3u);
  }
}

TEST(TextLoop, NaNLogitsAreAFault) {
  const auto model = [](const std::vector<int32_t>& tokens) {
    return at::full({257}, tokens.size() > 2 ? std::nanf("") : 1.0f);
  };
  for (const double temperature : {0.0, 1.0})
    EXPECT_THROW(write({{1}}, model, {.sampling = {.temperature = temperature}}), FaultError);
}

TEST(TextLoop, RefusesOptionsOutOfRange) {
  const std::vector<TextOptions> bad = {{.max_new_tokens = 0},          {.max_new_tokens = -3},    {.context = -1},
                                        {.stop = {"ok", ""}},           {.stop = {"\xC3"}},        {.stop = {"\x80z"}},
                                        {.stop = {"\xF5\x80\x80\x80"}}, {.sampling = {.top_p = 2}}};
  for (const TextOptions& options : bad) EXPECT_THROW(check(options), UserError);
  EXPECT_THROW(say({'x'}, {.max_new_tokens = 0}), UserError);
  check(TextOptions{.stop = {"\xF0\x9F\x8D\x8E", "\xC3\xA9"}});
}

TEST(TextLoop, NoPromptsGiveNothing) { EXPECT_TRUE(write({}, noise(257, 1), {}).empty()); }

}  // namespace
}  // namespace tessera::generate
