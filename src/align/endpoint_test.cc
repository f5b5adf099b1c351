// Servers that fail in every way they know, beside one that works: every job is answered once.
#include "align/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>

#include "core/error.h"
#include "core/log.h"
#include "tests/support/http_server.h"

namespace tessera::align {
namespace {

using tessera::testing::HttpReply;
using tessera::testing::HttpSeen;
using tessera::testing::HttpServer;
using ::testing::EndsWith;
using ::testing::HasSubstr;

HttpReply says(const std::string& words, const std::string& reason = "stop") {
  const Json message = {{"role", "assistant"}, {"content", words}};
  Json choice = {{"index", 0}, {"message", message}, {"finish_reason", reason}};
  const Json body = {{"choices", Json::array({std::move(choice)})}};
  return {.body = body.dump()};
}

/// Says what it was asked.
HttpReply echo(const HttpSeen& asked) {
  return says(Json::parse(asked.body)["messages"][0]["content"].get<std::string>());
}

std::vector<EndpointJob> jobs(size_t count) {
  std::vector<EndpointJob> all;
  for (size_t i = 0; i < count; ++i) {
    const Json turn = {{"role", "user"}, {"content", std::to_string(i)}};
    Json body;
    body["messages"] = Json::array({turn});
    all.push_back({.body = std::move(body), .key = i});
  }
  return all;
}

/// How often each job was answered; fails where the words are another's.
std::map<size_t, int> answered(const std::vector<Endpoint>& endpoints, size_t count) {
  std::map<size_t, int> times;
  ask_endpoints(
      endpoints, jobs(count),
      [&](const EndpointAnswer& answer, bool) {
        EXPECT_EQ(answer.body["choices"][0]["message"]["content"], std::to_string(answer.key));
        ++times[answer.key];
        return true;
      },
      [] { return false; });
  return times;
}

void expect_each_once(const std::map<size_t, int>& times, size_t count) {
  EXPECT_EQ(times.size(), count);
  for (const auto& [key, number] : times) EXPECT_EQ(number, 1) << key;
}

class Endpoints : public ::testing::Test {
 protected:
  void SetUp() override { set_log_level(LogLevel::quiet); }
  HttpServer good_{echo};
  Endpoint good() const { return {.url = good_.address() + "/v1", .model = "m"}; }
};

TEST_F(Endpoints, AJobIsPostedWithTheServersModelAndKey) {
  ::setenv("TESSERA_TEST_KEY", "secret", 1);
  Endpoint endpoint = good();
  endpoint.key_env = "TESSERA_TEST_KEY";
  expect_each_once(answered({endpoint}, 3), 3);
  const HttpSeen asked = good_.seen().front();
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.target, "/v1/chat/completions");
  EXPECT_EQ(asked.headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(Json::parse(asked.body)["model"], "m");
  endpoint.key_env = "TESSERA_NO_SUCH_KEY";
  EXPECT_THROW(answered({endpoint}, 1), UserError);
}

TEST_F(Endpoints, WhatFailsOnceIsAskedAgain) {
  std::atomic<int> count = 0;
  const HttpServer moody([&](const HttpSeen& asked) -> HttpReply {
    switch (count++) {
      case 0:
        return {.status = 429, .headers = {{"Retry-After", "1"}}, .body = "slow down"};
      case 2:
        return {.status = 500, .body = "{\"error\":{\"message\":\"oops\"}}"};
      case 4:
        return {.body = "{\"choices\":"};
      case 6:
        return {.body = "{\"choices\":[]}"};
      default:
        return echo(asked);
    }
  });
  expect_each_once(answered({{.url = moody.address(), .at_once = 1}}, 4), 4);
}

TEST_F(Endpoints, ALostServersWorkGoesToTheOthers) {
  const HttpServer broken([](const HttpSeen&) -> HttpReply { return {.status = 503}; });
  const HttpServer cut([](const HttpSeen& asked) -> HttpReply {
    HttpReply reply = echo(asked);
    reply.cut_after = 5;
    return reply;
  });
  expect_each_once(answered({{.url = broken.address(), .retries = 1},
                             {.url = cut.address(), .retries = 1},
                             {.url = "http://127.0.0.1:1", .retries = 1},
                             good()},
                            40),
                   40);
}

/// Why all servers are lost.
std::string fault(const std::vector<Endpoint>& endpoints, size_t count = 2) {
  try {
    answered(endpoints, count);
  } catch (const FaultError& error) {
    return error.what();
  }
  return "accepted";
}

TEST_F(Endpoints, RequestsThatFailTogetherFailOnce) {
  std::atomic<int> count = 0;
  const HttpServer busy([&](const HttpSeen& asked) -> HttpReply {
    if (count++ < 6) return {.status = 429, .body = "slow down"};
    return echo(asked);
  });
  expect_each_once(answered({{.url = busy.address(), .at_once = 6, .retries = 2}}, 8), 8);
}

TEST_F(Endpoints, AServerThatFailsAgainAfterItsWaitIsLost) {
  const HttpServer broken([](const HttpSeen&) -> HttpReply { return {.status = 503}; });
  EXPECT_THAT(fault({{.url = broken.address(), .at_once = 6, .retries = 2}}, 8), HasSubstr("no server is left"));
  EXPECT_EQ(broken.seen().size(), 7u) << "six together, and one after the wait";
}

TEST_F(Endpoints, WithoutAServerThatWorksTheRunEnds) {
  EXPECT_THAT(fault({{.url = "http://127.0.0.1:1", .retries = 1}}), HasSubstr("no server is left"));
  const HttpServer closed(
      [](const HttpSeen&) -> HttpReply { return {.status = 401, .body = R"({"error":{"message":"wrong key"}})"}; });
  EXPECT_THAT(fault({{.url = closed.address()}, good()}), HasSubstr("status 401: wrong key"));
}

TEST_F(Endpoints, WhateverBytesAServerFailsWithItsWordsAreWholeCharacters) {
  std::string body;
  const HttpServer closed([&](const HttpSeen&) -> HttpReply { return {.status = 401, .body = body}; });
  body = std::string(199, 'a') + "\u00FCber";  // 200 bytes end inside of its first letter
  EXPECT_THAT(fault({{.url = closed.address()}}), EndsWith("status 401: " + std::string(199, 'a')));
  body = "caf\xE9 closed";
  EXPECT_THAT(fault({{.url = closed.address()}}), EndsWith("status 401: caf\uFFFD closed"));
}

TEST_F(Endpoints, AUselessAnswerIsAskedForThreeTimesAndThenCounts) {
  int tries = 0, lasts = 0;
  const HttpServer empty([](const HttpSeen&) { return says("", "length"); });
  ask_endpoints(
      {{.url = empty.address()}}, jobs(1),
      [&](const EndpointAnswer&, bool last) {
        ++tries;
        lasts += last ? 1 : 0;
        return false;
      },
      [] { return false; });
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(lasts, 1);
}

TEST_F(Endpoints, WaitsGrowAndHeedTheServer) {
  for (int64_t i = 1; i < 12; ++i) {
    const double wait = back_off(i, 0, 3);
    EXPECT_GE(wait, std::min(60.0, std::exp2(static_cast<double>(i - 1))));
    EXPECT_LE(wait, 90);
  }
  EXPECT_EQ(back_off(1, 120, 3), 120);
  EXPECT_EQ(back_off(1, 86'400, 3), 300) << "a day is too long a wait";
}

TEST_F(Endpoints, SettingsThatCannotBeAreRefused) {
  EXPECT_THROW(check(std::vector<Endpoint>{{.url = "ftp://x"}}), UserError);
  EXPECT_THROW(check(std::vector<Endpoint>{{.url = "http://x", .at_once = 0}}), UserError);
  EXPECT_THROW(check(std::vector<Endpoint>{{.url = "http://x", .timeout = 0}}), UserError);
}

}  // namespace
}  // namespace tessera::align
