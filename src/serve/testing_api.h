// Requests to an API over three models that ship, for tests.
#pragma once

#include <gmock/gmock.h>

#include "serve/testing.h"
#include "tests/support/scratch.h"

namespace tessera::serve::testing {

class ApiFixture : public ::testing::Test {
 protected:
  static ServedModels& served() {
    static const Path models = Path(TESSERA_SOURCE_DIR) / "models";
    static const tessera::testing::ScratchFolder copies;
    static ServedModels all({models / "books-lm", without_recipe(models / "emoji-nvila", copies / "emoji-nvila"),
                             models / "emoji-infinity"});
    return all;
  }
  /// A copy that does not say that the model must see, so that conversations of words alone are answered.
  static Path without_recipe(const Path& model, const Path& copy) {
    std::filesystem::copy(model, copy, std::filesystem::copy_options::recursive);
    std::filesystem::remove(copy / "recipe.toml");
    return copy;
  }
  static Json chat(const Json& more = Json::object()) {
    Json body = {{"model", "emoji-nvila"},
                 {"messages", {{{"role", "user"}, {"content", "What is this?"}}}},
                 {"temperature", 0},
                 {"max_tokens", 12}};
    body.update(more);
    return body;
  }
  static Json completion(const Json& more = Json::object()) {
    Json body = {{"model", "books-lm"}, {"prompt", "Once upon a time"}, {"temperature", 0}, {"max_tokens", 12}};
    body.update(more);
    return body;
  }
  static void expect_refused(const std::string& path, const Json& body, int status, const std::string& param,
                             const std::string& words) {
    const HttpReply reply = served().post(path, body);
    EXPECT_EQ(reply.status, status) << reply.body;
    const Json error = Json::parse(reply.body).at("error");
    EXPECT_EQ(error.at("param"), param.empty() ? Json(nullptr) : Json(param)) << reply.body;
    EXPECT_THAT(error.at("message").get<std::string>(), ::testing::HasSubstr(words));
    EXPECT_TRUE(error.contains("type") && error.contains("code"));
  }
};

}  // namespace tessera::serve::testing
