// The verb `chat` on piped turns: answers, commands, conversations that outgrow the context, turns that are refused.
#include "apps/chat.h"

#include <gmock/gmock.h>

#include <sstream>

#include "apps/text_testing.h"
#include "core/error.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ChatVerb : public ::testing::Test {
 protected:
  ChatVerb() {
    options.model = model.directory();
    options.compute.device = "cpu";
    options.sampling.max_new_tokens = 6;
    options.output.json = true;
  }
  /// What is printed for these lines of input.
  std::string printed(const std::string& input, int status = 0) const {
    const StandardInput turns(input);
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run_chat(options), status);
    return ::testing::internal::GetCapturedStdout();
  }
  std::vector<Json> answers(const std::string& input, int status = 0) const {
    std::vector<Json> all;
    std::istringstream lines(printed(input, status));
    for (std::string line; std::getline(lines, line);) all.push_back(parse_json(line, "output"));
    return all;
  }

  TinyTextModel model;
  ChatOptions options;
};

TEST_F(ChatVerb, AnswersEveryLineWithOneObject) {
  const auto said = answers("hello\n\n   \nand the cat?\r\n");
  ASSERT_EQ(said.size(), 2u);
  EXPECT_LE(said[0]["tokens"], 6);
  EXPECT_GT(said[1]["prompt_tokens"], said[0]["prompt_tokens"]);
  options.output.json = false;
  EXPECT_EQ(printed("hello\n"), said[0]["text"].get<std::string>() + "\n");
}

TEST_F(ChatVerb, AnswersAreDeterministicAndResetStartsOver) {
  const auto said = answers("hello\n/reset\nhello\n/exit\nnot read\n");
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0]["text"], said[1]["text"]);
  EXPECT_EQ(said[0]["prompt_tokens"], said[1]["prompt_tokens"]);
  EXPECT_EQ(answers("hello\n")[0]["text"], said[0]["text"]);
}

TEST_F(ChatVerb, ASystemTurnComesFirst) {
  const int64_t without = answers("hi\n")[0]["prompt_tokens"];
  options.system = "be a cat";
  EXPECT_GT(answers("hi\n")[0]["prompt_tokens"].get<int64_t>(), without + 1);
}

TEST_F(ChatVerb, AConversationOverTheContextDropsItsOldestTurns) {
  std::string input;
  for (int i = 0; i < 12; ++i) input += "tell me more " + std::to_string(i) + "\n";
  options.system = "cat";
  const auto said = answers(input);
  ASSERT_EQ(said.size(), 12u);
  for (const Json& answer : said) EXPECT_LE(answer["prompt_tokens"].get<int64_t>() + 6, 64);
}

TEST_F(ChatVerb, ATurnOverTheContextIsRefusedAloneAndReportsByHowMuch) {
  const auto said = answers("hello\n" + std::string(200, 'z') + "\nhello again\n", 2);
  ASSERT_EQ(said.size(), 3u);
  EXPECT_THAT(said[1]["error"].get<std::string>(), HasSubstr("the context is 64: "));
  EXPECT_TRUE(said[2].contains("text"));
  const auto undisturbed = answers("hello\nhello again\n");
  EXPECT_EQ(said[2]["prompt_tokens"], undisturbed[1]["prompt_tokens"]) << "what was said before it is still there";
  EXPECT_EQ(said[2]["text"], undisturbed[1]["text"]);
}

TEST_F(ChatVerb, ToolsAndArgumentsReachTheTemplate) {
  Json config = read_json_file(model.directory() / "tokenizer_config.json");
  config["chat_template"] = "{{ tools | tojson if tools }}{{ mood }}" + config["chat_template"].get<std::string>();
  write_file_atomically(model.directory() / "tokenizer_config.json", config.dump());
  const int64_t without = answers("hi\n")[0]["prompt_tokens"];
  options.template_arg = {"mood=cat"};
  const int64_t mood = answers("hi\n")[0]["prompt_tokens"];
  EXPECT_GT(mood, without);
  options.tools = (model.directory() / "tools.json").string();
  write_file_atomically(options.tools, "[{\"a\": 1}]");
  EXPECT_GT(answers("hi\n")[0]["prompt_tokens"].get<int64_t>(), mood);
}

TEST_F(ChatVerb, ToolsThatAreNoListOfObjectsAreRefusedBeforeTheModelIsLoaded) {
  options.tools = (model.directory() / "tools.json").string();
  options.model = "no such model";
  for (const char* content : {"no JSON", "{}", "[1]"}) {
    write_file_atomically(options.tools, content);
    EXPECT_THAT([&] { run_chat(options); }, ThrowsMessage<UserError>(HasSubstr("tools.json")));
  }
  options.tools = "";
  for (const char* argument : {"thinking", "=1", "messages=[]"}) {
    options.template_arg = {argument};
    EXPECT_THAT([&] { run_chat(options); }, ThrowsMessage<UserError>(HasSubstr("--template-arg")));
  }
}

TEST_F(ChatVerb, AModelWithoutATemplateCannotChat) {
  Json config = read_json_file(model.directory() / "tokenizer_config.json");
  config.erase("chat_template");
  write_file_atomically(model.directory() / "tokenizer_config.json", config.dump());
  EXPECT_THAT([&] { run_chat(options); }, ThrowsMessage<UserError>(HasSubstr("cannot chat")));
}

}  // namespace
}  // namespace tessera::apps
