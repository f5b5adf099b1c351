// The one table of paths: each is there once, has a function, and is guarded as the table says.
#include "serve/routes.h"

#include <gmock/gmock.h>

#include <set>

#include "serve/access.h"
#include "serve/testing.h"

namespace tessera::serve {
namespace {

using testing::get_request;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::post_request;

std::string example_of(const Route& route) {
  return std::string(route.path) + (route.path.ends_with('/') ? "one" : "");
}

/// The status of what is refused by its head, 200 for what is let in.
int head_status(const HttpRequest& head, const AccessRules& rules = {}) {
  const auto reply = refused(head, rules);
  return reply ? reply->status : 200;
}

HttpRequest posted(const Route& route, const std::string& type) {
  HttpRequest request = post_request(example_of(route), "{}");
  request.headers = {{"host", "localhost"}, {"content-type", type}};
  return request;
}

TEST(ServeRoutes, EveryPathIsThereOnceAndIsFound) {
  std::set<std::string_view> paths;
  for (const Route& route : routes()) {
    EXPECT_TRUE(paths.insert(route.path).second) << route.path;
    EXPECT_EQ(route_of(example_of(route)), &route) << route.path;
  }
  EXPECT_EQ(route_of("/v1/nothing"), nullptr);
  EXPECT_EQ(route_of("/health/more"), nullptr);
}

TEST(ServeRoutes, PathsOfTheApiAreFoundWithoutTheirVersion) {
  EXPECT_EQ(api_path("/chat/completions"), "/v1/chat/completions");
  EXPECT_EQ(api_path("/models/one"), "/v1/models/one");
  EXPECT_EQ(api_path("/v1/models"), "/v1/models");
  EXPECT_EQ(api_path("/tokenize"), "/tokenize");
  EXPECT_EQ(api_path("/nothing"), "/nothing");
}

TEST(ServeRoutes, EveryPathHasAFunctionAndSaysHowItIsAskedFor) {
  testing::ServedModels served({Path(TESSERA_SOURCE_DIR) / "models/books-lm"});
  for (const Route& route : routes()) {
    const std::string path = example_of(route);
    const HttpReply read = served.get(path), post = served.post(path, Json::object());
    const HttpReply& right = route.posted ? post : read;
    EXPECT_EQ((route.posted ? read : post).status, 405) << path;
    EXPECT_NE(right.status, 405) << path;
    EXPECT_LT(right.status, 500) << path << ": " << right.body;
    EXPECT_GE(right.status, 200) << path;
    EXPECT_THAT(right.body, Not(HasSubstr("no function"))) << path;
  }
}

TEST(ServeRoutes, APathThatIsNotThereIsAnsweredWithThoseThatAre) {
  testing::ServedModels served({Path(TESSERA_SOURCE_DIR) / "models/books-lm"});
  for (const char* path : {"/v1/embeddings", "/embeddings", "/v1/audio/speech", "/v1/audio/transcriptions",
                           "/v1/moderations", "/v1/files", "/v1/batches", "/v1/fine_tuning/jobs", "/v1/nothing"}) {
    for (const HttpReply& reply : {served.post(path, Json::object()), served.get(path)}) {
      EXPECT_EQ(reply.status, 404) << path;
      const Json error = Json::parse(reply.body).at("error");
      EXPECT_EQ(error.at("code"), "unknown_url");
      const auto message = error.at("message").get<std::string>();
      EXPECT_THAT(message, HasSubstr(path));
      for (const Route& route : routes()) {
        if (route.page) continue;
        EXPECT_THAT(message, HasSubstr(std::string(route.shown())));
      }
      EXPECT_THAT(message, Not(HasSubstr("/votes")));
    }
  }
}

TEST(ServeRoutes, WhatIsPostedToTakesJsonAndFilesWhereTheTableSaysSo) {
  for (const Route& route : routes()) {
    if (!route.posted) continue;
    EXPECT_EQ(head_status(posted(route, "application/json")), 200) << route.path;
    EXPECT_EQ(head_status(posted(route, "text/plain")), 415) << route.path;
    EXPECT_EQ(head_status(posted(route, "multipart/form-data; boundary=x")), route.files ? 200 : 415) << route.path;
  }
}

TEST(ServeRoutes, NoneIsAnsweredWithoutTheKeyButWhatTheTableNames) {
  const AccessRules rules{.key = "a-long-secret"};
  for (const Route& route : routes()) {
    const HttpRequest head = route.posted ? posted(route, "application/json") : get_request(example_of(route));
    EXPECT_EQ(head_status(head, rules), route.keyless ? 200 : 401) << route.path;
  }
}

TEST(ServeRoutes, NamesOfRequestsAreFew) {
  EXPECT_EQ(name_of(get_request("/models/one")), "/v1/models/NAME");
  EXPECT_EQ(name_of(get_request("/runs/one/metrics")), "/runs");
  EXPECT_EQ(name_of(get_request("/anything")), "other");
  EXPECT_TRUE(is_polled("/runs"));
  EXPECT_FALSE(is_polled("/v1/models"));
}

}  // namespace
}  // namespace tessera::serve
