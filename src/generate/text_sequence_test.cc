// Laws of the token loop on toy models: rows are independent, streaming is the whole in pieces, stops and limits end
// rows.
#include "generate/text_sequence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "generate/testing.h"

namespace tessera::generate {
namespace {

using testing::constraint_of;
using testing::noise;
using testing::prompts_of;
using testing::script;
using testing::ToySteps;
using testing::ToyTokenizer;
using Prompts = std::vector<std::vector<int32_t>>;

const Prompts kPrompts = {{1, 2, 3}, {4}, {5, 6}};

std::vector<Continuation> write(const Prompts& prompts, const ToySteps::Model& model, const TextOptions& options,
                                const ToyTokenizer& tokenizer = ToyTokenizer()) {
  ToySteps steps(model);
  return run(steps, prompts_of(prompts), tokenizer, options);
}

/// What one row says that is told these tokens by its model.
Continuation say(const std::vector<int32_t>& said, const TextOptions& options,
                 const ToyTokenizer& tokenizer = ToyTokenizer()) {
  return write({{1}}, script(tokenizer.vocabulary(), 1, said), options, tokenizer)[0];
}

std::vector<int32_t> bytes(const std::string& text) { return ToyTokenizer().encode(text); }

TEST(TextSequence, GreedyTextIsTheMostLikelyTokens) {
  const Continuation said = say(bytes("hello"), {.max_new_tokens = 5});
  EXPECT_EQ(said.text, "hello");
  EXPECT_EQ(said.tokens, bytes("hello"));
  EXPECT_EQ(said.reason, StopReason::length);
}

TEST(TextSequence, EndTokensEndARowAndAreNotPartOfIt) {
  std::vector<int32_t> script = bytes("hi");
  script.push_back(256);
  const Continuation said = say(script, {.end_tokens = {256}});
  EXPECT_EQ(said.text, "hi");
  EXPECT_EQ(said.tokens, bytes("hi"));
  EXPECT_EQ(said.reason, StopReason::end_token);
}

TEST(TextSequence, ARowDoesNotDependOnItsBatch) {
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

TEST(TextSequence, DrawsDependOnTheSeed) {
  const auto tokens = [](uint64_t seed) {
    return write(kPrompts, noise(257, 1), {.max_new_tokens = 30, .sampling = {.temperature = 1, .seed = seed}})[1]
        .tokens;
  };
  EXPECT_EQ(tokens(1), tokens(1));
  EXPECT_NE(tokens(1), tokens(2));
}

TEST(TextSequence, EqualPromptsDrawDifferentlyInDifferentRows) {
  const auto said = write({{1}, {1}}, noise(257, 1), {.max_new_tokens = 30, .sampling = {.temperature = 1, .seed = 5}});
  EXPECT_NE(said[0].tokens, said[1].tokens);
}

TEST(TextSequence, StreamedPiecesJoinToTheTextAndHoldWholeCharacters) {
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

TEST(TextSequence, AStopTextMayBeInsideATokenOrAcrossSeveral) {
  const ToyTokenizer tokenizer({"one.two", " end", "ing\nUs", "er: x"});
  EXPECT_EQ(say({256}, {.stop = {"."}}, tokenizer).text, "one");
  const Continuation across = say({256, 257, 258, 259, 256}, {.stop = {"\nUser:"}}, tokenizer);
  EXPECT_EQ(across.text, "one.two ending");
  EXPECT_EQ(across.tokens, (std::vector<int32_t>{256, 257, 258, 259}));
}

TEST(TextSequence, TextThatOnlyBeginsLikeAStopIsShownInTheEnd) {
  EXPECT_EQ(say(bytes("one STO"), {.max_new_tokens = 7, .stop = {"STOP"}}).text, "one STO");
}

TEST(TextSequence, AnIncompleteCharacterAtTheEndIsReplaced) {
  EXPECT_EQ(say(bytes("a\xF0\x9F\x8D"), {.max_new_tokens = 4}).text, "a\xEF\xBF\xBD");
}

TEST(TextSequence, FinishedRowsLeaveTheBatch) {
  const auto model = [](const std::vector<int32_t>& tokens) {  // the row of prompt {n} says n tokens, then ends
    const bool done = std::ssize(tokens) > tokens[0];
    return script(257, 0, {done ? 256 : 'x'})({});
  };
  ToySteps steps(model);
  const auto said = run(steps, prompts_of({{3}, {1}, {5}}), ToyTokenizer(), {.end_tokens = {256}});
  EXPECT_EQ(said[0].text, "xxx");
  EXPECT_EQ(said[1].text, "x");
  EXPECT_EQ(said[2].text, "xxxxx");
  EXPECT_EQ(steps.passes(), (std::vector<int64_t>{3, 3, 2, 2, 1, 1}));
}

TEST(TextSequence, TheContextEndsEachRowByItsOwnLength) {
  const auto said = write(kPrompts, noise(257, 1), {.max_new_tokens = 100, .context = 5});
  EXPECT_EQ(said[0].tokens.size(), 2u);
  EXPECT_EQ(said[1].tokens.size(), 4u);
  EXPECT_EQ(said[2].tokens.size(), 3u);
}

TEST(TextSequence, APromptThatFillsTheContextIsRefusedWithTheNumbers) {
  try {
    write(kPrompts, noise(257, 1), {.context = 3});
    FAIL() << "want a UserError";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[generate] the prompt has 3 tokens, the context is 3: 1 too many for one new token");
  }
}

TEST(TextSequence, RowsOfTheEmbeddingBeyondTheTokenizerAreNeverDrawn) {
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

TEST(TextSequence, AConstraintSeesTheTokensAndDecides) {
  const ConstraintMaker upwards = constraint_of([](const std::vector<int32_t>& tokens, Tensor& logits) {
    logits.slice(0, 0, tokens.back() + 1).fill_(-std::numeric_limits<float>::infinity());
  });
  for (const double temperature : {0.0, 1.0}) {
    const auto said = write({{'a'}}, noise(257, 3),
                            {.max_new_tokens = 3, .sampling = {.temperature = temperature}, .constraints = {upwards}});
    EXPECT_TRUE(std::is_sorted(said[0].tokens.begin(), said[0].tokens.end()));
    EXPECT_GT(said[0].tokens[0], 'a');
  }
}

TEST(TextSequence, ThePenaltyCountsThePromptToo) {
  const auto model = [](const std::vector<int32_t>&) {
    Tensor logits = at::full({257}, -1.0f);
    logits['a'] = 2.0f;
    logits['b'] = 1.5f;
    logits['c'] = 1.2f;
    return logits;
  };
  EXPECT_EQ(write({{'a'}}, model, {.max_new_tokens = 3, .sampling = {.repetition_penalty = 2}})[0].text, "bca");
}

TEST(TextSequence, CallbacksEndOneRowOrAll) {
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

TEST(TextSequence, NaNLogitsAreAFault) {
  const auto model = [](const std::vector<int32_t>& tokens) {
    return at::full({257}, tokens.size() > 2 ? std::nanf("") : 1.0f);
  };
  for (const double temperature : {0.0, 1.0})
    EXPECT_THROW(write({{1}}, model, {.sampling = {.temperature = temperature}}), FaultError);
}

TEST(TextSequence, RefusesOptionsOutOfRange) {
  const std::vector<TextOptions> bad = {{.max_new_tokens = 0},
                                        {.max_new_tokens = -3},
                                        {.context = -1},
                                        {.stop = {"ok", ""}},
                                        {.stop = {"\xC3"}},
                                        {.stop = {"\x80z"}},
                                        {.stop = {"\xF5\x80\x80\x80"}},
                                        {.sampling = {.top_p = 2}},
                                        {.stop = {"\xC0\xAF"}},
                                        {.stop = {"\xE0\x80\xAF"}},
                                        {.stop = {"\xF0\x80\x80\xAF"}},
                                        {.stop = {"\xED\xA0\x80"}},
                                        {.stop = {"\xF4\x90\x80\x80"}}};
  for (const TextOptions& options : bad) EXPECT_THROW(check(options), UserError);
  EXPECT_THROW(say({'x'}, {.max_new_tokens = 0}), UserError);
  check(TextOptions{.stop = {"\xF0\x9F\x8D\x8E", "\xC3\xA9"}});
}

TEST(TextSequence, NoPromptsGiveNothing) { EXPECT_TRUE(write({}, noise(257, 1), {}).empty()); }

TEST(IdLoop, SequencesOfUnlikeOptionsJoinWhileOthersRunAndAreWhatTheyAreAlone) {
  const auto model = noise(257, 5);
  const std::vector<std::vector<int32_t>> prompts = {{1, 2}, {3}, {4, 5, 6}};
  const std::vector<SequenceOptions> options = {
      {.max_new_tokens = 12, .end_tokens = {}},
      {.sampling = {.temperature = 1, .seed = 9}, .stream = 7, .max_new_tokens = 5, .end_tokens = {}},
      {.sampling = {.repetition_penalty = 1.5}, .max_new_tokens = 9, .end_tokens = {}, .vocabulary = 200}};
  std::vector<std::vector<int32_t>> alone;
  for (size_t i = 0; i < prompts.size(); ++i) {
    ToySteps steps(model);
    Sequence one({.ids = prompts[i]}, options[i]);
    Sequence* const rows[] = {&one};
    run(steps, rows);
    alone.push_back(one.new_ids());
  }
  ToySteps steps(model);
  Sequence a({.ids = prompts[0]}, options[0]), b({.ids = prompts[1]}, options[1]), c({.ids = prompts[2]}, options[2]);
  Sequence *const first[] = {&a}, *const second[] = {&b}, *const third[] = {&c};
  IdLoop loop(steps);
  loop.join(first);
  loop.step();
  loop.step();
  loop.join(second);
  loop.step();
  loop.join(third);
  while (loop.step()) {
  }
  EXPECT_EQ(a.new_ids(), alone[0]);
  EXPECT_EQ(b.new_ids(), alone[1]);
  EXPECT_EQ(c.new_ids(), alone[2]);
  EXPECT_EQ(steps.rows(), 0u);
}

TEST(IdLoop, CodesAreDrawnWithoutATokenizer) {
  ToySteps steps(script(64, 1, {9, 8, 7, 63}));
  EXPECT_EQ(continue_greedily(steps, {{1}}, {.max_new_tokens = 10, .end_tokens = {63}}),
            (std::vector<std::vector<int32_t>>{{9, 8, 7}}));
}

}  // namespace
}  // namespace tessera::generate
