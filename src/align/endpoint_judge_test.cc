// Servers as judges: what is read out of their answers, and which form of score a run takes.
#include "align/endpoint_judge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "core/log.h"
#include "tests/support/http_server.h"

namespace tessera::align {
namespace {

using tessera::testing::HttpReply;
using tessera::testing::HttpSeen;
using tessera::testing::HttpServer;

/// Echoes each prompt as single letters; those of a score of `liked` are the likely ones.
HttpReply echoing(const HttpSeen& asked, int64_t liked) {
  if (!asked.target.ends_with("/completions") || asked.target.ends_with("/chat/completions")) return {.status = 404};
  Json choices = Json::array();
  const Json prompts = Json::parse(asked.body)["prompt"];
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto text = prompts[i].get<std::string>();
    Json tokens = Json::array(), logs = Json::array();
    for (size_t at = 0; at < text.size(); ++at) {
      tokens.push_back(std::string(1, text[at]));
      logs.push_back(at == 0 ? Json(nullptr) : Json(0.0));
    }
    logs.back() = std::log(static_cast<int64_t>(i) == liked ? 0.6 : 0.03);
    choices.push_back({{"index", i}, {"text", text}, {"logprobs", {{"tokens", tokens}, {"token_logprobs", logs}}}});
  }
  return {.body = Json{{"choices", choices}}.dump()};
}

/// A chat that writes `words`; it knows nothing else.
HttpReply writing(const HttpSeen& asked, const std::string& words) {
  if (!asked.target.ends_with("/chat/completions")) return {.status = 404, .body = "{\"error\":{\"message\":7}}"};
  const Json message = {{"role", "assistant"}, {"content", words}};
  Json choice = {{"index", 0}, {"message", message}};
  return {.body = Json{{"choices", Json::array({choice})}}.dump()};
}

JudgeTable judge_of(const std::vector<const HttpServer*>& servers) {
  JudgeTable judge;
  for (const HttpServer* each : servers) judge.endpoints.push_back({.url = each->address() + "/v1", .model = "m"});
  return judge;
}

bool never() { return false; }

std::map<size_t, Judgement> judged(const JudgeTable& judge, JudgeForm form, size_t count) {
  std::map<size_t, Judgement> found;
  judge_elsewhere(
      judge, form, std::vector<Judge::Request>(count, {"a prompt", "an answer"}),
      [&](size_t i, const Judgement& judgement) { found[i] = judgement; }, never);
  return found;
}

TEST(EndpointJudge, WithLogProbabilitiesTheScoreIsTheMeanOverTheScale) {
  const HttpServer server([](const HttpSeen& asked) { return echoing(asked, 7); });
  const JudgeTable judge = judge_of({&server});
  EXPECT_EQ(judge_form(judge, never), JudgeForm::log_probabilities);
  const auto found = judged(judge, JudgeForm::log_probabilities, 3);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_NEAR(found.at(0).score, (7 * 0.6 + (55 - 7) * 0.03) / 0.9, 1e-9);
  EXPECT_NEAR(found.at(0).mass, 0.9, 1e-9);
  EXPECT_EQ(found.at(2).likeliest, 7);
}

TEST(EndpointJudge, OneServerWithoutLogProbabilitiesMakesAllJudgeByIntegers) {
  set_log_level(LogLevel::quiet);
  const HttpServer scores([](const HttpSeen& asked) { return echoing(asked, 7); });
  const HttpServer writes([](const HttpSeen& asked) { return writing(asked, "I think Rating: [[8]], since ..."); });
  EXPECT_EQ(judge_form(judge_of({&scores, &writes}), never), JudgeForm::integers);
  const auto found = judged(judge_of({&writes}), JudgeForm::integers, 2);
  EXPECT_EQ(found.at(1).score, 8);
  EXPECT_EQ(found.at(1).mass, 1);
  EXPECT_EQ(found.at(1).probabilities[8], 1);
}

TEST(EndpointJudge, AnAnswerWithoutAScoreHasNone) {
  const HttpServer writes([](const HttpSeen& asked) { return writing(asked, "No."); });
  const auto found = judged(judge_of({&writes}), JudgeForm::integers, 1);
  EXPECT_EQ(found.at(0).mass, 0);
  EXPECT_EQ(writes.seen().size(), 3u) << "asked three times";
}

TEST(EndpointJudge, AScoreIsReadWhereItIsSaid) {
  const Scale scale{.low = 1, .high = 10};
  EXPECT_EQ(score_in("Rating: [[10]]", scale), 10);
  EXPECT_EQ(score_in("In 3 words: Rating: **7**.", scale), 7);
  EXPECT_EQ(score_in(" 4\n", scale), 4);
  EXPECT_EQ(score_in("Rating: [[11]]", scale), std::nullopt);
  EXPECT_EQ(score_in("Rating: [[7.5]]", scale), std::nullopt);
  EXPECT_EQ(score_in("There are 5.", scale), std::nullopt);
  EXPECT_EQ(score_in("", scale), std::nullopt);
}

TEST(EndpointJudge, ChoicesThatEchoSomethingElseSayNothing) {
  const HttpServer server([](const HttpSeen& asked) {
    HttpReply reply = echoing(asked, 7);
    Json body = Json::parse(reply.body);
    body["choices"][4]["logprobs"]["tokens"].back() = ")";
    return HttpReply{.body = body.dump()};
  });
  set_log_level(LogLevel::quiet);
  EXPECT_EQ(judge_form(judge_of({&server}), never), JudgeForm::integers);
}

TEST(EndpointJudge, AskingADeadServerWhetherItScoresEndsWhenItIsTold) {
  set_log_level(LogLevel::quiet);
  JudgeTable judge;
  judge.endpoints.push_back({.url = "http://127.0.0.1:1/v1", .model = "m"});
  int asked = 0;
  EXPECT_EQ(judge_form(judge, [&] { return ++asked > 3; }), std::nullopt);
}

}  // namespace
}  // namespace tessera::align
