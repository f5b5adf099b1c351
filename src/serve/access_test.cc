// Who is let in: hosts, origins, kinds of content and keys, from the head of a request alone.
#include "serve/access.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "serve/testing.h"
#include "tests/support/scratch.h"

namespace tessera::serve {
namespace {

using testing::get_request;
using testing::post_request;

int status_of(const HttpRequest& head, const AccessRules& rules = {}) {
  const auto reply = refused(head, rules);
  return reply ? reply->status : 200;
}

HttpRequest with(HttpRequest head, const std::string& name, const std::string& value) {
  std::erase_if(head.headers, [&](const auto& header) { return header.first == name; });
  if (!value.empty()) head.headers.emplace_back(name, value);
  return head;
}

TEST(ServeAccess, NamesThatCouldBeReboundAreRefusedAndAddressesAreNot) {
  for (const char* host :
       {"localhost", "localhost:8080", "LOCALHOST", "127.0.0.1", "127.0.0.1:1", "10.0.0.7", "[::1]:8080", "::1"})
    EXPECT_EQ(status_of(with(get_request("/v1/models"), "host", host)), 200) << host;
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "1.2.3", "1.2.3.4.5",
                           "[evil]", "0x7f.1"})
    EXPECT_EQ(status_of(with(get_request("/v1/models"), "host", host)), 421) << host;
  EXPECT_EQ(status_of(with(get_request("/"), "host", "model.lan:8080"), {.hosts = {"model.lan"}}), 200);
}

TEST(ServeAccess, AUnixSocketHasNoNameToRebind) {
  HttpRequest head = with(get_request("/v1/models"), "host", "whatever");
  head.local = true;
  EXPECT_EQ(status_of(head), 200);
}

TEST(ServeAccess, PagesOfOtherSitesMayNotPost) {
  const HttpRequest post = post_request("/v1/chat/completions", "");
  EXPECT_EQ(status_of(post), 200);  // no browser
  EXPECT_EQ(status_of(with(post, "origin", "http://localhost")), 200);
  EXPECT_EQ(status_of(with(post, "origin", "null")), 403);
  EXPECT_EQ(status_of(with(post, "origin", "https://evil.example")), 403);
  EXPECT_EQ(status_of(with(post, "origin", "http://localhost:9999")), 403);  // another server of this machine
  EXPECT_EQ(status_of(with(post, "sec-fetch-site", "cross-site")), 403);
  EXPECT_EQ(status_of(with(post, "sec-fetch-site", "same-origin")), 200);
  EXPECT_EQ(status_of(with(post, "origin", "https://good.example"), {.origins = {"https://good.example"}}), 200);
}

TEST(ServeAccess, AnOriginIsNeverReflectedUnlessItIsListed) {
  const auto allowed = [](const Headers& headers) {
    for (const auto& [name, value] : headers) {
      if (name == "Access-Control-Allow-Origin") return value;
    }
    return std::string();
  };
  const HttpRequest head = with(get_request("/v1/models"), "origin", "https://evil.example");
  EXPECT_EQ(allowed(common_headers(head, {})), "");
  EXPECT_EQ(allowed(common_headers(head, {.origins = {"https://good.example"}})), "");
  EXPECT_EQ(allowed(common_headers(head, {.origins = {"https://evil.example"}})), "https://evil.example");
  EXPECT_EQ(allowed(preflight(head, {}).headers), "");
}

TEST(ServeAccess, AnAllowedPageMaySendWhatClientsSend) {
  const auto allowed = [](HttpRequest head) {
    const HttpReply reply =
        preflight(with(std::move(head), "origin", "https://good.example"), {.origins = {"https://good.example"}});
    for (const auto& [name, value] : reply.headers) {
      if (name == "Access-Control-Allow-Headers") return value;
    }
    return std::string();
  };
  HttpRequest head = get_request("/v1/chat/completions");
  head.method = "OPTIONS";
  EXPECT_EQ(allowed(head), "authorization, content-type, x-api-key");
  head = with(head, "access-control-request-headers",
              "X-Stainless-OS, authorization,x-stainless-retry-count, x-evil, x-stainless-\r\nset-cookie");
  EXPECT_EQ(allowed(head), "authorization, content-type, x-api-key, x-stainless-os, x-stainless-retry-count");
}

TEST(ServeAccess, FormsThatABrowserSendsUnaskedAreRefused) {
  const HttpRequest post = post_request("/v1/chat/completions", "");
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""})
    EXPECT_EQ(status_of(with(post, "content-type", type)), 415) << type;
  EXPECT_EQ(status_of(with(post, "content-type", "application/json; charset=utf-8")), 200);
  EXPECT_EQ(status_of(with(post, "content-type", "Application/JSON ; charset=utf-8")), 200);
  EXPECT_EQ(status_of(with(post_request("/chat/completions", ""), "content-type", "text/plain")), 415);
  EXPECT_EQ(status_of(with(post_request("/health", ""), "content-type", "")),
            200);  // has no POST, and is told so later
  EXPECT_EQ(status_of(with(post_request("/v1/images/edits", ""), "content-type", "multipart/form-data; boundary=x")),
            200);
}

TEST(ServeAccess, AKeyOpensEverythingButHealthAndThePage) {
  const AccessRules rules{.key = "a-long-secret"};
  const HttpRequest head = get_request("/v1/models");
  EXPECT_EQ(status_of(head, rules), 401);
  EXPECT_EQ(status_of(get_request("/models"), rules), 401);  // the same without /v1
  EXPECT_EQ(status_of(get_request("/metrics"), rules), 401);
  EXPECT_EQ(status_of(get_request("/runs"), rules), 401);
  EXPECT_EQ(status_of(get_request("/health"), rules), 200);
  EXPECT_EQ(status_of(get_request("/"), rules), 200);
  EXPECT_EQ(status_of(with(head, "authorization", "Bearer a-long-secret"), rules), 200);
  EXPECT_EQ(status_of(with(head, "authorization", "bearer a-long-secret"), rules), 200);
  EXPECT_EQ(status_of(with(head, "x-api-key", "a-long-secret"), rules), 200);
  for (const char* wrong :
       {"Bearer a-long-secreT", "Bearer a-long-secret2", "Bearer ", "Basic a-long-secret", "a-long-secret"})
    EXPECT_EQ(status_of(with(head, "authorization", wrong), rules), 401) << wrong;
}

TEST(ServeAccess, ComparingInConstantTimeFindsWhatComparingFinds) {
  for (const char* a : {"", "a", "ab", "abab", "abc"}) {
    for (const char* b : {"", "a", "ab", "abab", "abc"})
      EXPECT_EQ(equal_in_constant_time(a, b), std::string_view(a) == b) << a << " " << b;
  }
}

TEST(ServeAccess, KeysAreReadFromFilesWithoutBlanksAndMustHaveALength) {
  const tessera::testing::ScratchFolder scratch;
  const auto file_of = [&](const std::string& text) {
    const Path path = scratch.path() / "key";
    std::ofstream(path) << text;
    return path;
  };
  EXPECT_EQ(read_key(file_of("  0123456789abcdef\n")), "0123456789abcdef");
  EXPECT_THROW(read_key(file_of("\n")), UserError);
  EXPECT_THROW(read_key(file_of("short")), UserError);
  EXPECT_THROW(read_key(scratch.path() / "absent"), UserError);
}

TEST(ServeAccess, LoopbackIsThisMachineAlone) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "::1", "localhost"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.evil.example"}) EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace tessera::serve
