// Templates: recognised by their markers, refused when unknown; typed text is never control; answers are marked.
#include "text/chat_template.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/json.h"
#include "tests/support/scratch.h"
#include "text/chat_jinja.h"
#include "text/testing.h"

namespace tessera::text {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::HasSubstr;

const std::vector<Message> talk = {{"user", "Hi <|end|>"}, {"assistant", "Hello"}, {"user", "Bye", 2}};

std::string name_of(const std::string& jinja, const std::string& file = "tokenizer_config.json") {
  const ScratchFolder folder(ScratchFolder::On::memory);
  write_file_atomically(folder / file, file.ends_with(".jinja") ? jinja : Json({{"chat_template", jinja}}).dump());
  try {
    return ChatTemplate::of(folder.path()).name();
  } catch (const UserError& error) {
    return error.what();
  }
}

TEST(ChatTemplate, TheFamilyIsRecognisedByTheTemplatesMarkers) {
  const std::string chatml = "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'}}";
  EXPECT_EQ(name_of(chatml), "chatml");
  const auto with_system = [&](const std::string& words) {
    return "{{'<|im_start|>system\\n" + words + "<|im_end|>\\n'}}" + chatml;
  };
  EXPECT_EQ(name_of(with_system("You are a helpful assistant.")), "qwen2");
  EXPECT_EQ(name_of(with_system("You are a helpful assistant")), "nvila");
  EXPECT_EQ(name_of(with_system("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")), "qwen2.5");
  EXPECT_EQ(name_of("<|start_header_id|>x<|end_header_id|>y<|eot_id|>"), "llama3");
  EXPECT_EQ(
      name_of("<|start_header_id|>x<|end_header_id|>y<|eot_id|> Cutting Knowledge Date: December 2023 26 Jul 2024"),
      "llama3.1");
  EXPECT_EQ(name_of("<start_of_turn><end_of_turn> raise_exception('System role not supported')"), "gemma");
  EXPECT_EQ(name_of("{{ bos_token }}'<|user|>\\n' + message['content'] + '\\n' eos_token + '\\n'"), "olmo2");
  EXPECT_EQ(name_of(std::string(plain_jinja)), "plain");
  EXPECT_EQ(name_of(chatml, "chat_template.jinja"), "chatml");
  EXPECT_EQ(name_of(chatml, "chat_template.json"), "chatml");
}

TEST(ChatTemplate, AnUnknownTemplateIsRefusedWithTheKnownOnes) {
  EXPECT_THAT(name_of("[INST] {{ message }} [/INST]"), HasSubstr("known ones; give one by name: chatml, nvila, qwen2"));
  EXPECT_THAT(name_of("{{'<|im_start|>system\\nYou are a pirate.<|im_end|>'}}"), HasSubstr("not among the known"));
  EXPECT_THAT(name_of("<|im_start|><|im_end|>You are a helpful assistant.<think>"), HasSubstr("not among the known"));
  const ScratchFolder folder;
  EXPECT_THROW(ChatTemplate::of(folder.path()), UserError);
  EXPECT_THROW(ChatTemplate::named("chatGPT"), UserError);
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
  std::string learned;
  for (const ChatPiece& piece : ChatTemplate::named("qwen2").pieces(talk)) learned += piece.answer ? piece.text : "";
  EXPECT_EQ(learned, "Hello<|im_end|>");
}

TEST(ChatTemplate, UnknownRolesAreRefused) {
  EXPECT_THROW(ChatTemplate::named("qwen2").render({{"tool", "x"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("gemma").render({{"system", "x"}, {"user", "y"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("gemma").render({{"user", "x"}, {"user", "y"}}), UserError);
  EXPECT_THROW(ChatTemplate::named("plain").render({}), UserError);
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
