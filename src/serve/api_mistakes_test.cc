// What is wrong with a request is answered in the form of the reference, names its field, and is never the server's fault.
#include <gmock/gmock.h>

#include "core/base64.h"
#include "serve/chat_request.h"
#include "serve/json_fields.h"
#include "serve/testing_api.h"

namespace tessera::serve {
namespace {

using ::testing::HasSubstr;
using testing::post_request;
using testing::ServedModels;

class ApiMistakes : public testing::ApiFixture {};

TEST_F(ApiMistakes, TheContextIsRefusedAtItsEndAndNotBefore) {
  Json ids = Json::array();
  for (int i = 0; i < 511; ++i) ids.push_back(20);
  const Json full = served().json("/v1/completions", completion({{"prompt", ids}}));
  EXPECT_EQ(full["usage"]["completion_tokens"], 1);
  EXPECT_EQ(full["choices"][0]["finish_reason"], "length");
  ids.push_back(20);
  const HttpReply over = served().post("/v1/completions", completion({{"prompt", ids}}));
  EXPECT_EQ(over.status, 400);
  EXPECT_EQ(Json::parse(over.body)["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(over.body, AllOf(HasSubstr("512 tokens"), HasSubstr("context is 512")));
}

TEST_F(ApiMistakes, MistakesNameTheirField) {
  const std::string path = "/v1/chat/completions";
  expect_refused(path, chat({{"temperature", "hot"}}), 400, "temperature", "want a number");
  expect_refused(path, chat({{"temperature", 3}}), 400, "temperature", "from 0 to 2");
  expect_refused(path, chat({{"n", 0}}), 400, "n", "whole number");
  expect_refused(path, chat({{"stream_options", {{"include_usage", 1}}}}), 400, "stream_options.include_usage",
                 "true or false");
  expect_refused(path, chat({{"messages", "hi"}}), 400, "messages", "list");
  expect_refused(path, chat({{"messages", Json::array()}}), 400, "messages", "list");
  expect_refused(path, chat({{"messages", {{{"role", "robot"}, {"content", "x"}}}}}), 400, "messages[0].role", "robot");
  expect_refused(path, chat({{"top_logprobs", 2}}), 400, "top_logprobs", "logprobs");
  expect_refused(path, chat({{"response_format", {{"type", "nonsense"}}}}), 400, "response_format.type", "nonsense");
  expect_refused(
      path, chat({{"response_format", {{"type", "json_schema"}, {"json_schema", {{"schema", {{"nonsense", 1}}}}}}}}),
      400, "response_format.json_schema.schema", "nonsense");
  expect_refused(path, chat({{"tool_choice", "required"}}), 400, "tool_choice", "tools");
  expect_refused(path, chat({{"grammar", "root ::= x"}}), 400, "grammar", "response_format");
  expect_refused(path, chat({{"json_schema", {{"nonsense", 1}}}}), 400, "json_schema", "nonsense");
  expect_refused(path, chat({{"continue_final_message", true}}), 400, "continue_final_message", "turn of its own");
  expect_refused("/v1/responses", {{"model", "books-lm"}, {"input", "x"}, {"guided_json", {{"type", "object"}}}}, 400,
                 "guided_json", "response_format");
  expect_refused(path, chat({{"model", "absent"}}), 404, "model", "books-lm, emoji-nvila, emoji-infinity");
  expect_refused(path, chat({{"model", "emoji-infinity"}}), 400, "model", "it can: draw");
  expect_refused("/v1/completions", completion({{"model", "emoji-infinity"}}), 400, "model", "it can: draw");
  expect_refused("/v1/completions", completion({{"max_tokens", 0}}), 400, "max_tokens", "echo");
  expect_refused("/v1/completions", completion({{"prompt", {1, -5}}}), 400, "prompt", "token ids");
  expect_refused("/v1/completions", completion({{"prompt", {999999}}}), 400, "", "999999");
  expect_refused("/v1/nothing", Json::object(), 404, "", "/v1/nothing");
}

TEST_F(ApiMistakes, MistakesInNestedFieldsAreTheClients) {
  const auto respond = [&](const Json& more) {
    Json body = {{"model", "emoji-nvila"}, {"input", "x"}, {"max_output_tokens", 4}};
    body.update(more);
    return served().post("/v1/responses", body).status;
  };
  EXPECT_EQ(respond({{"text", {{"format", {{"type", 1}}}}}}), 400);
  EXPECT_EQ(respond({{"text", {{"format", "json"}}}}), 400);
  EXPECT_EQ(respond({{"tools", {{{"type", "function"}}}}}), 400);
  EXPECT_EQ(respond({{"tools", {{{"type", "function"}, {"name", 7}}}}}), 400);
  EXPECT_EQ(respond({{"tool_choice", {{"name", 7}}}}), 400);
  EXPECT_EQ(respond({{"input", Json::array()}, {"instructions", "x"}}), 400);
  EXPECT_EQ(respond({{"input", {{{"role", "assistant"}, {"content", 7}}}}}), 400);
  // arguments of a call are a text, which may be nested as deep as it likes
  const Json call = {
      {"id", "c"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", std::string(100000, '[')}}}};
  const Json messages = {{{"role", "user"}, {"content", "x"}},
                         {{"role", "assistant"}, {"content", ""}, {"tool_calls", {call}}},
                         {{"role", "user"}, {"content", "y"}}};
  EXPECT_LT(served().post("/v1/chat/completions", chat({{"messages", messages}})).status, 500);
}

TEST_F(ApiMistakes, APathSaysWhichMethodsItHas) {
  const auto answer = [&](const std::string& method, const std::string& path) {
    HttpRequest request = post_request(path, "{}");
    request.method = method;
    const HttpReply reply = served().begin(std::move(request))->wait();
    std::string allowed;
    for (const auto& [name, value] : reply.headers) {
      if (name == "Allow") allowed = value;
    }
    return std::to_string(reply.status) + " " + allowed;
  };
  EXPECT_EQ(answer("GET", "/v1/chat/completions"), "405 POST");
  EXPECT_EQ(answer("DELETE", "/tokenize"), "405 POST");
  EXPECT_EQ(answer("POST", "/v1/models"), "405 GET, HEAD");
  EXPECT_EQ(answer("PUT", "/health"), "405 GET, HEAD");
  EXPECT_EQ(answer("POST", "/nothing"), "404 ");
}

TEST_F(ApiMistakes, MetricsNameNoPathThatAClientMadeUp) {
  served().get("/v1/models/a\"b");
  served().get("/odd\npath");
  served().begin(post_request("/also/odd", "{}"))->wait();
  const std::string text = served().get("/metrics").body;
  EXPECT_THAT(text, AllOf(HasSubstr("path=\"/v1/models/NAME\",status=\"404\""), HasSubstr("path=\"other\"")));
  EXPECT_THAT(text, Not(::testing::AnyOf(HasSubstr("odd"), HasSubstr("a\"b"))));
}

TEST_F(ApiMistakes, ARequestWithoutALimitTakesWhatTheMemoryHolds) {
  ServedModels small({Path(TESSERA_SOURCE_DIR) / "models/books-lm"}, {}, /*cache_bytes=*/1);  // four blocks, the least
  for (const int n : {1, 3}) {
    const HttpReply reply =
        small.post("/v1/chat/completions", chat({{"model", "books-lm"}, {"n", n}, {"max_tokens", nullptr}}));
    EXPECT_EQ(reply.status, 200) << n << " " << reply.body;
  }
}

TEST_F(ApiMistakes, MorePromptsThanTheQueueCanEverHoldAreNotToldToComeBack) {
  const HttpReply reply =
      served().post("/v1/completions", completion({{"prompt", std::vector<std::string>(300, "a")}, {"max_tokens", 1}}));
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("300 prompts in one request; this server takes at most 256"));
}

TEST_F(ApiMistakes, WholeNumbersMayBeWrittenWithAPoint) {
  EXPECT_EQ(served().json("/detokenize", {{"model", "books-lm"}, {"tokens", {209.0, 300}}}),
            served().json("/detokenize", {{"model", "books-lm"}, {"tokens", {209, 300}}}));
  EXPECT_EQ(served().post("/v1/completions", completion({{"prompt", {20.0, 21}}})).status, 200);
  EXPECT_EQ(served().post("/v1/completions", completion({{"prompt", {20.5, 21}}})).status, 400);
}

TEST_F(ApiMistakes, BodiesThatAreNoJsonAreRefused) {
  for (const std::string body : {"", "{", "[]", "nonsense", "\"x\"", "{\"a\":1}}"}) {
    const HttpReply reply = served().begin(post_request("/v1/chat/completions", body))->wait();
    EXPECT_EQ(reply.status, 400) << body;
  }
  const HttpReply deep = served().begin(post_request("/v1/chat/completions", std::string(100000, '[')))->wait();
  EXPECT_THAT(deep.body, HasSubstr("nested"));
}

/// An object of that many keys, each of at least `length` bytes.
std::string object_of(int keys, int length = 1) {
  std::string text = "{";
  for (int i = 0; i < keys; ++i) text += fmt::format(R"({}"{:0>{}}":0)", i == 0 ? "" : ",", i, length);
  return text + "}";
}

TEST_F(ApiMistakes, BodiesWhoseKeysWouldTakeForEverToReadAreRefused) {
  const auto answer = [&](const std::string& body) {
    return served().begin(post_request("/v1/chat/completions", body))->wait();
  };
  ASSERT_THAT(answer(object_of(10001)).body, HasSubstr("more than 10000 keys"));
  EXPECT_EQ(answer(object_of(1'000'000)).status, 400);
  EXPECT_THAT(answer(object_of(10000).substr(0, 50000)).body, HasSubstr("no JSON"));
  std::string several;
  for (int i = 0; i < 100; ++i) several += (i == 0 ? "" : ",") + object_of(9000);
  EXPECT_THAT(answer(R"({"x":[)" + several + "]}").body, HasSubstr("too many or too long keys"));
  EXPECT_THAT(answer(object_of(9000, 2000)).body, HasSubstr("too many or too long keys"));
  EXPECT_EQ(parse_body(object_of(10000)).size(), 10000u);
  EXPECT_EQ(parse_body(R"({"logit_bias":)" + object_of(5000) + R"(,"tools":[)" + object_of(6000) + "]}").size(), 2u);
  EXPECT_EQ(parse_body(R"({"x":[)" + object_of(2) + R"(,{"a":"\":{{[[:"}]})").size(), 1u);
  std::string small = object_of(3);
  for (int i = 0; i < 20000; ++i) small += "," + object_of(3);
  EXPECT_EQ(parse_body(R"({"messages":[)" + small + "]}")["messages"].size(), 20001u);
}

TEST_F(ApiMistakes, PicturesComeAsDataAloneAndNothingIsFetched) {
  const auto ask = [&](const std::string& url) {
    return chat({{"messages",
                  {{{"role", "user"},
                    {"content",
                     {{{"type", "image_url"}, {"image_url", {{"url", url}}}},
                      {{"type", "text"}, {"text", "What is this?"}}}}}}}});
  };
  for (const char* url :
       {"http://example.org/a.png", "file:///etc/passwd", "/etc/passwd", "data:image/png,raw", "data:"})
    expect_refused("/v1/chat/completions", ask(url), 400, "messages[0].content[0]", "data URI");
  expect_refused("/v1/chat/completions", ask("data:image/png;base64,!!!"), 400, "messages[0].content[0]", "base64");
  expect_refused("/v1/chat/completions", ask("data:image/png;base64,AAAA"), 400, "messages[0].content[0]",
                 "messages[0].content[0]");
  const std::string apple = read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/red-apple.png");
  const Json answer = served().json("/v1/chat/completions", ask("data:image/png;base64," + base64_encoded(apple)));
  const auto worker = served().models().get("emoji-nvila");
  SeeRequest request{.messages = {{.role = "user", .content = "What is this?", .media = 1}},
                     .media = decoded_media({{apple, "apple"}}, 8)};
  request.options.max_new_tokens = 12;
  EXPECT_EQ(answer["choices"][0]["message"]["content"], worker->sees().see({request}).front().continuation.text);
}

TEST(ApiMustSee, AConversationWithoutAPictureIsRefusedByAModelThatMustSee) {
  ServedModels served({Path(TESSERA_SOURCE_DIR) / "models/emoji-nvila"});
  const HttpReply reply =
      served.post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "Hello"}}}}});
  EXPECT_EQ(reply.status, 400) << reply.body;
  const Json error = Json::parse(reply.body).at("error");
  EXPECT_EQ(error.at("code"), "picture_missing");
  EXPECT_EQ(error.at("param"), "messages");
  EXPECT_THAT(error.at("message").get<std::string>(), HasSubstr("want a picture in a user's message"));
  EXPECT_EQ(served.post("/v1/responses", {{"input", "Hello"}}).status, 400);
  const std::string apple = read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/red-apple.png");
  const Json picture = {{"type", "image_url"},
                        {"image_url", {{"url", "data:image/png;base64," + base64_encoded(apple)}}}};
  const Json words = {{"type", "text"}, {"text", "What is this?"}};
  Json turn = {{"role", "user"}};
  turn["content"] = Json::array({picture, words});
  Json body = {{"max_tokens", 4}};
  body["messages"] = Json::array({turn});
  EXPECT_EQ(served.post("/v1/chat/completions", body).status, 200);
}

}  // namespace
}  // namespace tessera::serve
