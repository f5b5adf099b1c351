// `pull` against a hub that behaves and one that does not: what has a name in the cache is whole, and a token stays
// with the hub.
#include "hub/pull.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>

#include "core/error.h"
#include "core/interrupt.h"
#include "hub/testing.h"

namespace tessera::hub {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace fs = std::filesystem;

/// What a pull complains of, and by which exit status.
std::pair<int, std::string> complaint(FakePull& pull) {
  try {
    pull.run();
  } catch (const Error& error) {
    return {error.exit_status(), error.what()};
  }
  return {0, "none"};
}

/// Answers in place of a server `times` times, then no more.
FakeHub::First at_first(int times, std::function<HttpReply(const HttpSeen&)> answer) {
  auto left = std::make_shared<std::atomic<int>>(times);
  return [left, answer](const HttpSeen& asked) -> std::optional<HttpReply> {
    if (left->fetch_sub(1) <= 0) return std::nullopt;
    return answer(asked);
  };
}

/// The store's whole file, cut after `bytes`.
std::function<HttpReply(const HttpSeen&)> cut_after(const FakePull& pull, size_t bytes) {
  return [&pull, bytes](const HttpSeen& asked) {
    HttpReply reply = range_of(pull.hub.files.at("model.safetensors").bytes, asked);
    reply.cut_after = bytes;
    return reply;
  };
}

void expect_whole(const FakePull& pull) {
  for (const auto& [path, file] : pull.hub.files) {
    EXPECT_EQ(read_file(pull.snapshot() / path), file.bytes) << path;
    EXPECT_FALSE(fs::exists(pull.blob(path).string() + ".incomplete")) << path;
  }
  EXPECT_EQ(read_file(pull.folder() / "refs/main"), pull.hub.commit);
}

TEST(Pull, ARepositoryIsLaidOutAsInHuggingFacesCache) {
  FakePull pull;
  const Pulled pulled = pull.run();
  expect_whole(pull);
  EXPECT_EQ(pulled.snapshot, pull.snapshot());
  EXPECT_EQ(pulled.commit, pull.hub.commit);
  EXPECT_THAT(pulled.files, ElementsAre("config.json", "model.safetensors", "text/merges é.txt"));
  EXPECT_EQ(pulled.bytes, 50'029);
  EXPECT_EQ(pulled.fetched_bytes, pulled.bytes);
  const std::string hash = FakeHub::hash_of(pull.hub.files.at("model.safetensors"));
  EXPECT_EQ(fs::read_symlink(pull.snapshot() / "model.safetensors"), "../../blobs/" + hash);
  EXPECT_THAT(fs::read_symlink(pull.snapshot() / "text/merges é.txt").string(),
              ::testing::StartsWith("../../../blobs/"));
  EXPECT_THAT(pull.waits, IsEmpty());
}

TEST(Pull, WhatIsThereIsNotFetchedAgain) {
  FakePull pull;
  pull.run();
  pull.hub.files["new.json"] = {"{}"};
  pull.hub.commit = std::string(40, 'd');
  const Pulled second = pull.run();
  EXPECT_EQ(second.fetched_bytes, 2);
  EXPECT_THAT(pull.hub.asked_of_store(), ::testing::SizeIs(1));
  expect_whole(pull);
}

TEST(Pull, TheTokenGoesToTheHubAndNotWhereItRedirects) {
  FakePull pull;
  pull.run();
  ASSERT_THAT(pull.hub.asked_of_store(), ::testing::SizeIs(1));
  EXPECT_EQ(pull.hub.asked_of_store()[0].headers.count("authorization"), 0u);
  for (const HttpSeen& asked : pull.hub.asked_of_hub()) EXPECT_EQ(asked.headers.at("authorization"), "Bearer secret");
}

TEST(Pull, ABrokenConnectionGoesOnWhereItStopped) {
  FakePull pull;
  pull.hub.store_first = at_first(2, cut_after(pull, 20'000));
  pull.run();
  expect_whole(pull);
  const auto asked = pull.hub.asked_of_store();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].headers.count("range"), 0u);
  EXPECT_EQ(asked[1].headers.at("range"), "bytes=20000-");
  EXPECT_EQ(asked[2].headers.at("range"), "bytes=40000-");
  EXPECT_THAT(pull.waits, ElementsAre(1, 2));
}

TEST(Pull, AServerThatIgnoresRangesIsReadFromTheBeginning) {
  FakePull pull;
  const std::string& bytes = pull.hub.files.at("model.safetensors").bytes;
  pull.hub.store_first = at_first(2, [&, first = true](const HttpSeen&) mutable -> HttpReply {
    return {.body = bytes, .cut_after = std::exchange(first, false) ? 20'000 : SIZE_MAX};
  });
  pull.run();
  expect_whole(pull);
}

TEST(Pull, AServerThatGoesOnElsewhereIsRefused) {
  FakePull pull;
  pull.hub.store_first = at_first(9, [&](const HttpSeen& asked) {
    HttpReply reply = cut_after(pull, 20'000)(asked);
    if (reply.status == 206) reply.headers["Content-Range"] = "bytes 7-50002/50003";
    return reply;
  });
  EXPECT_EQ(complaint(pull), std::pair(1, std::string("[pull] model.safetensors: got bytes 'bytes 7-50002/50003', want "
                                                      "those from 20000 on")));
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors")));
}

TEST(Pull, AConnectionThatAlwaysBreaksIsLeftForTheNextCall) {
  FakePull pull;
  pull.hub.store_first = at_first(5, cut_after(pull, 100));
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("[pull] org/tiny: ")));
  EXPECT_THAT(pull.waits, ElementsAre(1, 2, 4, 8));
  EXPECT_EQ(fs::file_size(pull.blob("model.safetensors").string() + ".incomplete"), 500u);
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors")));
  EXPECT_FALSE(fs::exists(pull.folder() / "refs/main"));
  EXPECT_EQ(pull.run().fetched_bytes, 50'003 - 500 + 4);
  expect_whole(pull);
  EXPECT_EQ(pull.hub.asked_of_store().back().headers.at("range"), "bytes=500-");
}

TEST(Pull, DamagedBytesOfAnEarlierCallAreFetchedAgain) {
  FakePull pull;
  fs::create_directories(pull.folder() / "blobs");
  write_file_atomically(pull.blob("model.safetensors").string() + ".incomplete", "other bytes");
  pull.run();
  expect_whole(pull);
}

TEST(Pull, BytesOfAnotherHashAreDeleted) {
  FakePull pull;
  const size_t size = pull.hub.files.at("model.safetensors").bytes.size();
  pull.hub.store_first = at_first(9, [&](const HttpSeen&) -> HttpReply { return {.body = std::string(size, 'x')}; });
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, AllOf(HasSubstr("model.safetensors: the bytes have the hash"),
                                                        HasSubstr("; deleted"))));
  const Path blob = pull.blob("model.safetensors");
  EXPECT_FALSE(fs::exists(blob));
  EXPECT_FALSE(fs::exists(blob.string() + ".incomplete"));
  EXPECT_FALSE(fs::exists(pull.folder() / "refs/main"));
}

TEST(Pull, ALengthThatIsNotTheListingsIsRefused) {
  FakePull pull;
  pull.hub.store_first = at_first(1, [&](const HttpSeen&) -> HttpReply { return {.body = std::string(60'000, 'w')}; });
  EXPECT_THAT(complaint(pull),
              ::testing::Pair(1, HasSubstr("the server announces 60000 bytes, the listing says 50003")));
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors")));
}

TEST(Pull, ABodyWithoutALengthEndsWhereTheListingSays) {
  FakePull pull;
  pull.hub.store_first = at_first(1, [&](const HttpSeen&) -> HttpReply {
    return {.headers = {{"Content-Length", ""}}, .body = std::string(90'000, 'w')};
  });
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("sends more than the 50003 bytes")));
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors").string() + ".incomplete"));
  pull.hub.store_first = at_first(1, [&](const HttpSeen& asked) {
    HttpReply reply = cut_after(pull, 300)(asked);
    reply.headers["Content-Length"] = "";
    return reply;
  });
  pull.run();
  expect_whole(pull);
}

TEST(Pull, ABusyServerIsAskedAgainWhenItSays) {
  FakePull pull;
  pull.hub.hub_first = at_first(1, [](const HttpSeen&) -> HttpReply {
    return {.status = 429, .headers = {{"Retry-After", "7"}}};
  });
  pull.hub.store_first = at_first(2, [](const HttpSeen&) -> HttpReply { return {.status = 503}; });
  pull.run();
  EXPECT_THAT(pull.waits, ElementsAre(7, 1, 2));
  expect_whole(pull);
}

TEST(Pull, AServerThatWantsMoreThanFiveMinutesIsNotWaitedFor) {
  FakePull pull;
  pull.hub.hub_first = at_first(1, [](const HttpSeen&) -> HttpReply {
    return {.status = 429, .headers = {{"Retry-After", "3600"}}};
  });
  EXPECT_EQ(complaint(pull),
            std::pair(1, std::string("[pull] org/tiny: the hub says 429; it asks for 3600 s of patience")));
  EXPECT_THAT(pull.waits, IsEmpty());
}

TEST(Pull, RefusalsSayWhatToDo) {
  const auto told = [](int status, const std::string& code) {
    FakePull pull;
    pull.hub.hub_first = at_first(1, [&](const HttpSeen&) -> HttpReply {
      return {.status = status, .headers = {{"X-Error-Code", code}}};
    });
    return complaint(pull);
  };
  EXPECT_THAT(told(401, ""), ::testing::Pair(2, HasSubstr("needs a token (HF_TOKEN)")));
  EXPECT_THAT(told(401, "RepoNotFound"), ::testing::Pair(2, HasSubstr("there is no public model org/tiny")));
  EXPECT_THAT(told(403, "GatedRepo"), ::testing::Pair(2, HasSubstr("has accepted its terms")));
  EXPECT_THAT(told(404, "RepoNotFound"), ::testing::Pair(2, HasSubstr("no such model: org/tiny")));
  EXPECT_THAT(told(404, "RevisionNotFound"), ::testing::Pair(2, HasSubstr("no such revision")));
  EXPECT_THAT(told(400, ""), ::testing::Pair(1, HasSubstr("the hub says 400")));
}

TEST(Pull, AHubThatIsNotThereIsAskedOnce) {
  FakePull pull;
  pull.options.cache = pull.cache.path();
  pull.options.endpoint = "http://127.0.0.1:1";
  EXPECT_THROW(hub::pull(pull.options), FaultError);
  EXPECT_THAT(pull.waits, IsEmpty());
}

TEST(Pull, HostileListingsLeaveNothing) {
  for (const char* path : {"../x", "/etc/x", "", "a\nb", "config.json/x"}) {
    FakePull pull;
    pull.hub.files[path] = {"x"};
    EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("the listing holds"))) << path;
    EXPECT_TRUE(fs::is_empty(pull.cache.path())) << path;
  }
}

TEST(Pull, AnswersThatAreNoHubsAreRefused) {
  for (const char* body : {"", "<html>", "{}", R"({"sha": "../../x"})", "[]"}) {
    FakePull pull;
    pull.hub.hub_first = at_first(1, [&](const HttpSeen&) -> HttpReply { return {.body = body}; });
    EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("is it a Hugging Face hub?"))) << body;
  }
}

TEST(Pull, AListingOfSeveralPagesIsReadToItsEnd) {
  FakePull pull;
  const Json tree = pull.hub.tree();
  pull.hub.hub_first = [&](const HttpSeen& asked) -> std::optional<HttpReply> {
    const std::string page = "/api/models/org/tiny/tree/" + pull.hub.commit + "?recursive=true";
    const std::string link = "<" + pull.hub.address() + page + "&cursor=2>; rel=\"next\"";
    if (asked.target == page) return HttpReply{.headers = {{"Link", link}}, .body = Json::array({tree[1]}).dump()};
    if (asked.target == page + "&cursor=2") return HttpReply{.body = Json::array({tree[2], tree[3]}).dump()};
    return std::nullopt;
  };
  pull.run();
  expect_whole(pull);
}

TEST(Pull, AListingThatGoesOnAtAnotherServerIsRefused) {
  FakePull pull;
  pull.hub.hub_first = [&](const HttpSeen& asked) -> std::optional<HttpReply> {
    if (asked.target.find("/tree/") == std::string::npos) return std::nullopt;
    return HttpReply{.headers = {{"Link", "<http://127.0.0.1:1/more>; rel=\"next\""}}, .body = "[]"};
  };
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("goes on at 'http://127.0.0.1:1/more'")));
}

TEST(Pull, RedirectsEndSomewhereAndStayOnTheWeb) {
  FakePull pull;
  pull.hub.hub_first = [](const HttpSeen& asked) -> std::optional<HttpReply> {
    return HttpReply{.status = 302, .headers = {{"Location", asked.target}}};
  };
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("redirects more than 8 times")));
  pull.hub.hub_first = [](const HttpSeen&) -> std::optional<HttpReply> {
    return HttpReply{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
  };
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("redirects to 'file:///etc/passwd'")));
}

TEST(Pull, CtrlCLeavesNoHalfFileUnderAName) {
  FakePull pull;
  pull.hub.store_first = at_first(1, [&](const HttpSeen& asked) {
    InterruptGuard::raise();
    return cut_after(pull, 20'000)(asked);
  });
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("stopped; the same command goes on")));
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors")));
  EXPECT_FALSE(fs::exists(pull.folder() / "refs/main"));
  pull.run();
  expect_whole(pull);
}

TEST(Pull, MoreThanTheDiskHoldsIsRefusedBeforeItIsFetched) {
  FakePull pull;
  pull.hub.hub_first = [&](const HttpSeen& asked) -> std::optional<HttpReply> {
    if (asked.target.find("/tree/") == std::string::npos) return std::nullopt;
    Json tree = pull.hub.tree();
    tree[2]["lfs"]["size"] = int64_t{1} << 49;
    return HttpReply{.body = tree.dump()};
  };
  EXPECT_THAT(complaint(pull), ::testing::Pair(1, HasSubstr("needs 562949953.")));
  EXPECT_THAT(pull.hub.asked_of_store(), IsEmpty());
}

TEST(Pull, ARevisionKeepsItsOwnName) {
  FakePull pull;
  pull.options.revision = "v1/final";
  pull.run();
  EXPECT_EQ(read_file(pull.folder() / "refs/v1/final"), pull.hub.commit);
  EXPECT_FALSE(fs::exists(pull.folder() / "refs/main"));
}

TEST(PullEnvironment, TheTokenIsThatOfTheEnvironmentOrOfTheFileAndNeverAHeaderOfItsOwn) {
  ::setenv("HF_TOKEN", " hf_abc\n", 1);
  EXPECT_EQ(token_from_environment(), "hf_abc");
  ::setenv("HF_TOKEN", "a\r\nX-Other: b", 1);
  EXPECT_THROW(token_from_environment(), UserError);
  ::unsetenv("HF_TOKEN");
  const testing::ScratchFolder folder;
  write_file_atomically(folder / "token", "hf_file\n");
  ::setenv("HF_TOKEN_PATH", (folder / "token").c_str(), 1);
  EXPECT_EQ(token_from_environment(), "hf_file");
  ::unsetenv("HF_TOKEN_PATH");
}

TEST(PullEnvironment, TheHubIsAnAddressOfTheWeb) {
  ::setenv("HF_ENDPOINT", "http://mirror.example/hf/", 1);
  EXPECT_EQ(endpoint_from_environment(), "http://mirror.example/hf");
  ::setenv("HF_ENDPOINT", "file:///etc", 1);
  EXPECT_THROW(endpoint_from_environment(), UserError);
  ::unsetenv("HF_ENDPOINT");
  EXPECT_EQ(endpoint_from_environment(), "https://huggingface.co");
  EXPECT_EQ(origin_of("HTTPS://Example.org/a?b"), "https://example.org:443");
}

}  // namespace
}  // namespace tessera::hub
