// Pictures over the API are those that the model draws, whole, scale by scale and changed; and answers are repeated from their receipts.
#include <gmock/gmock.h>

#include "core/base64.h"
#include "core/error.h"
#include "media/read_media.h"
#include "serve/api_error.h"
#include "serve/chat_request.h"
#include "serve/multipart.h"
#include "serve/picture_request.h"
#include "serve/receipt.h"
#include "serve/testing.h"

namespace tessera::serve {
namespace {

using testing::events_of;
using ::testing::HasSubstr;
using testing::post_request;
using testing::ServedModels;

class PictureRoutes : public ::testing::Test {
 protected:
  static ServedModels& served() {
    static ServedModels all({Path(TESSERA_SOURCE_DIR) / "models/emoji-infinity"});
    return all;
  }
  static Json apple(const Json& more = Json::object()) {
    Json body = {{"prompt", "red apple"}, {"seed", 1}};
    body.update(more);
    return body;
  }
  static Image picture_of(const Json& b64) {
    return media::decode_image(*base64_decoded(b64.get<std::string>()), "answer");
  }
  static std::vector<Image> drawn(DrawRequest request) {
    request.seed = 1;
    return served().models().get("")->draws().draw(request);
  }
};

TEST_F(PictureRoutes, PicturesAreThoseThatTheModelDraws) {
  const Json answer = served().json("/v1/images/generations", apple({{"n", 2}}));
  ASSERT_EQ(answer["data"].size(), 2u);
  const auto expected = drawn({.prompts = {"red apple", "red apple"}});
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(picture_of(answer["data"][i]["b64_json"]), expected[i]);
  EXPECT_EQ(answer["size"], "128x128");
}

TEST_F(PictureRoutes, AStreamShowsScalesOnTheWayAndEndsWithThePicture) {
  const HttpReply reply = served().post("/v1/images/generations", apple({{"stream", true}, {"partial_images", 3}}));
  const std::vector<Json> events = events_of(reply.body);
  ASSERT_EQ(events.size(), 4u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i]["type"], "image_generation.partial_image");
    EXPECT_EQ(events[i]["partial_image_index"], i);
    EXPECT_EQ(picture_of(events[i]["b64_json"]).width, 128);
  }
  EXPECT_EQ(events[3]["type"], "image_generation.completed");
  EXPECT_EQ(picture_of(events[3]["b64_json"]), drawn({.prompts = {"red apple"}}).front());
}

TEST_F(PictureRoutes, EditsKeepTheFirstScalesOfAPicture) {
  const std::string file = read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/red-apple.png");
  const Image from = media::decode_image(file, "apple");
  const Json by_json = served().json(
      "/v1/images/edits",
      apple(
          {{"prompt", "green apple"}, {"image", "data:image/png;base64," + base64_encoded(file)}, {"keep_scales", 3}}));
  const Image expected = drawn({.prompts = {"green apple"}, .from = from, .keep_scales = 3}).front();
  EXPECT_EQ(picture_of(by_json["data"][0]["b64_json"]), expected);
  HttpRequest form = post_request("/v1/images/edits", "");
  form.headers = {{"host", "localhost"}, {"content-type", "multipart/form-data; boundary=XX"}};
  const auto field = [](const std::string& name, const std::string& value, const std::string& more = "") {
    return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"" + more + "\r\n\r\n" + value + "\r\n";
  };
  form.headers[1].second = "Multipart/Form-Data; boundary=XX";  // names are the same in capitals
  form.body = field("prompt", "green apple") + field("seed", "1") + field("keep_scales", "3") +
              field("image", file, "; filename=\"a.png\"") + "--XX--\r\n";
  const Json by_form = Json::parse(served().begin(std::move(form))->wait().body);
  EXPECT_EQ(picture_of(by_form["data"][0]["b64_json"]), expected);
}

TEST_F(PictureRoutes, WhatCannotBeDrawnIsRefusedBeforeAnythingIsSent) {
  const auto refused = [&](const Json& more, const std::string& words) {
    const HttpReply reply = served().post("/v1/images/generations", apple(more));
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr(words));
  };
  refused({{"size", "1024x1024"}, {"stream", true}}, "1024");
  refused({{"size", "big"}}, "WIDTHxHEIGHT");
  refused({{"prompt", " "}}, "empty");
  refused({{"response_format", "url"}}, "b64_json");
  refused({{"n", 1000}}, "1 to 64");
  refused({{"keep_scales", 2}}, "edits");
  refused({{"output_format", "tiff"}}, "webp");
  EXPECT_THAT(served().post("/v1/images/edits", apple()).body, HasSubstr("'image' is missing"));
  EXPECT_THAT(served().post("/v1/images/edits", apple({{"image", "http://x/y.png"}})).body, HasSubstr("data URI"));
  EXPECT_THAT(served().post("/v1/images/edits", apple({{"image", "data:image/png;base64,AA=="}, {"mask", "x"}})).body,
              HasSubstr("mask"));
}

TEST_F(PictureRoutes, AFieldOfAFormThatIsNestedWithoutEndIsRefused) {
  HttpRequest form = post_request("/v1/images/edits", "");
  form.headers = {{"host", "localhost"}, {"content-type", "multipart/form-data; boundary=XX"}};
  form.body = "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n" + std::string(60000, '[') +
              std::string(60000 / 2, ']') + "\r\n--XX--\r\n";
  EXPECT_EQ(served().begin(form)->wait().status, 400);
  form.body = "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n" + std::string(30000, '[') +
              std::string(30000, ']') + "\r\n--XX--\r\n";
  EXPECT_EQ(served().begin(form)->wait().status, 400);
}

TEST_F(PictureRoutes, AClientThatLeavesEndsADrawingWithinAScale) {
  const auto exchange = served().begin(
      post_request("/v1/images/generations", apple({{"n", 64}, {"stream", true}, {"partial_images", 3}}).dump()));
  exchange->leave();
  exchange->wait();
  EXPECT_EQ(events_of(exchange->wait().body).size() < 64u, true);
  EXPECT_EQ(served().post("/v1/images/generations", apple()).status, 200);
}

TEST_F(PictureRoutes, ADrawingIsRepeatedFromItsReceipt) {
  Json answer = served().json("/v1/images/generations", {{"prompt", "red apple"}, {"tessera", {{"receipt", true}}}});
  Json receipt = answer["tessera"]["receipt"];
  const ModelCard card = served().models().cards().front();
  EXPECT_TRUE(replay(receipt, served().api(), card, 0).same);
  receipt["request"]["seed"] = 12345;
  EXPECT_FALSE(replay(receipt, served().api(), card, 0).same);
}

TEST_F(PictureRoutes, ANegativeSeedIsRepeatedToo) {
  const Json answer = served().json("/v1/images/generations",
                                    {{"prompt", "red apple"}, {"seed", -7}, {"tessera", {{"receipt", true}}}});
  EXPECT_EQ(answer["tessera"]["seed"], -7);
  const ModelCard card = served().models().cards().front();
  EXPECT_TRUE(replay(answer["tessera"]["receipt"], served().api(), card, 0).same);
}

TEST(Replay, AChatWithoutALimitIsRepeatedByAServerWithAnotherOne) {
  const Path model = Path(TESSERA_SOURCE_DIR) / "models/emoji-nvila";
  const tessera::testing::ScratchFolder copies;
  const Path blind = copies / "emoji-nvila";  // that need not see
  std::filesystem::copy(model, blind, std::filesystem::copy_options::recursive);
  std::filesystem::remove(blind / "recipe.toml");
  ServedModels small({blind}, {}, 64 << 20, {.max_tokens = 2}), large({blind});
  const Json answer =
      small.json("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "What is this?"}}}},
                                          {"temperature", 0},
                                          {"tessera", {{"receipt", true}}}});
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  Json receipt = answer["tessera"]["receipt"];
  receipt["request"]["stream"] = true;  // as somebody may have written into it
  const ReplayOutcome outcome = replay(receipt, large.api(), large.models().cards().front(), 0);
  EXPECT_TRUE(outcome.same) << outcome.what;
}

TEST(Replay, ATextIsRepeatedBesideOthersAndAChangeIsSeen) {
  ServedModels served({Path(TESSERA_SOURCE_DIR) / "models/books-lm"});
  const ModelCard card = served.models().cards().front();
  const Json answer =
      served.json("/v1/completions",
                  {{"prompt", "Once upon a time"}, {"max_tokens", 40}, {"n", 2}, {"tessera", {{"receipt", true}}}});
  Json receipt = answer["tessera"]["receipt"];
  EXPECT_EQ(receipt["texts"][1], answer["choices"][1]["text"]);
  for (const int64_t beside : {0, 15}) {
    const ReplayOutcome outcome = replay(receipt, served.api(), card, beside);
    EXPECT_TRUE(outcome.same) << outcome.what;
  }
  receipt["texts"][1] = "something else";
  EXPECT_THAT(replay(receipt, served.api(), card, 0).what, HasSubstr("number 2 was \"something else\""));
  receipt["model"]["hash"] = 7;
  EXPECT_THROW(replay(receipt, served.api(), card, 0), UserError);
  receipt["model"]["hash"] = "0000000000000000";
  EXPECT_THROW(replay(receipt, served.api(), card, 0), UserError);
  EXPECT_THROW(replay(Json::object(), served.api(), card, 0), UserError);
}

TEST(Multipart, PartsAreFoundAndWhatIsNoFormIsRefused) {
  const std::string type = "multipart/form-data; boundary=\"a b\"";
  const auto parts = parse_multipart(
      "--a b\r\nContent-Disposition: form-data; name=x; filename=\"q\\\"uote\"\r\n\r\n\r\n--a\r\n--a b--\r\n", type);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].filename, "q\"uote");
  EXPECT_EQ(parts[0].body, "\r\n--a");
  for (const char* body : {"", "x", "--a b", "--a b\r\n", "--a b\r\n\r\n\r\n--a b--",
                           "--a b\r\nContent-Disposition: form-data; name=x\r\n\r\nopen"})
    EXPECT_THROW(parse_multipart(body, type), ApiError) << body;
  EXPECT_THROW(parse_multipart("--\r\n", "multipart/form-data"), ApiError);
}

}  // namespace
}  // namespace tessera::serve
