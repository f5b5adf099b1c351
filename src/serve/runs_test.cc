// Runs are read while they are written, and nothing outside of them can be reached.
#include "serve/runs.h"

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>

#include "serve/api_error.h"
#include "serve/testing.h"
#include "tests/support/scratch.h"

namespace tessera::serve {
namespace {

using testing::get_request;

class Runs : public ::testing::Test {
 protected:
  Runs() {
    std::filesystem::create_directories(scratch / "runs" / "one" / "samples");
    std::filesystem::create_directories(scratch / "runs" / "no-run");
    append("{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":2.25}\n{\"step\":3,\"lo");
    std::ofstream(scratch / "runs" / "one" / "samples" / "step-0000002.txt") << "Once";
    std::ofstream(scratch / "runs" / "one" / "samples" / "step-0000002.sh") << "no";
    std::ofstream(scratch / "secret.txt") << "secret";
  }
  void append(const std::string& text) {
    std::ofstream(scratch / "runs" / "one" / "metrics.jsonl", std::ios::app) << text;
  }
  HttpReply get(const std::string& path, const std::string& query = "") {
    HttpRequest request = get_request(path);
    request.query = query;
    return *runs_reply(request, scratch / "runs");
  }
  Json json(const std::string& path, const std::string& query = "") { return Json::parse(get(path, query).body); }
  void expect_status(int status, const std::string& path, const std::string& query = "") {
    try {
      get(path, query);
      ADD_FAILURE() << path << " was answered";
    } catch (const ApiError& error) {
      EXPECT_EQ(error.status(), status) << path;
    }
  }
  tessera::testing::ScratchFolder scratch;
};

TEST_F(Runs, AreListedWithTheirLastWholeLine) {
  const Json runs = json("/runs")["runs"];
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["name"], "one");
  EXPECT_EQ(runs[0]["step"], 2);
  EXPECT_EQ(runs[0]["finished"], false);
}

TEST_F(Runs, ARunThatSaysWhatItIsDoingIsFinishedWhenItSaysSo) {
  const Path file = scratch / "runs" / "one" / "state.json";
  std::ofstream(file) << R"({"step":"round 1: answers","state":"running","done":3,"of":8})";
  EXPECT_EQ(json("/runs/one")["state"]["of"], 8);
  EXPECT_EQ(json("/runs/one")["finished"], false);
  std::ofstream(file) << R"({"step":"round 3: training","state":"done"})";
  EXPECT_EQ(json("/runs")["runs"][0]["finished"], true);
  std::ofstream(file) << "{torn";
  EXPECT_TRUE(json("/runs/one")["state"].is_null());
}

TEST_F(Runs, TheLatestToSaySomethingComesFirst) {
  const Path two = scratch / "runs" / "two";
  std::filesystem::create_directories(two);
  std::ofstream(two / "metrics.jsonl") << "{\"step\":1}\n";
  std::filesystem::last_write_time(two / "metrics.jsonl",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  EXPECT_EQ(json("/runs")["runs"][0]["name"], "one");
  const Path one = scratch / "runs" / "one" / "metrics.jsonl";
  std::filesystem::last_write_time(one, std::filesystem::last_write_time(one) - std::chrono::minutes(1));
  std::ofstream(two / "state.json") << R"({"state":"running"})";  // at work, though no step is done since
  EXPECT_EQ(json("/runs")["runs"][0]["name"], "two");
}

TEST_F(Runs, MetricsAreReadFromWhereTheLastReadingEnded) {
  const Json first = json("/runs/one/metrics");
  ASSERT_EQ(first["lines"].size(), 2u);
  append("ss\":2}\n{\"step\":4}\n");
  const Json second = json("/runs/one/metrics", "from=" + std::to_string(first["next"].get<int64_t>()));
  ASSERT_EQ(second["lines"].size(), 2u);
  EXPECT_EQ(second["lines"][0], (Json{{"step", 3}, {"loss", 2}}));
  const Json third = json("/runs/one/metrics", "from=" + std::to_string(second["next"].get<int64_t>()));
  EXPECT_EQ(third["lines"].size(), 0u);
  EXPECT_EQ(third["next"], second["next"]);
}

TEST_F(Runs, AFileThatBecameShorterBeginsAnew) {
  const Json all = json("/runs/one/metrics", "from=100000");
  EXPECT_EQ(all["from"], 0);
  EXPECT_EQ(all["lines"].size(), 2u);
}

TEST_F(Runs, SamplesComeByStepAndOfKnownKindsAlone) {
  const Json samples = json("/runs/one/samples")["samples"];
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0]["step"], 2);
  EXPECT_EQ(get("/runs/one/samples/step-0000002.txt").body, "Once");
  expect_status(404, "/runs/one/samples/step-0000002.sh");
}

TEST_F(Runs, NothingOutsideIsReached) {
  std::filesystem::create_symlink(scratch / "secret.txt", scratch / "runs" / "one" / "samples" / "step-1.txt");
  std::filesystem::create_directory_symlink(scratch.path(), scratch / "runs" / "linked");
  for (const char* path : {"/runs/../secret.txt", "/runs/one/../../secret.txt", "/runs/one/samples/../../../secret.txt",
                           "/runs/one/samples/step-1.txt", "/runs/one/samples//etc/passwd", "/runs/linked",
                           "/runs/no-run", "/runs/one/recipe.toml", "/runs/.", "/runs/one/samples/"})
    expect_status(404, path);
  expect_status(400, "/runs/one/metrics", "from=-1");
  expect_status(400, "/runs/one/metrics", "from=1e3");
}

TEST_F(Runs, WithoutAFolderThereAreNone) {
  EXPECT_FALSE(runs_reply(get_request("/runs"), "").has_value());
  EXPECT_FALSE(runs_reply(get_request("/other"), scratch / "runs").has_value());
}

}  // namespace
}  // namespace tessera::serve
