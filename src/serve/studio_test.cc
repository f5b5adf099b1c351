// What the page asks for: passages, votes, data, and that the page holds all that it loads.
#include "serve/studio.h"

#include <gmock/gmock.h>

#include <regex>

#include "core/error.h"
#include "core/text_file.h"
#include "serve/api_error.h"
#include "serve/assets.h"
#include "tests/support/scratch.h"

namespace tessera::serve {
namespace {

class StudioTest : public ::testing::Test {
 protected:
  static Models& models() {
    static Metrics metrics;
    static Models all({.paths = {Path(TESSERA_SOURCE_DIR) / "models/books-lm"}, .engine = {}, .cache_bytes = 16 << 20},
                      metrics);
    return all;
  }
  static HttpRequest get(std::string path, std::string query = "") {
    return {.method = "GET",
            .path = std::move(path),
            .query = std::move(query),
            .headers = {},
            .body = "",
            .peer = "127.0.0.1"};
  }
  static HttpRequest post(std::string path, const Json& body) {
    return {.method = "POST",
            .path = std::move(path),
            .query = "",
            .headers = {},
            .body = body.dump(),
            .peer = "127.0.0.1"};
  }
  static HttpReply answer(Studio& studio, const HttpRequest& request) {
    return studio.answer(request, route_of(request.path)->endpoint);
  }
  static Json json(Studio& studio, const HttpRequest& request) { return Json::parse(answer(studio, request).body); }
  static int status(Studio& studio, const HttpRequest& request) {
    try {
      return answer(studio, request).status;
    } catch (const ApiError& error) {
      return error.json().at("error").at("message").get<std::string>().empty() ? 0 : error.reply().status;
    }
  }
  void write(const Path& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    write_file_atomically(root_ / path, text);
  }
  tessera::testing::ScratchFolder root_;
};

TEST_F(StudioTest, DataOfRunsAreNamedByTheirRuns) {
  write("runs/sprites/recipe.toml", "[data]\nkind = \"emoji\"\n[data.emoji]\nkind = \"sprite\"\n");
  write("runs/broken/recipe.toml", "[data]\nkind = \"nonsense\"\n");
  write("secret/recipe.toml", "[data]\nkind = \"emoji\"\n");
  Studio studio({.runs = root_ / "runs"}, models());
  EXPECT_EQ(json(studio, get("/data"))["sets"],
            Json::parse(R"([{"name":"Emoji World"},{"name":"broken"},{"name":"sprites"}])"));
  EXPECT_EQ(json(studio, get("/data/samples", "set=sprites&count=3"))["samples"].size(), 3u);
  for (const char* set : {"absent", "..%2Fsecret", "broken", ".."})
    EXPECT_EQ(status(studio, get("/data/samples", std::string("set=") + set)), 404) << set;
}

TEST_F(StudioTest, RunsAreReadBesideTheThreadOfInputAndOutput) {
  for (const char* path : {"/runs", "/runs/one/metrics", "/data", "/studio/server"})
    EXPECT_TRUE(route_of(path)->page) << path;
  EXPECT_EQ(route_of("/runsaway"), nullptr);
  write("runs/one/metrics.jsonl", "{\"step\":1}\n");
  Studio studio({.runs = root_ / "runs"}, models());
  EXPECT_EQ(json(studio, get("/runs"))["runs"][0]["name"], "one");
  Studio without({}, models());
  EXPECT_EQ(status(without, get("/runs")), 404);
}

TEST_F(StudioTest, FilesThatAreNotThereShowAtTheStart) {
  EXPECT_THROW(require_files({.runs = root_ / "absent"}), UserError);
  EXPECT_THROW(require_files({.citations = root_ / "absent"}), UserError);
  write_file_atomically(root_ / "empty", std::string());
  EXPECT_THROW(require_files({.citations = root_ / "empty"}), UserError);
  EXPECT_THROW(require_files({.votes = root_.path()}), UserError);
  require_files({.runs = root_.path(), .votes = root_ / "votes.jsonl"});
}

TEST_F(StudioTest, VotesBecomePairsForPreferenceTuning) {
  Studio studio({.votes = root_ / "votes.jsonl"}, models());
  const Json body = {
      {"prompt", "Once"},
      {"answers",
       {{{"model", "a"}, {"seed", 1}, {"text", "x"}}, {{"model", "b"}, {"seed", 1}, {"text", "y"}}, {{"text", "z"}}}},
      {"best", 1},
      {"blind", true}};
  EXPECT_EQ(json(studio, post("/votes", body))["votes"], 1);
  Json even = body;
  even["best"] = nullptr;
  json(studio, post("/votes", even));  // no difference: nothing to learn from
  const std::vector<std::string> lines = read_text_lines(root_ / "votes.jsonl", "test");
  ASSERT_EQ(lines.size(), 2u);
  const Json first = Json::parse(lines[0]);
  EXPECT_EQ(first["prompt"], Json::parse(R"([{"role":"user","content":"Once"}])"));
  EXPECT_EQ(first["chosen"][0]["content"], "y");
  EXPECT_EQ(first["rejected"][0]["content"], "x");
  EXPECT_EQ(first["chosen_by"]["model"], "b");
  EXPECT_EQ(first["blind"], true);
  Json bad = body;
  bad["best"] = 3;
  EXPECT_EQ(status(studio, post("/votes", bad)), 400);
  EXPECT_EQ(status(studio, post("/votes", {{"prompt", "x"}, {"answers", Json::array()}})), 400);
  Studio closed({}, models());
  EXPECT_EQ(status(closed, post("/votes", body)), 404);
}

TEST_F(StudioTest, PassagesThatAnAnswerQuotesAreFound) {
  const auto tokenizer = text::load_tokenizer(Path(TESSERA_SOURCE_DIR) / "models/books-lm");
  const std::string read = "It was the best of times, it was the worst of times, it was the age of wisdom.";
  const std::vector<int32_t> ids = tokenizer->encode(read, {.add_special = false});
  data::CitationIndex::of(ids, {std::ssize(ids)}).save(root_ / "read.citations", text::fingerprint(*tokenizer));
  Studio studio({.citations = root_ / "read.citations"}, models());
  EXPECT_EQ(json(studio, get("/studio/server"))["citations"], Json::array({"books-lm"}));
  const std::string text = "It was the best of times, it was the worst of times! Not so at all.";
  const Json found = json(studio, post("/citations", {{"model", "books-lm"}, {"text", text}}));
  ASSERT_GE(found["matches"].size(), 1u) << found;
  const Json& passage = found["matches"][0]["passages"][0];
  EXPECT_THAT(passage["match"].get<std::string>(), ::testing::HasSubstr("best of times"));
  EXPECT_EQ(
      passage["before"].get<std::string>() + passage["match"].get<std::string>() + passage["after"].get<std::string>(),
      read);
  std::string joined;
  for (const Json& part : found["parts"]) joined += part["text"].get<std::string>();
  EXPECT_EQ(joined, text);
  EXPECT_EQ(status(studio, post("/citations", {{"model", "books-lm"}})), 400);
}

TEST_F(StudioTest, EmojiWorldIsThereWithoutRuns) {
  Studio studio({}, models());
  EXPECT_EQ(json(studio, get("/data"))["sets"][0]["name"], "Emoji World");
  const Json page = json(studio, get("/data/samples", "at=5&count=2"));
  ASSERT_EQ(page["samples"].size(), 2u);
  EXPECT_EQ(page["samples"][0]["index"], 5);
  EXPECT_THAT(page["samples"][0]["picture"].get<std::string>(), ::testing::StartsWith("data:image/png;base64,"));
  EXPECT_EQ(status(studio, get("/data/samples", "count=1000")), 400);
}

TEST_F(StudioTest, ThePageHoldsAllThatItLoads) {
  std::map<std::string, bool> there;
  for (const Asset& asset : page_assets()) there[std::string(asset.path)] = true;
  ASSERT_TRUE(there["/"]);
  const Path folder = Path(TESSERA_SOURCE_DIR) / "src/serve/studio";
  if (there.size() == 1) GTEST_SKIP() << "built without the page";
  const std::regex loads(R"re((?:from|src=|href=|import) ?"(\.?/[^"#]+)")re");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string text = read_file(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), loads), end; match != end; ++match) {
      const std::string name = (*match)[1];
      const std::string path = name.starts_with("./") ? "/studio/" + name.substr(2) : name;
      EXPECT_TRUE(there.count(path) != 0) << entry.path() << " loads " << name;
    }
  }
}

}  // namespace
}  // namespace tessera::serve
