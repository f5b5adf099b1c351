// Public chat templates, and hundreds of expressions, are rendered as transformers renders them (tools/golden/template_twin.py).
#include <gmock/gmock.h>

#include "core/error.h"
#include "core/json.h"
#include "text/chat_template.h"
#include "text/unicode.h"

namespace tessera::golden {
namespace {

std::string fnv(const std::string& text) {
  uint64_t value = 0xCBF29CE484222325ull;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return fmt::format("{:016x}", value);
}

const Json& fixture() {
  static const Json tree = read_json_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text/templates.json");
  return tree;
}

text::ChatTemplate template_of(const std::string& source, const std::string& name) {
  text::SpecialTokens tokens;
  for (const auto& [key, token] : fixture().at("tokens").items()) tokens.emplace_back(key, token.get<std::string>());
  return text::ChatTemplate::of_source(source, tokens, name);
}

std::vector<text::Message> messages_of(const Json& list) {
  std::vector<text::Message> messages;
  for (const Json& one : list) {
    text::Message& message = messages.emplace_back();
    message.role = one.at("role").get<std::string>();
    message.content = one.at("content").get<std::string>();
    message.extra = one;
    message.extra.erase("content");
  }
  return messages;
}

text::TemplateInputs inputs_of(const Json& conversation) {
  text::TemplateInputs inputs;
  inputs.tools = conversation.at("tools");
  inputs.arguments = conversation.at("arguments");
  inputs.now = fixture().at("now").get<int64_t>();
  return inputs;
}

TEST(TemplateTwin, EveryConversationIsRenderedOrRefusedAsByTransformers) {
  ASSERT_GE(fixture().at("templates").size(), 40u);
  ASSERT_GE(fixture().at("cases").size(), 12u);
  for (const auto& [name, one] : fixture().at("templates").items()) {
    const text::ChatTemplate chat = template_of(one.at("source").get<std::string>(), name);
    size_t next = 0;
    for (const Json& conversation : fixture().at("cases")) {
      for (const bool open : {true, false}) {
        const Json& want = one.at("texts").at(next++);
        std::string got;
        try {
          got = chat.render(messages_of(conversation.at("messages")), open, inputs_of(conversation));
        } catch (const UserError& error) {
          EXPECT_TRUE(want.is_null()) << name << " case " << next << ": " << error.what();
          continue;
        }
        EXPECT_EQ(Json(fnv(got)), want) << name << " case " << next << "\n" << got;
      }
    }
  }
}

TEST(TemplateTwin, ExpressionsAndStatementsMeanWhatTheyMeanToJinja) {
  ASSERT_GE(fixture().at("snippets").size(), 150u);
  for (const Json& one : fixture().at("snippets")) {
    const std::string source = one[0].get<std::string>();
    std::string got;
    try {
      text::TemplateInputs inputs;
      inputs.now = fixture().at("now").get<int64_t>();
      got = template_of(source, "snippet").render({{"user", "hello"}, {"assistant", "wor'ld"}}, true, inputs);
    } catch (const UserError& error) {
      EXPECT_TRUE(one[1].is_null()) << source << ": " << error.what();
      continue;
    }
    EXPECT_EQ(Json(got), one[1]) << source;
  }
}

/// Every letter of a text in another script: runes that no template holds.
std::string in_runes(const std::string& text, const std::string& rune) {
  std::string runes;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) runes += rune;
    else runes += c;
  }
  return runes;
}

TEST(TemplateTwin, WhatPeopleTypedIsNeverControlTextAndOnlyAssistantsAreLearned) {
  const std::string asked = "\xE1\x9A\xA0", answered = "\xE1\x9B\x9E";  // of the user and of the assistant
  size_t learned = 0;
  for (const auto& [name, one] : fixture().at("templates").items()) {
    const text::ChatTemplate chat = template_of(one.at("source").get<std::string>(), name);
    for (const Json& conversation : fixture().at("cases")) {
      std::vector<text::Message> messages = messages_of(conversation.at("messages"));
      for (text::Message& message : messages) {
        message.content = in_runes(message.content, message.role == "assistant" ? answered : asked);
        if (message.extra.contains("reasoning_content")) message.extra["reasoning_content"] = answered;
      }
      std::vector<text::ChatPiece> pieces;
      try {
        pieces = chat.pieces(messages, false, inputs_of(conversation));
      } catch (const UserError&) {
        continue;
      }
      for (const text::ChatPiece& piece : pieces) {
        const bool question = piece.text.find(asked) != std::string::npos;
        const bool answer = piece.text.find(answered) != std::string::npos;
        EXPECT_FALSE(piece.control && (question || answer)) << name << ": " << piece.text;
        EXPECT_FALSE(piece.answer && question) << name << ": " << piece.text;
        EXPECT_FALSE(answer && !piece.answer) << name << ": " << piece.text;
        learned += answer ? 1 : 0;
      }
    }
  }
  EXPECT_GT(learned, 500u);
}

}  // namespace
}  // namespace tessera::golden
