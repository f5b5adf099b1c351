// The shapes of answers and errors are those of OpenAI's reference, over models that ship.
#include "serve/api.h"

#include <gmock/gmock.h>

#include <thread>

#include "serve/testing_api.h"

namespace tessera::serve {
namespace {

using testing::events_of;
using testing::get_request;
using ::testing::HasSubstr;
using testing::post_request;
using testing::ServedModels;

class ApiTest : public testing::ApiFixture {};

TEST_F(ApiTest, ModelsSayWhatTheyCan) {
  const Json list = Json::parse(served().get("/v1/models").body);
  EXPECT_EQ(list.at("object"), "list");
  ASSERT_EQ(list.at("data").size(), 3u);
  const Json& books = list["data"][0];
  EXPECT_EQ(books.at("id"), "books-lm");
  EXPECT_EQ(books.at("object"), "model");
  EXPECT_EQ(books["tessera"]["abilities"], Json::array({"chat", "write"}));
  EXPECT_EQ(books["tessera"]["context"], 512);
  EXPECT_EQ(books["tessera"]["sampling"]["temperature"], 1);
  EXPECT_EQ(list["data"][2]["tessera"]["abilities"], Json::array({"draw"}));
  EXPECT_TRUE(list["data"][2]["tessera"]["sampling"].is_null());
  EXPECT_EQ(Json::parse(served().get("/v1/models/books-lm").body), books);
  EXPECT_EQ(served().get("/v1/models/absent").status, 404);
}

TEST_F(ApiTest, ARequestThatSaysNothingIsDrawnAsTheModelsFilesSay) {
  const tessera::testing::ScratchFolder copies;
  const Path copy = copies / "books-lm";
  std::filesystem::copy(Path(TESSERA_SOURCE_DIR) / "models/books-lm", copy, std::filesystem::copy_options::recursive);
  Json generation = read_json_file(copy / "generation_config.json");
  generation.update({{"temperature", 5}, {"top_k", 1}});  // the most likely token, by the filter alone
  write_file_atomically(copy / "generation_config.json", generation.dump());
  ServedModels own({copy});
  const Json card = Json::parse(own.get("/v1/models/books-lm").body).at("tessera");
  EXPECT_EQ(card["sampling"]["temperature"], 5);
  EXPECT_EQ(card["sampling"]["top_k"], 1);
  Json body = completion();
  const Json greedy = own.json("/v1/completions", body)["choices"][0]["text"];
  body.erase("temperature");
  EXPECT_EQ(own.json("/v1/completions", body)["choices"][0]["text"], greedy);
  body["top_k"] = 0;
  EXPECT_NE(own.json("/v1/completions", body)["choices"][0]["text"], greedy);
}

TEST_F(ApiTest, ABaseAddressWithoutTheVersionIsTheSame) {
  EXPECT_EQ(served().get("/models").body, served().get("/v1/models").body);
  EXPECT_EQ(served().json("/chat/completions", chat())["choices"],
            served().json("/v1/chat/completions", chat())["choices"]);
}

TEST_F(ApiTest, AChatHasTheShapeOfTheReference) {
  const Json answer = served().json("/v1/chat/completions", chat());
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_THAT(answer.at("id").get<std::string>(), ::testing::StartsWith("chatcmpl-"));
  const Json& choice = answer.at("choices").at(0);
  EXPECT_EQ(choice.at("index"), 0);
  EXPECT_EQ(choice.at("message").at("role"), "assistant");
  EXPECT_TRUE(choice.at("message").at("content").is_string());
  EXPECT_TRUE(choice.at("logprobs").is_null());
  EXPECT_EQ(answer["usage"]["total_tokens"],
            answer["usage"]["prompt_tokens"].get<int>() + answer["usage"]["completion_tokens"].get<int>());
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(ApiTest, AStreamJoinsToTheWholeAndSaysUsageOnlyWhenAsked) {
  for (const bool usage : {false, true}) {
    Json body = chat({{"stream", true}});
    if (usage) body["stream_options"] = {{"include_usage", true}};
    const HttpReply reply = served().post("/v1/chat/completions", body);
    const std::vector<Json> events = events_of(reply.body);
    ASSERT_GT(events.size(), 3u);
    EXPECT_EQ(events.back(), "[DONE]");
    std::string text;
    Json reason;
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      EXPECT_EQ(events[i].at("object"), "chat.completion.chunk");
      EXPECT_EQ(events[i].at("id"), events[0].at("id"));
      EXPECT_EQ(events[i].contains("usage"), usage);
      if (events[i]["choices"].empty()) continue;
      const Json& choice = events[i]["choices"][0];
      if (choice["delta"].contains("content")) text += choice["delta"]["content"].get<std::string>();
      if (!choice["finish_reason"].is_null()) reason = choice["finish_reason"];
    }
    const Json whole = served().json("/v1/chat/completions", chat());
    EXPECT_EQ(text, whole["choices"][0]["message"]["content"]);
    EXPECT_EQ(reason, whole["choices"][0]["finish_reason"]);
    if (usage) {
      const Json& last = events[events.size() - 2];
      EXPECT_TRUE(last["choices"].empty());
      EXPECT_EQ(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
    }
  }
}

TEST_F(ApiTest, LogProbabilitiesNameTokensTheirBytesAndTheMostLikely) {
  const Json answer = served().json("/v1/chat/completions", chat({{"logprobs", true}, {"top_logprobs", 3}}));
  std::string joined;
  for (const Json& token : answer["choices"][0]["logprobs"]["content"]) {
    for (const Json& byte : token.at("bytes")) joined += static_cast<char>(byte.get<int>());
    EXPECT_EQ(token.at("top_logprobs").size(), 3u);
    EXPECT_EQ(token["top_logprobs"][0]["token"], token["token"]);  // greedy
    EXPECT_NEAR(token["top_logprobs"][0]["logprob"].get<double>(), token["logprob"].get<double>(), 1e-9);
  }
  EXPECT_EQ(joined, answer["choices"][0]["message"]["content"]);
}

TEST_F(ApiTest, CompletionsTakeTextsAndIdsAndSeveralOfEach) {
  const Json text = served().json("/v1/completions", completion());
  EXPECT_EQ(text.at("object"), "text_completion");
  EXPECT_EQ(text["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(text["usage"]["completion_tokens"], 12);
  const Json ids =
      served().json("/tokenize", {{"model", "books-lm"}, {"content", "Once upon a time"}, {"add_special", true}});
  const Json by_ids = served().json("/v1/completions", completion({{"prompt", ids["tokens"]}}));
  EXPECT_EQ(by_ids["choices"][0]["text"], text["choices"][0]["text"]);
  const Json two =
      served().json("/v1/completions", completion({{"prompt", {"Once upon a time", "The sea"}}, {"n", 2}}));
  ASSERT_EQ(two["choices"].size(), 4u);
  EXPECT_EQ(two["choices"][0]["text"], text["choices"][0]["text"]);
  EXPECT_EQ(two["choices"][3]["index"], 3);
}

TEST_F(ApiTest, AStopTextEndsAndIsNotShown) {
  const std::string whole = served().json("/v1/completions", completion())["choices"][0]["text"];
  const std::string stop = whole.substr(8, 3);
  const Json cut = served().json("/v1/completions", completion({{"stop", stop}}));
  EXPECT_EQ(cut["choices"][0]["text"], whole.substr(0, whole.find(stop)));
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "stop");
}

TEST_F(ApiTest, EchoGivesThePromptWithTheScoresThatTheModelGivesIt) {
  const Json answer =
      served().json("/v1/completions", completion({{"echo", true}, {"logprobs", 1}, {"max_tokens", 0}}));
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], "Once upon a time");
  const Json& logs = choice["logprobs"];
  EXPECT_TRUE(logs["token_logprobs"][0].is_null());
  ASSERT_EQ(logs["tokens"].size(), logs["token_logprobs"].size());
  const auto worker = served().models().get("books-lm");
  const Writes& writes = worker->writes();
  const std::vector<int32_t> ids = text::encode_prompt(writes.tokenizer(), "Once upon a time");
  const auto scored = writes.score({{.prompt = {ids[0]}, .continuation = {ids.begin() + 1, ids.end()}}}).front();
  ASSERT_EQ(scored.size() + 1, logs["token_logprobs"].size());
  for (size_t i = 0; i < scored.size(); ++i) {
    EXPECT_EQ(logs["token_logprobs"][i + 1].get<double>(), scored[i].log_probability);
    double most = -1e9;
    for (const auto& [token, log] : logs["top_logprobs"][i + 1].items()) most = std::max(most, log.get<double>());
    EXPECT_EQ(most == logs["token_logprobs"][i + 1].get<double>(), scored[i].greedy);
  }
  const Json longer =
      served().json("/v1/completions", completion({{"echo", true}, {"logprobs", 1}, {"max_tokens", 2}}));
  EXPECT_EQ(longer["choices"][0]["logprobs"]["tokens"].size(), ids.size() + 2);
}

TEST_F(ApiTest, AnHarnessThatScoresThroughTheApiFindsWhatEvalFinds) {
  const auto worker = served().models().get("books-lm");
  const Writes& writes = worker->writes();
  std::vector<Writes::ScoreRequest> requests;
  Json prompts = Json::array();
  for (const char* context :
       {"Once upon a time there was a king who",
        "The sea was calm and the captain, who had been below since noon, came up and looked about him. Then he"}) {
    for (const char* end : {" had three sons.", " said nothing", " was"}) {
      std::vector<int32_t> before = text::encode_prompt(writes.tokenizer(), context);
      const std::vector<int32_t> after = writes.tokenizer().encode(end, {.add_special = false});
      requests.push_back({.prompt = before, .continuation = after});
      before.insert(before.end(), after.begin(), after.end());
      prompts.push_back(before);
    }
  }
  const Json answer = served().json(
      "/v1/completions", completion({{"prompt", prompts}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 1}}));
  const auto scored = writes.score(requests);
  for (size_t r = 0; r < requests.size(); ++r) {
    const Json& logs = answer["choices"][r]["logprobs"]["token_logprobs"];
    double by_eval = 0, by_api = 0;
    for (const ScoredToken& token : scored[r]) by_eval += token.log_probability;
    for (size_t t = requests[r].prompt.size(); t + 1 < logs.size(); ++t) by_api += logs[t].get<double>();
    EXPECT_NEAR(by_api, by_eval, 1e-5 * std::abs(by_eval)) << r;
  }
}

TEST_F(ApiTest, ASeedRepeatsAnAnswerAndNoSeedDoesNot) {
  const auto say = [&](const Json& more) {
    return served().json("/v1/completions", completion(more))["choices"][0]["text"].get<std::string>();
  };
  EXPECT_EQ(say({{"temperature", 1}, {"seed", 5}}), say({{"temperature", 1}, {"seed", 5}}));
  EXPECT_NE(say({{"temperature", 1}, {"seed", 5}}), say({{"temperature", 1}, {"seed", 6}}));
  EXPECT_NE(say({{"temperature", 1}}), say({{"temperature", 1}}));
}

// llama.cpp's server skips this test of its own: test_cache_vs_nocache_prompt.
TEST_F(ApiTest, AnAnswerWithTheCacheIsThatWithoutIt) {
  ServedModels fresh({Path(TESSERA_SOURCE_DIR) / "models/books-lm"});
  Json ids = Json::array();
  for (int i = 0; i < 300; ++i) ids.push_back(20 + i % 97);
  const Json body =
      completion({{"prompt", ids}, {"temperature", 1}, {"seed", 42}, {"max_tokens", 32}, {"logprobs", 2}});
  const Json without = fresh.json("/v1/completions", body), with = fresh.json("/v1/completions", body);
  EXPECT_EQ(without["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(with["usage"]["prompt_tokens_details"]["cached_tokens"], 256);
  EXPECT_EQ(with["choices"], without["choices"]);  // texts, and log probabilities bit for bit
}

TEST_F(ApiTest, ManyPromptsAreScoredWhileATextGoesOn) {
  Json prompts = Json::array();
  for (int i = 0; i < 40; ++i) prompts.push_back(std::string(200, 'a') + std::to_string(i));
  const auto running =
      served().begin(post_request("/v1/completions", completion({{"max_tokens", 400}, {"stream", true}}).dump()));
  ASSERT_NE(running->wait_for("data: "), "");
  const auto scored = served().begin(post_request(
      "/v1/completions", completion({{"prompt", prompts}, {"echo", true}, {"logprobs", 0}, {"max_tokens", 0}}).dump()));
  const size_t before = running->wait_for("data: ").size();
  const Json answer = Json::parse(scored->wait().body);
  EXPECT_GT(running->wait_for("data: ").size(), before);
  ASSERT_EQ(answer["choices"].size(), 40u);
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(answer["choices"][i]["text"], prompts[i]);
  running->leave();
  running->wait();
}

TEST_F(ApiTest, TokensGoThereAndBack) {
  const Json there =
      served().json("/tokenize", {{"model", "books-lm"}, {"content", "The sea\u2019s edge"}, {"with_pieces", true}});
  Json ids = Json::array();
  for (const Json& token : there["tokens"]) ids.push_back(token["id"]);
  EXPECT_EQ(served().json("/detokenize", {{"model", "books-lm"}, {"tokens", ids}})["content"], "The sea\u2019s edge");
  expect_refused("/detokenize", {{"model", "books-lm"}, {"tokens", {-1}}}, 400, "tokens", "token ids");
}

TEST_F(ApiTest, TheTemplateIsShownAsTheModelGetsIt) {
  const Json shown = served().json("/apply-template", chat());
  EXPECT_THAT(shown["prompt"].get<std::string>(), HasSubstr("What is this?"));
}

TEST_F(ApiTest, MetricsCountWhatWasDone) {
  const auto value = [&](const std::string& name) {
    const std::string text = served().get("/metrics").body;
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size() + 2));
  };
  const double before = value("tessera_generated_tokens_total"), requests = value("tessera_request_seconds_count");
  served().json("/v1/completions", completion());
  EXPECT_EQ(value("tessera_request_seconds_count") - requests, 1);
  const auto becomes = [&](const std::string& name, double wanted) {  // the answer goes out before the step ends
    for (int i = 0; i < 500 && value(name) != wanted; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return value(name) == wanted;
  };
  EXPECT_TRUE(becomes("tessera_generated_tokens_total", before + 12));
  EXPECT_TRUE(becomes("tessera_cache_positions_held", 0));
}

TEST_F(ApiTest, AClientThatLeavesStopsItsRequest) {
  const auto exchange =
      served().begin(post_request("/v1/completions", completion({{"max_tokens", 400}, {"stream", true}}).dump()));
  ASSERT_NE(exchange->wait_for("data: "), "");
  exchange->leave();
  exchange->wait();
  EXPECT_LT(events_of(exchange->wait().body).size(), 390u);
}

TEST_F(ApiTest, ADrainingServerTakesNothingNew) {
  ServedModels other({Path(TESSERA_SOURCE_DIR) / "models/books-lm"});
  other.api().drain();
  EXPECT_EQ(other.post("/v1/completions", completion()).status, 503);
  EXPECT_EQ(Json::parse(other.get("/health").body)["status"], "draining");
}

TEST_F(ApiTest, ASchemaIsKeptWhateverTheModelWouldSay) {
  const Json schema = {
      {"type", "object"},
      {"properties",
       {{"colour", {{"enum", {"red", "green"}}}}, {"count", {{"type", "integer"}, {"maximum", 9}, {"minimum", 0}}}}},
      {"required", {"colour", "count"}},
      {"additionalProperties", false}};
  for (int seed = 0; seed < 4; ++seed) {
    const Json answer = served().json(
        "/v1/chat/completions",
        chat({{"temperature", 1},
              {"seed", seed},
              {"max_tokens", 64},
              {"response_format", {{"type", "json_schema"}, {"json_schema", {{"name", "x"}, {"schema", schema}}}}}}));
    const Json said = Json::parse(answer["choices"][0]["message"]["content"].get<std::string>());
    EXPECT_TRUE(said["colour"] == "red" || said["colour"] == "green");
    EXPECT_LE(said["count"], 9);
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  }
}

TEST_F(ApiTest, ASchemaIsTakenWhereverItStands) {
  const Json schema = {{"const", "42"}};
  for (const Json& more :
       {Json{{"json_schema", schema}}, Json{{"response_format", {{"type", "json_object"}, {"schema", schema}}}}})
    EXPECT_EQ(served().json("/v1/chat/completions", chat(more))["choices"][0]["message"]["content"], "\"42\"") << more;
  const Json answer =
      served().json("/v1/responses", {{"model", "emoji-nvila"}, {"input", "x"}, {"json_schema", schema}});
  EXPECT_EQ(answer["output"][0]["content"][0]["text"], "\"42\"") << answer;
}

TEST_F(ApiTest, ACallThatIsRequiredIsMade) {
  const Json tools = {{{"type", "function"},
                       {"function",
                        {{"name", "weather"},
                         {"parameters",
                          {{"type", "object"},
                           {"properties", {{"city", {{"enum", {"Bonn", "Ulm"}}}}}},
                           {"required", {"city"}},
                           {"additionalProperties", false}}}}}}};
  for (const Json& choice : {Json("required"), Json{{"type", "function"}, {"function", {{"name", "weather"}}}}}) {
    const Json answer =
        served().json("/v1/chat/completions", chat({{"tools", tools}, {"tool_choice", choice}, {"max_tokens", 64}}));
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "tool_calls") << answer;
    const Json call = answer["choices"][0]["message"]["tool_calls"][0];
    EXPECT_EQ(call["function"]["name"], "weather");
    EXPECT_TRUE(Json::parse(call["function"]["arguments"].get<std::string>()).contains("city"));
  }
}

TEST_F(ApiTest, ToolCallsAreTakenOutOfWhatAModelWrote) {
  const Json tools = {{{"type", "function"}, {"function", {{"name", "weather"}}}}};
  std::string text =
      "Let me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Bonn\"}}\n</tool_call>";
  const auto calls = take_tool_calls(text, tools);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].name, "weather");
  EXPECT_EQ(Json::parse(calls[0].arguments)["city"], "Bonn");
  EXPECT_EQ(text, "Let me see.\n");
  std::string alone = R"({"name": "weather", "parameters": {"city": "Bonn"}})";
  EXPECT_EQ(take_tool_calls(alone, tools).size(), 1u);
  EXPECT_EQ(alone, "");
  std::string other = R"(<tool_call>{"name": "absent", "arguments": {}}</tool_call> <tool_call>{broken)";
  EXPECT_TRUE(take_tool_calls(other, tools).empty());
  EXPECT_THAT(other, HasSubstr("absent"));
}

}  // namespace
}  // namespace tessera::serve
