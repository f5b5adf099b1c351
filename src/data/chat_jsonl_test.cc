// Conversations: three ways to write a row mean the same, rows come once a pass, and what is wrong is named by its line.
#include "data/chat_jsonl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "media/png.h"
#include "tests/support/scratch.h"

namespace tessera::data {
namespace {

using ::testing::HasSubstr;

std::string refusal(std::string_view line) {
  try {
    parse_chat_row(line, "a.jsonl line 3");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ChatRow, ThreeNotationsOfARowMeanTheSame) {
  const ChatRow want{.messages = {{.role = "system", .content = "Be brief."},
                                  {.role = "user", .content = "What is this?", .media = 1},
                                  {.role = "assistant", .content = "A cat."}},
                     .media = {{.path = "cat.png"}}};
  for (
      const char* line :
      {R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is this?"},{"role":"assistant","content":"A cat."}],"images":["cat.png"]})",
       R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"image","image":"cat.png"},{"type":"text","text":"What is this?"}]},{"role":"assistant","content":[{"type":"text","text":"A cat."}]}]})",
       R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"image_url","image_url":{"url":"cat.png"}},{"type":"text","text":"What is this?"}]},{"role":"assistant","content":"A cat."}]})",
       R"({"id":7,"image":"cat.png","conversations":[{"from":"system","value":"Be brief."},{"from":"human","value":"<image>\nWhat is this?"},{"from":"gpt","value":"A cat."}]})"}) {
    const ChatRow row = parse_chat_row(line, "row");
    EXPECT_EQ(row.messages, want.messages) << line;
    EXPECT_EQ(row.media, want.media) << line;
  }
}

TEST(ChatRow, RowsOfOneQuestionAreConversations) {
  const std::vector<text::Message> want = {{"user", "2+2?"}, {"assistant", "4"}};
  for (const char* line :
       {R"({"prompt":"2+2?","completion":"4"})",
        R"({"prompt":[{"role":"user","content":"2+2?"}],"completion":[{"role":"assistant","content":"4"}],"id":3})",
        R"({"prompt":{"role":"user","content":"2+2?"},"completion":"4"})",
        R"({"prompt":[{"from":"human","value":"2+2?"}],"completion":[{"from":"gpt","value":"4"}]})",
        R"({"instruction":"2+2?","input":"","output":"4"})", R"({"instruction":"2+2?","output":"4","history":[]})"})
    EXPECT_EQ(parse_chat_row(line, "row").messages, want) << line;
  EXPECT_EQ(parse_chat_row(R"({"instruction":"Add.","input":"2+2","output":"4","system":"S"})", "row").messages,
            (std::vector<text::Message>{{"system", "S"}, {"user", "Add.\n\n2+2"}, {"assistant", "4"}}));
  EXPECT_EQ(parse_chat_row(R"({"instruction":"c","output":"d","history":[["a","b"]]})", "row").messages,
            (std::vector<text::Message>{{"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}}));
  const ChatRow seen = parse_chat_row(R"({"image":"a.png","prompt":"What?","completion":"A cat."})", "row");
  EXPECT_EQ(seen.media, (std::vector<ChatMedia>{{"a.png"}}));
  EXPECT_EQ(seen.messages[0].media, 1);
  EXPECT_EQ(
      parse_chat_row(
          R"({"prompt":"x","completion":"y","messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]})",
          "row")
          .messages,
      want)
      << "turns of its own come first";
}

TEST(ChatRow, RowsOfOneQuestionThatLackSomethingAreRefused) {
  EXPECT_THAT(refusal(R"({"completion":"4"})"), HasSubstr("'prompt' is missing, want a text or a list of turns"));
  EXPECT_THAT(refusal(R"({"prompt":[],"completion":"4"})"), HasSubstr("'prompt' is [], want a text"));
  EXPECT_THAT(refusal(R"({"instruction":"a"})"), HasSubstr("'output' is missing, want a text"));
  EXPECT_THAT(refusal(R"({"instruction":"a","input":3,"output":"b"})"), HasSubstr("'input' is 3, want a text"));
  EXPECT_THAT(refusal(R"({"instruction":"a","output":"b","history":[["q"]]})"), HasSubstr("want a list of pairs"));
  EXPECT_THAT(refusal(R"({"prompt":"a","completion":"b","label":false})"), HasSubstr("'label' says whether"));
  EXPECT_THAT(refusal(R"({"instruction":"a","chosen":"b","rejected":"c"})"), HasSubstr("there is no prompt"));
  EXPECT_THAT(refusal(R"({"prompt":"a","completion":""})"), HasSubstr("no assistant's turn has words to learn"));
}

TEST(ChatRow, PicturesAndClipsAreCountedInTheOrderOfTheTurns) {
  const ChatRow row = parse_chat_row(
      R"({"images":["a.png","b.png"],"video":"c.mp4","messages":[{"role":"user","content":"<image><video>one"},{"role":"assistant","content":"1"},{"role":"user","content":"two <image>"},{"role":"assistant","content":"2"}]})",
      "row");
  EXPECT_EQ(row.media, (std::vector<ChatMedia>{{"a.png"}, {"c.mp4", true}, {"b.png"}}));
  EXPECT_EQ(row.messages[0], (text::Message{"user", "one", 2}));
  EXPECT_EQ(row.messages[2], (text::Message{"user", "two ", 1}));
}

TEST(ChatRow, MediaTokensWithoutMediaArePlainText) {
  const ChatRow row = parse_chat_row(
      R"({"messages":[{"role":"user","content":"what does <image> mean?"},{"role":"assistant","content":"a tag"}]})",
      "row");
  EXPECT_EQ(row.messages[0], (text::Message{"user", "what does <image> mean?", 0}));
}

TEST(ChatRow, CallsOfToolsAndTheirAnswersAreTurns) {
  const std::string turns = R"("messages":[{"role":"user","content":"weather?"},
    {"role":"assistant","content":null,"tool_calls":[{"function":{"name":"weather"}}]},
    {"role":"tool","content":"rain","name":"weather","tool_call_id":"1"},{"role":"assistant","content":"It rains."}])";
  const std::string tools = R"([{"function":{"name":"weather"},"type":"function"}])";
  const ChatRow row = parse_chat_row("{" + turns + ",\"tools\":" + tools + "}", "row");
  ASSERT_EQ(row.messages.size(), 4u);
  EXPECT_EQ(row.messages[1].content, "");
  EXPECT_EQ(row.messages[1].extra["tool_calls"][0]["function"]["name"], "weather");
  EXPECT_EQ(row.messages[2].role, "tool");
  EXPECT_EQ(row.messages[2].extra, (Json{{"tool_call_id", "1"}, {"name", "weather"}}));
  EXPECT_EQ(row.tools[0]["type"], "function");
  EXPECT_EQ(parse_chat_row("{" + turns + ",\"tools\":" + Json(tools).dump() + "}", "row").tools, row.tools)
      << "as a text";
}

TEST(ChatRow, NotationsOfAPairMeanTheSame) {
  const std::vector<text::Message> better = {{"user", "2+2?"}, {"assistant", "4"}};
  const std::vector<text::Message> worse = {{"user", "2+2?"}, {"assistant", "5"}};
  for (
      const char* line :
      {R"({"prompt":"2+2?","chosen":"4","rejected":"5"})",
       R"({"prompt":[{"role":"user","content":"2+2?"}],"chosen":[{"role":"assistant","content":"4"}],"rejected":{"role":"assistant","content":"5"}})",
       R"({"chosen":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}],"rejected":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"5"}],"score":3})",
       R"({"chosen":[{"from":"human","value":"2+2?"},{"from":"gpt","value":"4"}],"rejected":[{"from":"human","value":"2+2?"},{"from":"gpt","value":"5"}]})",
       R"({"prompt":"2+2?","a":"5","b":"4","winner":"b"})"}) {
    const ChatRow row = parse_chat_row(line, "row");
    EXPECT_EQ(row.messages, better) << line;
    EXPECT_EQ(row.rejected, worse) << line;
  }
  EXPECT_EQ(parse_chat_row(R"({"system":"S","prompt":"p","chosen":"4","rejected":"5"})", "row").rejected[0],
            (text::Message{"system", "S"}));
  EXPECT_TRUE(parse_chat_row(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})", "r")
                  .rejected.empty());
}

TEST(ChatRow, APairOfEqualAnswersIsReadForTheObjectiveToLeaveOut) {
  const ChatRow row = parse_chat_row(R"({"prompt":"p","chosen":"a","rejected":"a"})", "row");
  EXPECT_EQ(row.messages, row.rejected);
  EXPECT_EQ(row.messages, (std::vector<text::Message>{{"user", "p"}, {"assistant", "a"}}));
}

TEST(ChatRow, PairsThatPreferNothingAreRefused) {
  EXPECT_THAT(refusal(R"({"prompt":"p","chosen":"a"})"), HasSubstr("'rejected' is missing"));
  EXPECT_THAT(refusal(R"({"prompt":"p","chosen":3,"rejected":"a"})"), HasSubstr("'chosen' is 3, want a text"));
  EXPECT_THAT(refusal(R"({"chosen":"a","rejected":"b"})"), HasSubstr("there is no prompt"));
  EXPECT_THAT(refusal(R"({"prompt":"p","a":"x","b":"y","winner":"tie"})"), HasSubstr("'winner' is \"tie\""));
  EXPECT_THAT(
      refusal(
          R"({"prompt":"p","chosen":[{"role":"user","content":"x"}],"rejected":[{"role":"assistant","content":"y"}]})"),
      HasSubstr("part at a turn of 'user'"));
  EXPECT_THAT(refusal(R"({"prompt":"p","chosen":[],"rejected":"b"})"), HasSubstr("'chosen' is []"));
}

TEST(ChatRow, ErrorsNameTheLine) {
  const auto row = [](const std::string& messages, const std::string& rest = "") {
    return refusal("{\"messages\":[" + messages + "]" + rest + "}");
  };
  const std::string user = R"({"role":"user","content":"hi"},)", answer = R"({"role":"assistant","content":"ho"})";
  EXPECT_EQ(row(user + answer), "accepted");
  EXPECT_EQ(refusal("{\"messages\": ["), "[chat] a.jsonl line 3: not valid JSON");
  EXPECT_EQ(refusal(std::string(5000, '[')), "[chat] a.jsonl line 3: not valid JSON");
  EXPECT_THAT(refusal("[]"), HasSubstr("want an object with \"messages\""));
  EXPECT_THAT(refusal("{}"), HasSubstr("'messages' is missing, want \"messages\" or"));
  EXPECT_THAT(refusal(R"({"text":"x"})"), AllOf(HasSubstr("\"completion\""), HasSubstr("\"instruction\"")));
  EXPECT_THAT(refusal(R"({"conversations":3})"), HasSubstr("'conversations' is 3"));
  EXPECT_THAT(row(R"({"role":"critic","content":"x"},)" + answer), HasSubstr("role is \"critic\", want system, user"));
  EXPECT_THAT(row(R"({"role":"assistant","content":null},)" + answer), HasSubstr("'content' is null, want a text"));
  EXPECT_THAT(row(user + R"({"role":"user","content":null,"tool_calls":[{}]},)" + answer),
              HasSubstr("want them in an assistant's"));
  EXPECT_THAT(row(user + R"({"role":"assistant","tool_calls":"f"})"), HasSubstr("'tool_calls' is \"f\", want a list"));
  EXPECT_THAT(row(user + answer, R"(,"tools":"[1]")"), HasSubstr("want a list of objects"));
  EXPECT_THAT(row(user + answer, R"(,"tools":{})"), HasSubstr("want a list of objects"));
  EXPECT_THAT(row(R"({"role":"user"},)" + answer), HasSubstr("'content' is missing, want a text"));
  EXPECT_THAT(row(R"({"role":"user","content":[7]},)" + answer), HasSubstr("a part is 7"));
  EXPECT_THAT(row(R"({"role":"user","content":[{"type":"audio"}]},)" + answer), HasSubstr("part's type is \"audio\""));
  EXPECT_THAT(row(R"({"role":"user","content":"hi"})"), HasSubstr("no assistant's turn has words to learn"));
  EXPECT_THAT(row(answer, R"(,"images":["a.png"])"), HasSubstr("1 of the row's pictures and clips have no place"));
  EXPECT_THAT(row(R"({"role":"user","content":"<image><image>"},)" + answer, R"(,"images":["a.png"])"),
              HasSubstr("more places for pictures than the 1 that the row lists"));
  EXPECT_THAT(row(user + answer, R"(,"images":[3])"), HasSubstr("'images' holds 3, want paths"));
  EXPECT_THAT(row(user + answer, R"(,"images":[""])"), HasSubstr("a path is empty"));
  EXPECT_THAT(row(R"({"role":"user","content":[{"type":"image","image":"https://x/a.png"}]},)" + answer),
              HasSubstr("want a path on this machine"));
}

class ChatFile : public ::testing::Test {
 protected:
  static std::string turn(const std::string& words, const std::string& rest = "") {
    return "{\"messages\":[{\"role\":\"user\",\"content\":\"" + words +
           "\"},{\"role\":\"assistant\",\"content\":\"yes\"}]" + rest + "}\n";
  }
  ChatOptions put(const std::string& text) const {
    write_file_atomically(scratch_ / "a.jsonl", text);
    return {.path = (scratch_ / "a.jsonl").string(), .seed = 2};
  }
  std::string error(const std::string& text) const {
    try {
      ChatSource source(put(text));
      source.at(0);
    } catch (const UserError& fault) {
      return fault.what();
    }
    return "accepted";
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

TEST_F(ChatFile, EveryPassVisitsEachRowOnceAndNoHeldOutRow) {
  std::string text = "\n";
  for (int i = 0; i < 20; ++i) text += turn(std::to_string(i)) + (i % 3 == 0 ? "  \r\n" : "");
  ChatOptions o = put(text);
  o.heldout_share = 0.2;
  const ChatSource source(o);
  EXPECT_EQ(source.pass_length(), 16u);
  std::set<std::string> held;
  for (const Sample& sample : source.heldout(100)) held.insert(sample.messages[0].content);
  EXPECT_EQ(held.size(), 4u);
  std::vector<std::string> orders[2];
  for (uint64_t i = 0; i < 32; ++i) {
    const std::string words = source.at(i).messages[0].content;
    EXPECT_FALSE(held.contains(words));
    orders[i / 16].push_back(words);
  }
  EXPECT_NE(orders[0], orders[1]);
  std::ranges::sort(orders[0]);
  std::ranges::sort(orders[1]);
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_EQ(std::ranges::unique(orders[0]).begin(), orders[0].end()) << "no row twice in a pass";
}

TEST_F(ChatFile, PicturesAreReadFromTheFilesFolder) {
  std::filesystem::create_directories(scratch_ / "pictures");
  media::write_png(scratch_ / "pictures/red.png", Image(3, 2, 3, 200));
  const ChatSource source(put(turn("what?", R"(,"images":["pictures/red.png"])")));
  const Sample sample = source.at(0);
  ASSERT_EQ(sample.media.size(), 1u);
  EXPECT_EQ(sample.media[0].frames, std::vector<Image>{Image(3, 2, 3, 200)});
  EXPECT_FALSE(sample.media[0].clip);
  EXPECT_EQ(sample.messages[0].media, 1);
}

TEST_F(ChatFile, ClipsHaveTheRequestedNumberOfFrames) {
  const std::string head("GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff", 19), place("\x2c\0\0\0\0\1\0\1\0\0\2\2", 12);
  write_file_atomically(scratch_ / "blink.gif",  // one pixel, black and then white
                        head + place + std::string("\x44\1\0", 3) + place + std::string("\x4c\1\0\x3b", 4));
  ChatOptions options = put(turn("what?", R"(,"videos":["blink.gif"])"));
  options.frames = 4;
  const Sample sample = ChatSource(options).at(0);
  ASSERT_EQ(sample.media.size(), 1u);
  EXPECT_TRUE(sample.media[0].clip);
  ASSERT_EQ(sample.media[0].frames.size(), 4u);
  EXPECT_EQ(sample.media[0].frames.front().at(0, 0)[0], 0);
  EXPECT_EQ(sample.media[0].frames.back().at(0, 0)[0], 255);
  options.frames = 0;
  EXPECT_THROW(ChatSource{options}, UserError);
}

TEST_F(ChatFile, ARowInUtf16SaysTheSameAsInUtf8) {
  const std::string text = turn("a") + "\r\n" + turn("b");
  std::string wide = "\xFF\xFE";
  for (const char byte : text) wide += {byte, '\0'};
  const ChatSource plain(put(text));
  const std::string want = plain.row(1).messages[0].content;
  const ChatSource read(put(wide));
  ASSERT_EQ(read.rows(), 2u);
  EXPECT_EQ(read.row(1).messages[0].content, want);
}

TEST_F(ChatFile, ErrorsAreReportedWithTheirLineBeforeTrainingStarts) {
  EXPECT_THROW(
      {
        try {
          ChatSource({.path = "data/none.jsonl"});
        } catch (const UserError& fault) {
          EXPECT_STREQ(fault.what(), "[chat] data.chat.path is data/none.jsonl, which is no file");
          throw;
        }
      },
      UserError);
  EXPECT_THAT(error(""), HasSubstr("a.jsonl is empty"));
  EXPECT_THAT(error("\n \n"), HasSubstr("holds no row"));
  EXPECT_THAT(error(turn("a") + turn("b") + "{\"messages\":3}\n"), HasSubstr("a.jsonl line 3: 'messages' is 3"));
  EXPECT_THAT(error(turn("a") + "\n" + turn("b", R"(,"image":"none.png")")), HasSubstr("line 3: there is no file"));
  write_file_atomically(scratch_ / "bad.png", "not a picture");
  EXPECT_THAT(error(turn("b", R"(,"image":"bad.png")")), HasSubstr("a.jsonl line 1: ["));
}

}  // namespace
}  // namespace tessera::data
