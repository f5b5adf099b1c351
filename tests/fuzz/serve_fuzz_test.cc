// Mutated requests of every kind: each is answered, or refused by one JSON error with a status from 400 to 499.
#include <gtest/gtest.h>

#include <stdexcept>

#include "core/error.h"
#include "serve/access.h"
#include "serve/api_error.h"
#include "serve/chat_request.h"
#include "serve/multipart.h"
#include "serve/picture_request.h"
#include "serve/response_request.h"
#include "tests/fuzz/mutate.h"

namespace tessera::testing {
namespace {

const std::vector<std::string> requests = {
    R"({"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"n":2,"stop":["a","b"],"stream":true,"stream_options":{"include_usage":true}})",
    R"({"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"what"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}],"logit_bias":{"5":-100},"seed":7})",
    R"({"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"y"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"auto"})",
    R"({"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"y"}],"instructions":"z","max_output_tokens":5,"text":{"format":{"type":"text"}},"tools":[{"type":"function","name":"f","parameters":{}}]})",
    R"({"prompt":"red apple","n":3,"size":"64x64","seed":1,"cfg":[1,2],"partial_images":2,"stream":true,"output_format":"webp"})",
    R"({"prompt":"x","image":["data:image/png;base64,iVBORw0KGgo="],"keep_scales":2,"size":"auto"})"};
const std::vector<std::string> api_words = {"null",
                                            "-1",
                                            "1e999",
                                            "\"\"",
                                            "[]",
                                            "{}",
                                            "[",
                                            "]",
                                            "{",
                                            "}",
                                            ",",
                                            "\"",
                                            "\\ud800",
                                            "\xff\xfe",
                                            "true",
                                            "0.5",
                                            "\"role\"",
                                            "\"content\"",
                                            "\"type\"",
                                            "\"messages\"",
                                            "\"tools\"",
                                            "18446744073709551615",
                                            "9223372036854775808",
                                            "\"data:,\"",
                                            "\"file:///etc/passwd\"",
                                            "\"input\"",
                                            "\"image\"",
                                            "\"prompt\"",
                                            "99999999999999999999",
                                            std::string(300, '[')};

/// True for a body that was read as what `read` reads; throws std::logic_error for a failure that is no client's mistake.
template <class Read> bool accepts_request(const Read& read) {
  try {
    read();
    return true;
  } catch (const serve::ApiError& error) {
    const Json body = Json::parse(error.reply().body);
    if (error.status() < 400 || error.status() > 499 || !body.contains("error") ||
        body["error"]["message"].get<std::string>().empty())
      throw std::logic_error("an odd refusal: " + error.reply().body);
  } catch (const UserError&) {
  }
  return false;
}

template <class Read> void fuzz(const std::vector<std::string>& corpus, uint64_t seed, int rounds, const Read& read) {
  Rng rng(seed);
  int accepted = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string bytes = mutate(corpus, api_words, rng);
    try {
      accepted += accepts_request([&] { read(bytes); });
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, rounds);
}

TEST(Fuzz, MutatedChatRequestsAreReadOrRefused) {
  fuzz(requests, 21, 4000, [](const std::string& bytes) {
    const Json body = serve::parse_body(bytes);
    const serve::Fields fields(body);
    serve::read_text_request(fields);
    serve::read_format(fields);
    serve::read_conversation(fields);
    serve::read_required_call(fields);
  });
}

TEST(Fuzz, MutatedResponseRequestsAreReadOrRefused) {
  fuzz(requests, 22, 4000, [](const std::string& bytes) {
    const Json body = serve::parse_body(bytes);
    const Json chat = serve::chat_of_response_request(body);
    serve::repeated_of_response_request(body);
    serve::read_conversation(serve::Fields(chat));
  });
}

TEST(Fuzz, MutatedPictureRequestsAreReadOrRefused) {
  fuzz(requests, 23, 4000, [](const std::string& bytes) {
    const Json body = serve::parse_body(bytes);
    serve::read_picture_request(serve::Fields(body), false);
  });
}

TEST(Fuzz, MutatedFormsAreReadOrRefused) {
  const std::vector<std::string> forms = {
      "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nred apple\r\n--B\r\nContent-Disposition: "
      "form-data; name=\"image\"; filename=\"a.png\"\r\n"
      "Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n--B--\r\n",
      "--B\r\ncontent-disposition: form-data; name=n\r\n\r\n2\r\n--B--"};
  fuzz(forms, 24, 6000,
       [](const std::string& bytes) { serve::json_of_form(bytes, "multipart/form-data; boundary=B"); });
}

TEST(Fuzz, MutatedHeadsAreLetInOrRefused) {
  const std::vector<std::string> values = {"localhost:8080",   "[::1]:80",          "127.0.0.1",
                                           "http://localhost", "Bearer 0123456789", "application/json; charset=utf-8"};
  Rng rng(25);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    serve::HttpRequest head;
    head.method = rng.below(2) == 0 ? "GET" : "POST";
    head.path = "/v1/models";
    for (const char* name : {"host", "origin", "content-type", "authorization", "sec-fetch-site"})
      head.headers.emplace_back(name,
                                rng.below(4) == 0 ? mutate(values, api_words, rng) : values[rng.below(values.size())]);
    refused += serve::refused(head, {.key = "0123456789"}).has_value();
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace tessera::testing
