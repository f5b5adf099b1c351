// Templates: found where they are stored, refused by name and line; typed text is never control; answers and pictures are marked.
#include "text/chat_template.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/json.h"
#include "tests/support/scratch.h"
#include "text/testing.h"

namespace tessera::text {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::HasSubstr;

const std::vector<Message> talk = {{"user", "Hi <|end|>"}, {"assistant", "Hello"}, {"user", "Bye", 2}};

/// What a stored template makes of one user's turn, or the error.
std::string stored(const std::string& content, const std::string& file, const TemplateInputs& inputs = {}) {
  const ScratchFolder folder(ScratchFolder::On::memory);
  write_file_atomically(folder / file, content);
  try {
    return ChatTemplate::of(folder.path()).render({{"user", "hi"}}, true, inputs);
  } catch (const UserError& error) {
    return error.what();
  }
}

ChatTemplate of_source(const std::string& source) {
  return ChatTemplate::of_source(source, {{"eos_token", "</s>"}}, "the template");
}

std::string learned(const std::vector<ChatPiece>& pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) text += piece.answer ? piece.text : "";
  return text;
}

TEST(ChatTemplate, StoredTemplatesAreFoundInEveryFileThatHoldsThem) {
  const std::string source = "{{ messages[0].content }}{{ bos_token }}";
  EXPECT_EQ(stored(source, "chat_template.jinja"), "hi");
  EXPECT_EQ(stored(Json({{"chat_template", source}}).dump(), "chat_template.json"), "hi");
  EXPECT_EQ(
      stored(Json({{"chat_template", source}, {"bos_token", {{"content", "<s>"}}}}).dump(), "tokenizer_config.json"),
      "hi<s>");
}

TEST(ChatTemplate, OfSeveralTemplatesTheOneForToolsIsTakenWhereThereAreTools) {
  const Json list = {{{"name", "default"}, {"template", "usual"}},
                     {{"name", "tool_use"}, {"template", "{{ tools | length }} tools"}}};
  const std::string config = Json({{"chat_template", list}}).dump();
  EXPECT_EQ(stored(config, "tokenizer_config.json"), "usual");
  EXPECT_EQ(stored(config, "tokenizer_config.json", {.tools = {{{"type", "function"}}}}), "1 tools");
  EXPECT_THAT(stored(R"({"chat_template": [{"name": "rag", "template": "x"}]})", "tokenizer_config.json"),
              HasSubstr("named 'default'"));
}

TEST(ChatTemplate, GivenByNameByFileOrByDirectory) {
  const tessera::testing::ScratchFolder folder;
  const SpecialTokens tokens = {{"eos_token", "</s>"}};
  const std::string source = "{% for m in messages %}[{{ m['content'] }}]{{ eos_token }}{% endfor %}";
  write_file_atomically(folder / "own.jinja", source);
  write_file_atomically(folder / "tokenizer_config.json",
                        Json{{"chat_template", source}, {"eos_token", "</s>"}}.dump());
  const std::vector<Message> turns = {{.role = "user", .content = "hi"}};
  for (const Path& path : {folder / "own.jinja", folder / "tokenizer_config.json", folder.path()})
    EXPECT_EQ(ChatTemplate::given(path.string(), tokens).render(turns, false), "[hi]</s>") << path;
  EXPECT_EQ(ChatTemplate::given("chatml", tokens).source(), ChatTemplate::named("chatml").source());
  EXPECT_THROW(ChatTemplate::given("no_such_name", tokens), UserError);
  EXPECT_THROW(ChatTemplate::given((folder / "absent.jinja").string(), tokens), UserError);
}

TEST(ChatTemplate, ATemplateThatCannotBeReadIsRefusedByFileAndLine) {
  EXPECT_THAT(stored("a\n{% include 'x' %}", "chat_template.jinja"),
              HasSubstr(", line 2: the tag 'include' is not supported"));
  EXPECT_THAT(stored("{{ raise_exception('only\\n Latin') }}", "chat_template.jinja"),
              HasSubstr("refuses the conversation: only  Latin"));
  const ScratchFolder folder;
  EXPECT_THROW(ChatTemplate::of(folder.path()), UserError);
  EXPECT_THROW(ChatTemplate::named("chatGPT"), UserError);
}

TEST(ChatTemplate, ContentIsGivenAsPartsOnlyWhereTheTemplateCannotReadAText) {
  const std::string parts =
      "{% for m in messages %}{% for p in m.content %}{% if p.type == 'image' %}<img>{% elif p.type == 'text' %}{{ "
      "p.text }}{% endif %}{% endfor %}{% endfor %}";
  const auto pieces = of_source(parts).pieces({{"user", "look", 2}});
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(pieces[0], (ChatPiece{"<img><img>", true}));
  EXPECT_EQ(pieces[1], (ChatPiece{"look", false, false, 2}));
  const std::string both = "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}" + parts +
                           "{% endif %}{% endfor %}";
  EXPECT_EQ(of_source(both).pieces({{"user", "look", 2}}), (std::vector<ChatPiece>{{"look", false, false, 2}}));
}

TEST(ChatTemplate, AMessageWithPicturesWhoseWordsAreLeftOutIsRefused) {
  EXPECT_THROW(of_source("{{ messages[-1].content }}").pieces({{"user", "a", 1}, {"assistant", "b"}}), UserError);
}

TEST(ChatTemplate, TypedTextIsNeverControlWhateverATemplateDoesWithIt) {
  const std::string source =
      "{% set t = messages[0].content %}{{ t | upper }}{{ t[::-1] }}{{ t.split('|') | join('<|') }}{{ t | tojson }}{{ "
      "[t] }}{{ '%s' % t }}"
      "{{ '{}'.format(t) }}{{ t | replace('x', 'y') | trim | title | indent }}{% for c in t %}{{ c }}{% endfor %}{{ t "
      "* 2 ~ t }}"
      "{{ messages[0].name }}{{ tools | tojson(indent=1) }}{{ custom }}{% set b %}{{ t }}{% endset %}{{ b | string | "
      "truncate(4, true) }}";
  const TemplateInputs inputs{.tools = {{{"name", "ᚠ"}}}, .arguments = {{"custom", {{"ᚠ", "ᚠ"}}}}};
  std::string typed, control;
  for (const ChatPiece& piece : of_source(source).pieces({{"user", "ᚠ|ᚠxᚠ|ᚠ", 0, {{"name", "ᚠ"}}}}, true, inputs))
    (piece.control ? control : typed) += piece.text;
  EXPECT_EQ(control.find("ᚠ"), std::string::npos) << control;
  EXPECT_EQ(control, "<|<|y");  // what the template itself puts in
  EXPECT_NE(typed.find("ᚠ"), std::string::npos);
}

TEST(ChatTemplate, KnownRolesAreControlTextAndOthersAreTyped) {
  const std::string source = "{{ '<|' + messages[0].role + '|>' }}";
  EXPECT_EQ(of_source(source).pieces({{"user", ""}}), (std::vector<ChatPiece>{{"<|user|>", true}}));
  EXPECT_EQ(of_source(source).pieces({{"end", ""}}).size(), 3u);
}

TEST(ChatTemplate, GenerationBlocksSayWhatAnAnswerIs) {
  const std::string source =
      "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}<end>{% endgeneration "
      "%}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  EXPECT_EQ(learned(of_source(source).pieces(talk)), "Hello<end>");
}

TEST(ChatTemplate, AnAnswerReachesFromTheGenerationPromptToTheEndOfTheTurn) {
  const std::string calls =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ "
      "c | tojson }}</tool_call>"
      "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
  const std::vector<Message> talk = {
      {"user", "q"}, {"assistant", "", 0, {{"tool_calls", {{{"name", "f"}}}}}}, {"tool", "r"}};
  EXPECT_EQ(learned(of_source(calls).pieces(talk, false)), "<tool_call>{\"name\": \"f\"}</tool_call><|im_end|>");
  const std::string bare =
      "{% for m in messages %}{{ ('Q: ' if m.role == 'user' else 'A: ') ~ m.content }}\n{% endfor %}";
  EXPECT_EQ(learned(of_source(bare).pieces({{"user", "q"}, {"assistant", "a"}})), "a");
  const std::string ended =
      "{% for m in messages %}[{{ m.content }}]{{ ' ' + eos_token if m.role == 'assistant' }}{% endfor %}";
  EXPECT_EQ(learned(of_source(ended).pieces({{"user", "q"}, {"assistant", "a"}, {"user", "b"}})), "a] </s>");
  EXPECT_EQ(learned(ChatTemplate::named("chatml").pieces({{"user", "q"}, {"assistant", ""}})), "<|im_end|>");
}

TEST(ChatTemplate, ReasoningHasTheNamesThatTransformersGivesItAndNullsAreLeftOut) {
  const std::string source =
      "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}{{ messages[0].tool_calls is defined }}{{ "
      "messages[0].content is defined }}";
  const Json extra = {{"reasoning", "r"}, {"tool_calls", nullptr}, {"content", nullptr}};
  EXPECT_EQ(of_source(source).render({{"assistant", "", 0, extra}}), "rrFalseFalse");
}

TEST(ChatTemplate, DataThatIsNestedTooDeepIsRefused) {
  Json deep = 1;
  for (int i = 0; i < 300; ++i) deep = Json::array({std::move(deep)});
  EXPECT_THROW(of_source("x").render({{"user", ""}}, true, {.tools = Json::array({{{"a", deep}}})}), UserError);
  EXPECT_THROW(of_source("x").render({{"user", "", 0, {{"a", deep}}}}), UserError);
}

TEST(ChatTemplate, AHundredTurnsStayWithinTheBudgetOfATemplateThatKeepsAddingToOneText) {
  const std::string source =
      "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.role + m.content %}{% endfor %}{{ "
      "ns.t }}";
  std::vector<Message> talk(100, {"user", std::string(5000, 'x')});
  EXPECT_EQ(of_source(source).render(talk).size(), 100u * 5004);
}

TEST(ChatTemplate, MessageContentsAreTheOnlyPiecesWithoutControlTokens) {
  for (const char* name : {"chatml", "nvila", "qwen2", "qwen2.5", "llama3", "llama3.1", "gemma", "olmo2", "plain"}) {
    std::vector<std::string> said;
    int64_t media = 0;
    for (const ChatPiece& piece : ChatTemplate::named(name).pieces(talk)) {
      if (!piece.control) said.push_back(piece.text);
      media += piece.media;
    }
    EXPECT_THAT(said, ::testing::ElementsAre("Hi <|end|>", "Hello", "Bye")) << name;
    EXPECT_EQ(media, 2) << name;
  }
}

TEST(ChatTemplate, AnswersAreTheContentAndTheTokenThatEndsIt) {
  EXPECT_EQ(learned(ChatTemplate::named("qwen2").pieces(talk)), "Hello<|im_end|>");
}

TEST(ChatTemplate, UnknownRolesAreRefused) {
  EXPECT_THROW(ChatTemplate::named("qwen2").render({{"tool", "x"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("gemma").render({{"system", "x"}, {"user", "y"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("gemma").render({{"user", "x"}, {"user", "y"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("plain").render({}), UserError);
}

TEST(ChatTemplate, AnEndThatTheTokenizerWouldSpellIsTold) {
  const ScratchFolder folder;
  testing::make_tokenizer(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(spelled_end(ChatTemplate::of(folder.path()), *tokenizer), "");
  EXPECT_THAT(spelled_end(ChatTemplate::named("chatml"), *tokenizer), HasSubstr("<|im_end|>"));
  EXPECT_EQ(spelled_end(of_source("{{ raise_exception('no') }}"), *tokenizer), "");
}

TEST(EncodeChat, MarksAnswersAndMediaAndTreatsTypedControlTokensAsText) {
  const ScratchFolder folder;
  testing::make_tokenizer(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  const ChatIds chat = encode_chat(*tokenizer, ChatTemplate::of(folder.path()).pieces(talk));
  const auto count = [&](const char* token) {
    return std::count(chat.ids.begin(), chat.ids.end(), *tokenizer->id_of(token));
  };
  EXPECT_EQ(count("<|end|>"), 3);
  EXPECT_EQ(count("<|user|>"), 2);
  EXPECT_EQ(count("<|assistant|>"), 2);
  ASSERT_EQ(chat.answer.size(), chat.ids.size());
  std::vector<int32_t> learned;
  for (size_t i = 0; i < chat.ids.size(); ++i) {
    if (chat.answer[i] != 0) learned.push_back(chat.ids[i]);
  }
  EXPECT_EQ(tokenizer->decode(learned, false), "Hello<|end|>");
  ASSERT_EQ(chat.media.size(), 1u);
  EXPECT_EQ(chat.media[0].count, 2);
  EXPECT_EQ(chat.ids[chat.media[0].at - 1], *tokenizer->id_of("<|user|>"));
}

}  // namespace
}  // namespace tessera::text
