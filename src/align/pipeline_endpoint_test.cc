// Runs whose judge is a server that fails: what was paid for is kept, and Ctrl-C is heard.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "align/run_state.h"
#include "align/testing_run.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "tests/support/http_server.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

using tessera::testing::HttpReply;
using tessera::testing::HttpSeen;
using tessera::testing::HttpServer;
using ::testing::HasSubstr;

class AlignRunJudgedElsewhere : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    testing::write_small_inputs(scratch_.path());
  }
  /// A recipe whose answers matter little, judged by one request after the other.
  AlignRecipe recipe(const HttpServer& judge) const {
    AlignRecipe r = testing::small_recipe(scratch_.path(), "run");
    r.ratings.clear();
    r.judge.distil = 0;
    r.sft.train["steps"] = 2;
    r.judge.endpoints.push_back({.url = judge.address() + "/v1", .model = "m", .at_once = 1, .retries = 1});
    return r;
  }
  std::string state() const { return words_of_state(read_state(scratch_ / "run")); }
  tessera::testing::ScratchFolder scratch_;
};

/// A server that writes scores, gives no log probabilities, and is out of order after every few scores until somebody repairs it.
struct FailingJudge {
  static constexpr int scores_until_it_fails = 5;
  std::atomic<int> given = 0;
  HttpServer server{[this](const HttpSeen& asked) -> HttpReply {
    if (!asked.target.ends_with("/chat/completions")) return {.status = 404};
    if (given == scores_until_it_fails) return {.status = 503, .body = "out of order"};
    const Json message = {{"role", "assistant"}, {"content", fmt::format("Rating: [[{}]]", ++given)}};
    const Json choice = {{"index", 0}, {"message", message}};
    return {.body = Json{{"choices", Json::array({choice})}}.dump()};
  }};
};

TEST_F(AlignRunJudgedElsewhere, ScoresOfAServerThatIsLostAreKeptAndNotAskedForAgain) {
  FailingJudge judge;
  const auto scores = [&] { return Store(store_of(scratch_ / "run"), false).count_scores(1, "endpoints"); };
  for (int64_t run = 1; run <= 2; ++run) {
    EXPECT_THROW(run_align(recipe(judge.server), at::kCPU), FaultError);
    EXPECT_EQ(scores(), run * FailingJudge::scores_until_it_fails);
    judge.given = 0;
  }
  EXPECT_THAT(state(), HasSubstr("round 1: scores: failed: "));
  EXPECT_THAT(state(), HasSubstr("out of order"));
}

TEST_F(AlignRunJudgedElsewhere, CtrlCIsHeardWhileADeadJudgeIsTried) {
  const HttpServer dead([](const HttpSeen&) -> HttpReply {
    InterruptGuard::raise();
    return {.status = 503};
  });
  AlignRecipe r = recipe(dead);
  r.judge.endpoints[0].retries = 3;
  EXPECT_TRUE(run_align(r, at::kCPU).interrupted);
  EXPECT_EQ(state(), "judge: stopped; go on with the same command");
}

}  // namespace
}  // namespace tessera::align
