// Laws of writing with decoder models, in every family's shape: batches, chunks and caches change nothing.
#include "models/lm/text/writes.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "core/error.h"
#include "generate/testing.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/testing.h"

namespace tessera::lm {
namespace {

using generate::Continuation;
using generate::StopReason;
using generate::TextOptions;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Ids 0..39 are letters and two special tokens, so that tiny_config()'s embedding has a row for each.
class LetterTokenizer : public text::Tokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text, const text::EncodeOptions& options = {}) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool special = options.parse_special && text[i] == '<' && i + 2 < text.size() && text[i + 2] == '>';
      if (special && (text[i + 1] == 's' || text[i + 1] == 'e')) {
        ids.push_back(text[i + 1] == 's' ? 36 : 37);
        i += 2;
      } else {
        ids.push_back(static_cast<int32_t>(kLetters.find(text[i]) % 36));
      }
    }
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids, bool skip_special = true) const override {
    std::string text;
    for (const int32_t id : ids) text += is_special(id) && skip_special ? "" : token_of(id);
    return text;
  }
  int64_t vocabulary() const override { return 38; }
  std::optional<int32_t> id_of(std::string_view token) const override {
    for (int32_t id = 0; id < 38; ++id) {
      if (token_of(id) == token) return id;
    }
    return std::nullopt;
  }
  std::string token_of(int32_t id) const override {
    if (id < 36) return std::string(1, kLetters[static_cast<size_t>(id)]);
    return id == 36 ? "<s>" : "<e>";
  }
  bool is_special(int32_t id) const override { return id >= 36; }
  std::optional<int32_t> begin_token() const override { return 36; }
  std::optional<int32_t> end_token() const override { return std::nullopt; }
  std::optional<int32_t> pad_token() const override { return std::nullopt; }

 private:
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz .,!?<>|\n0";
};

LmWriter writer(const LmConfig& config, DecodeOptions decode = {}, GenerationDefaults defaults = {}) {
  return LmWriter({.model = tiny_lm(config),
                   .tokenizer = std::make_unique<LetterTokenizer>(),
                   .no_chat = "no template",
                   .defaults = std::move(defaults),
                   .decode = decode});
}

/// The second way to go on: the whole sequence through the model for every token.
std::vector<int32_t> uncached(const DecoderLm& model, std::vector<int32_t> tokens, int64_t count) {
  const at::NoGradGuard no_grad;
  const size_t prompt = tokens.size();
  while (std::ssize(tokens) < static_cast<int64_t>(prompt) + count) {
    const std::vector<int64_t> wide(tokens.begin(), tokens.end());
    const Tensor logits = full_logits(model, at::tensor(wide).unsqueeze(0))[0][-1];
    tokens.push_back(static_cast<int32_t>(logits.slice(0, 0, 38).argmax().item<int64_t>()));
  }
  return {tokens.begin() + static_cast<std::ptrdiff_t>(prompt), tokens.end()};
}

const std::vector<std::string> kPrompts = {"once upon a time", "a", "the cat sat on", "zz top"};

class LmWriting : public ::testing::TestWithParam<std::string> {
 protected:
  const LmConfig config = tiny_config(GetParam());
};

TEST_P(LmWriting, CachedDecodingEqualsWholeSequencesForEveryToken) {
  const LmWriter lm = writer(config, {.block = 4, .chunk = 16});
  const Continuation said = lm.write({kPrompts[0]}, {.max_new_tokens = 12})[0].continuation;
  EXPECT_EQ(said.tokens, uncached(lm.model(), lm.tokenizer().encode(kPrompts[0]), 12));
  EXPECT_EQ(said.text, lm.tokenizer().decode(said.tokens));
}

TEST_P(LmWriting, ABatchOfPromptsOfAnyLengthsEqualsEachAlone) {
  const LmWriter lm = writer(config);
  for (const generate::TokenSampling& sampling :
       {generate::TokenSampling{}, generate::TokenSampling{.temperature = 1, .top_k = 9, .seed = 3}}) {
    TextOptions options{.max_new_tokens = 12, .sampling = sampling, .end_tokens = {4, 11}};
    const std::vector<Written> together = lm.write(kPrompts, options);
    for (size_t i = 0; i < kPrompts.size(); ++i) {
      options.rows = {i};
      const Written alone = lm.write({kPrompts[i]}, options)[0];
      EXPECT_EQ(together[i].continuation.tokens, alone.continuation.tokens) << kPrompts[i];
      EXPECT_EQ(together[i].prompt_tokens, std::ssize(kPrompts[i]));
    }
  }
}

TEST_P(LmWriting, ScoresAreLogProbabilitiesOfTheWholePass) {
  const at::NoGradGuard no_grad;
  const LmWriter lm = writer(config);
  const auto& tokenizer = lm.tokenizer();
  std::vector<Writes::ScoreRequest> requests;
  for (const std::string& prompt : kPrompts)
    requests.push_back({tokenizer.encode(prompt), tokenizer.encode(" and so")});
  requests.push_back({{}, tokenizer.encode("alone")}), requests.push_back({tokenizer.encode("nothing"), {}});
  const auto scored = lm.score(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    std::vector<int64_t> tokens(requests[i].prompt.begin(), requests[i].prompt.end());
    if (tokens.empty()) tokens.push_back(36);
    const size_t begin = tokens.size();
    tokens.insert(tokens.end(), requests[i].continuation.begin(), requests[i].continuation.end());
    const Tensor logits = full_logits(lm.model(), at::tensor(tokens).unsqueeze(0))[0].log_softmax(-1);
    ASSERT_EQ(scored[i].size(), requests[i].continuation.size());
    for (size_t t = 0; t < scored[i].size(); ++t) {
      const Tensor row = logits[static_cast<int64_t>(begin + t) - 1];
      EXPECT_EQ(scored[i][t].id, requests[i].continuation[t]);
      EXPECT_NEAR(scored[i][t].log_probability, row[scored[i][t].id].item<double>(), 1e-4);
      EXPECT_EQ(scored[i][t].greedy, row.argmax().item<int64_t>() == scored[i][t].id);
    }
  }
}

TEST_P(LmWriting, ScoresHaveTheSameBitsAloneAndInACrowd) {
  const at::NoGradGuard no_grad;
  LmConfig longer = config;
  longer.context = 512;
  const LmWriter lm = writer(longer);
  std::vector<int32_t> shared;
  for (int i = 0; i < 150; ++i) shared.push_back((i * 7 + i / 9) % 36);
  std::vector<Writes::ScoreRequest> requests;
  for (int32_t question = 0; question < 5; ++question) {
    std::vector<int32_t> prompt = shared;
    for (int32_t i = 0; i < 9 + question * 8; ++i) prompt.push_back((question * 5 + i) % 36);
    for (int32_t choice = 0; choice < 3; ++choice)
      requests.push_back({prompt, std::vector<int32_t>(static_cast<size_t>(2 + choice * 20), choice + question)});
  }
  int64_t together = 0, apart = 0;
  const auto all = lm.score(requests, &together);
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto alone = lm.score({requests[i]}, &apart);
    ASSERT_EQ(alone[0].size(), all[i].size());
    for (size_t t = 0; t < all[i].size(); ++t)
      EXPECT_EQ(alone[0][t].log_probability, all[i][t].log_probability) << "request " << i << " token " << t;
  }
  EXPECT_LT(together * 3, apart) << "what is shared is read once";
}

INSTANTIATE_TEST_SUITE_P(All, LmWriting, ::testing::ValuesIn(tiny_families()),
                         [](const auto& info) { return info.param; });

TEST(LmWriter, ManyPromptsAreWrittenInPartsThatChangeNothing) {
  const LmWriter together = writer(tiny_config());
  const LmWriter parts({.model = tiny_lm(tiny_config()),
                        .tokenizer = std::make_unique<LetterTokenizer>(),
                        .batch_tokens = 20,
                        .batch_rows = 2});
  const TextOptions options{.max_new_tokens = 8, .sampling = {.temperature = 1, .seed = 2}};
  const auto a = together.write(kPrompts, options), b = parts.write(kPrompts, options);
  for (size_t i = 0; i < kPrompts.size(); ++i) EXPECT_EQ(a[i].continuation.tokens, b[i].continuation.tokens);
}

TEST(LmWriter, EmbeddingRowsWithoutATokenAreNeverDrawn) {
  const LmWriter lm = writer(tiny_config());
  for (const Written& written : lm.write(kPrompts, {.max_new_tokens = 40, .sampling = {.temperature = 50}})) {
    for (const int32_t id : written.continuation.tokens) EXPECT_LT(id, 38);
  }
}

TEST(LmWriter, AStopTextThatIsASpecialTokenEndsTheTextBeforeThatToken) {
  const LmWriter lm = writer(tiny_config());
  TextOptions options{.max_new_tokens = 60, .sampling = {.temperature = 50, .seed = 4}};
  const std::vector<int32_t> free = lm.write({"b"}, options)[0].continuation.tokens;
  const auto special = std::find(free.begin(), free.end(), *lm.tokenizer().id_of("<e>"));
  ASSERT_NE(special, free.end()) << "choose another seed: the special token must be drawn";
  options.stop = {"<e>"};
  const Continuation said = lm.write({"b"}, options)[0].continuation;
  EXPECT_EQ(said.tokens, std::vector<int32_t>(free.begin(), special));
  EXPECT_EQ(said.reason, StopReason::end_token);
}

TEST(LmWriter, TheModelsOwnEndTokensEndTheText) {
  const LmWriter plain = writer(tiny_config());
  const std::vector<int32_t> free = plain.write({"b"}, {.max_new_tokens = 5})[0].continuation.tokens;
  const LmWriter ending = writer(tiny_config(), {}, {.end_tokens = {free[0]}});
  const Continuation said = ending.write({"b"}, {.max_new_tokens = 5})[0].continuation;
  EXPECT_TRUE(said.tokens.empty());
  EXPECT_EQ(said.reason, StopReason::end_token);
}

TEST(LmWriter, SaysByHowMuchAPromptIsOverTheContext) {
  const LmWriter lm = writer(tiny_config());
  const std::string prompt(70, 'a');
  EXPECT_THAT([&] { lm.write({prompt}, {}); },
              ThrowsMessage<UserError>(HasSubstr("the prompt has 70 tokens, the context is 64: 7 too many")));
  EXPECT_THAT([&] { lm.write({"a", prompt}, {}); }, ThrowsMessage<UserError>(HasSubstr("prompt 2 has 70 tokens")));
  EXPECT_THAT(
      [&] {
        lm.score({{{1}, std::vector<int32_t>(70, 1)}});
      },
      ThrowsMessage<UserError>(HasSubstr("have 71 tokens, the context is 64: 7 too many")));
  EXPECT_EQ(lm.write({std::string(60, 'a')}, {})[0].continuation.tokens.size(), 4u);
}

TEST(LmWriter, RefusesEmptyPromptsAndIdsOutOfRange) {
  const LmWriter lm = writer(tiny_config());
  EXPECT_THAT([&] { lm.write({""}, {}); }, ThrowsMessage<UserError>(HasSubstr("the prompt is empty")));
  EXPECT_THAT([&] { lm.score({{{1}, {40}}}); }, ThrowsMessage<UserError>(HasSubstr("(id 40)")));
  EXPECT_THAT([&] { lm.chat({{.role = "user", .content = "hi"}}, {}); },
              ThrowsMessage<UserError>(HasSubstr("cannot chat: no template")));
}

/// A letter tokenizer with an added token, "<t>", that has the first id beyond the embedding.
class LetterTokenizerWithTool final : public LetterTokenizer {
 public:
  std::vector<int32_t> encode(std::string_view text, const text::EncodeOptions& options = {}) const override {
    if (text == "a<t>") return {0, 40};
    return LetterTokenizer::encode(text, options);
  }
  int64_t vocabulary() const override { return 41; }
  std::string token_of(int32_t id) const override {
    return id < 38 ? LetterTokenizer::token_of(id) : id == 40 ? "<t>" : "";
  }
};

TEST(LmWriter, AnAddedTokenWithoutARowIsRefusedWhenItIsUsedAndNeverDrawn) {
  const LmWriter model({.model = tiny_lm(tiny_config()), .tokenizer = std::make_unique<LetterTokenizerWithTool>()});
  EXPECT_NO_THROW(require_rows_for(model.model().config, model.tokenizer(), "dir"));
  EXPECT_THAT([&] { model.write({"a<t>"}, {}); },
              ThrowsMessage<UserError>(HasSubstr("the prompt has the token '<t>' (id 40), which has no row")));
  EXPECT_THAT([&] { model.score({{.prompt = {1}, .continuation = {40}}}); },
              ThrowsMessage<UserError>(HasSubstr("'<t>' (id 40)")));
  TextOptions options{.max_new_tokens = 30};
  options.sampling.temperature = 5;
  const std::vector<Written> written = model.write({"ab"}, options);
  for (const int32_t id : written.front().continuation.tokens) EXPECT_LT(id, 40);
}

TEST(LmWriter, ATokenizerWhoseOwnVocabularyHasMoreTokensThanTheEmbeddingBelongsToAnotherModel) {
  LmConfig small = tiny_config();
  small.vocabulary = 20;
  EXPECT_THAT([&] { require_rows_for(small, LetterTokenizer(), "dir"); },
              ThrowsMessage<UserError>(HasSubstr("38 ids, the embedding only 20 rows")));
}

TEST(LmWriter, NaNWeightsAreAFaultNotAnEndlessText) {
  DecoderLm model = tiny_lm(tiny_config());
  model.layers[0].mlp.up_proj.weight.fill_(std::nanf(""));
  const LmWriter lm({.model = model, .tokenizer = std::make_unique<LetterTokenizer>()});
  EXPECT_THAT([&] { lm.write({"a"}, {}); }, ThrowsMessage<FaultError>(HasSubstr("the largest logit is nan")));
}

/// A writer that can chat: the plain template over letters.
LmWriter chatter(const LmConfig& config) {
  return LmWriter({.model = tiny_lm(config),
                   .tokenizer = std::make_unique<LetterTokenizer>(),
                   .chat = text::ChatTemplate::named("plain")});
}

TEST(LmWriter, AConversationGoesOnFromItsRememberedTurnsAsIfItWereReadAnew) {
  LmConfig config = tiny_config();
  config.context = 512;
  const LmWriter going_on = chatter(config);
  const TextOptions options{.max_new_tokens = 9};
  std::vector<text::Message> messages = {{.role = "user", .content = "hello"}};
  int64_t before = 0;  // tokens of the prompt before
  for (const char* turn : {"and then?", "why", "so"}) {
    const Written remembered = going_on.chat(messages, options), anew = chatter(config).chat(messages, options);
    EXPECT_EQ(remembered.continuation.tokens, anew.continuation.tokens);
    EXPECT_EQ(anew.remembered_tokens, 0);
    EXPECT_GE(remembered.remembered_tokens, before);
    before = anew.prompt_tokens;
    messages.push_back({.role = "assistant", .content = remembered.continuation.text});
    messages.push_back({.role = "user", .content = turn});
  }
  messages = {{.role = "user", .content = "hello"}};  // shorter than what is remembered, and the same
  EXPECT_EQ(going_on.chat(messages, options).continuation.tokens,
            chatter(config).chat(messages, options).continuation.tokens);
  EXPECT_EQ(going_on.chat(messages, options).remembered_tokens, std::ssize(going_on.chat_prompt(messages)) - 1);
}

TEST(LmWriter, AConversationEndsWithATurnThatAsksForAnAnswer) {
  const LmWriter lm = chatter(tiny_config());
  for (const char* role : {"user", "tool", "system"})
    EXPECT_FALSE(lm.chat_prompt({{.role = role, .content = "hi"}}).empty()) << role;
  const auto refused = [&](const std::vector<text::Message>& messages, const std::string& got) {
    EXPECT_THAT([&] { lm.chat_prompt(messages); },
                ThrowsMessage<UserError>(HasSubstr("a conversation must end with a user's turn, a tool's or the "
                                                   "system's; got " +
                                                   got)));
  };
  refused({}, "no turns");
  for (const char* role : {"assistant", "model", "narrator"})
    refused({{.role = "user", .content = "a"}, {.role = role, .content = "b"}}, fmt::format("one of '{}'", role));
}

TEST(LmWriter, StoppingLeavesTheTextsThatWereNotBegunEmpty) {
  const LmWriter lm(
      {.model = tiny_lm(tiny_config()), .tokenizer = std::make_unique<LetterTokenizer>(), .batch_rows = 1});
  const auto written =
      lm.write({"aa", "b"}, {.max_new_tokens = 9, .on_step = [](int64_t tokens) { return tokens < 3; }});
  EXPECT_EQ(written[0].continuation.tokens.size(), 3u);
  EXPECT_TRUE(written[1].continuation.tokens.empty());
  EXPECT_EQ(written[1].continuation.reason, StopReason::caller);
}

}  // namespace
}  // namespace tessera::lm
