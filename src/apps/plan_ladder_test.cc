// `tessera plan ladder` as a person meets it: the JSON's keys, and one line with exit status 2 for every mistake.
#include <gmock/gmock.h>

#include <algorithm>

#include "core/files.h"
#include "core/json.h"
#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

const std::string kShipped = std::string(TESSERA_SOURCE_DIR) + "/examples/ladder/ladder_checkpoints.csv";

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

/// A folder with a small ladder that has no target, and the verb's answers about it.
class PlanLadder : public ::testing::Test {
 protected:
  PlanLadder() { write("runs.csv", plan::testing::csv_text(simulated())); }

  static plan::LadderTable simulated() {
    return plan::testing::simulate_ladder(1, {.tasks = 2, .checkpoints = 8}).table;
  }

  std::string write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
    return (folder_ / name).string();
  }

  /// The verb on this ladder and a target; later words win.
  Finished plan(const Words& more, const std::string& runs = "") const {
    Words words = {"plan", "ladder", "--runs", runs.empty() ? (folder_ / "runs.csv").string() : runs};
    words.insert(words.end(), more.begin(), more.end());
    return testing::tessera(words);
  }

  /// Exit status 2, nothing on standard output, one line on standard error; returns it.
  static std::string only_line(const Finished& wrong) {
    EXPECT_EQ(wrong.status, 2) << wrong.err;
    EXPECT_EQ(wrong.out, "");
    EXPECT_EQ(std::count(wrong.err.begin(), wrong.err.end(), '\n'), 1) << wrong.err;
    EXPECT_THAT(wrong.err, StartsWith("tessera plan ladder: ["));
    EXPECT_LT(wrong.err.size(), 700u);
    return wrong.err;
  }

  std::string refused(const Words& more) const {
    Words words = {"--target", "7B=7e9:4e12"};
    words.insert(words.end(), more.begin(), more.end());
    return only_line(plan(words));
  }

  tessera::testing::ScratchFolder folder_;
};

TEST_F(PlanLadder, JsonIsOneObjectWithTheDocumentedKeys) {
  const Finished done = plan({"--method", "paper", "--json"}, kShipped);
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_EQ(std::count(done.out.begin(), done.out.end(), '\n'), 1);
  const Json result = parse_json(done.out, "output");
  EXPECT_THAT(keys_of(result),
              ::testing::UnorderedElementsAre("predictions", "means", "coverage", "predictable", "warnings"));
  ASSERT_THAT(result["predictions"], SizeIs(16));
  for (const Json& each : result["predictions"]) {
    EXPECT_THAT(keys_of(each), ::testing::UnorderedElementsAre("target", "task", "predicted", "low", "high", "actual",
                                                               "abs_error_points", "rel_error_percent"));
    EXPECT_TRUE(each["low"].is_null() && each["high"].is_null() && each["actual"].is_number());
  }
  EXPECT_EQ(result["predictions"][0]["target"], "peteish7_eval_anneal");
  EXPECT_EQ(result["predictions"][0]["task"], "mmlu");
  for (const Json& each : result["warnings"]) EXPECT_TRUE(each.is_string());
}

TEST_F(PlanLadder, BestHasIntervalsAndAnUnmeasuredTargetHasNoActual) {
  const Finished done = plan({"--target", "7B=7e9:4e12", "--resamples", "20", "--json"});
  EXPECT_EQ(done.status, 0) << done.err;
  const Json result = parse_json(done.out, "output");
  ASSERT_THAT(result["predictions"], SizeIs(2));
  for (const Json& each : result["predictions"]) {
    EXPECT_TRUE(each["low"].is_number() && each["high"].is_number());
    EXPECT_TRUE(each["actual"].is_null() && each["abs_error_points"].is_null() && each["rel_error_percent"].is_null());
  }
}

TEST_F(PlanLadder, ThePlainAnswerIsATableAndWarningsGoToStandardError) {
  const Finished done = plan({"--method", "paper", "--tasks", "mmlu, boolq"}, kShipped);
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.out, HasSubstr("  mmlu          48.4    49.0   0.6         1.3\n"));
  EXPECT_THAT(done.err, HasSubstr("boolq is noisy"));
}

TEST_F(PlanLadder, QuietKeepsTheAnswerAndItsWarnings) {
  const Words words = {"--target", "7B=7e9:4e12", "--resamples", "20"};
  const Finished loud = plan(words), quiet = plan({"--target", "7B=7e9:4e12", "--resamples", "20", "--quiet"});
  EXPECT_EQ(quiet.status, 0);
  EXPECT_EQ(quiet.out, loud.out);
  EXPECT_THAT(loud.err, HasSubstr("resamples"));
  EXPECT_THAT(quiet.err, ::testing::Not(HasSubstr("resamples")));
  EXPECT_THAT(quiet.err, StartsWith("warning: target 7B is far away"));
}

TEST_F(PlanLadder, UnknownWordsAreRefusedWithTheKnownOnes) {
  EXPECT_THAT(refused({"--method", "bets"}), HasSubstr("method 'bets'; want best or paper"));
  EXPECT_THAT(refused({"--feature", "bpp"}), HasSubstr("want one of bpb, loss, ce, flops, acc (nearest: 'bpb')"));
  EXPECT_THAT(refused({"--tasks", "tsk0"}), HasSubstr("has no task 'tsk0'; the nearest is 'task0'"));
  EXPECT_THAT(refused({"--tasks", "task0,,task1"}), HasSubstr("a name is missing"));
  EXPECT_THAT(refused({"--running", "190M"}), HasSubstr("nearest"));
}

TEST_F(PlanLadder, ATargetIsANameASizeAndALength) {
  for (const char* text :
       {"7B", "7B=7e9", "7B=7e9:many", "7B=-7e9:4e12", "7B=0:1", "7B=7:140", "=1:1", "7B=1e300:1e300"}) {
    only_line(plan({"--target", text}));
  }
  EXPECT_THAT(refused({"--target", "7B=8e9:4e12"}), HasSubstr("two targets are named '7B'"));
}

TEST_F(PlanLadder, TasksHaveWeightsAChanceLevelAndACeiling) {
  const Words words = {"--target",  "7B=7e9:4e12", "--resamples",     "20", "--json", "--chance",
                       "task0=.25", "--ceiling",   "task0=.9,task1=1"};
  Words weighted = words;
  weighted.insert(weighted.end(), {"--tasks", "task0:3, task1"});
  const Json result = parse_json(plan(weighted).out, "output"), equal = parse_json(plan(words).out, "output");
  const double first = result["predictions"][0]["predicted"], second = result["predictions"][1]["predicted"];
  EXPECT_NEAR(result["means"][0]["predicted"].get<double>(), 0.75 * first + 0.25 * second, 1e-12);
  EXPECT_NEAR(equal["means"][0]["predicted"].get<double>(), 0.5 * first + 0.5 * second, 1e-12);
  EXPECT_LE(first, 0.93);
  EXPECT_EQ(result["coverage"], 0.8);
  EXPECT_TRUE(result["predictable"]["task0"]["predictable"].is_boolean());
  for (const char* wrong : {"task0:0", "task0:-1", "task0:x", ":2", "task0:inf"}) refused({"--tasks", wrong});
  for (const char* wrong : {"task0", "task0=2", "task0=x", "=.5"}) refused({"--chance", wrong});
  EXPECT_THAT(refused({"--ceiling", "taks0=.9"}), HasSubstr("no task 'taks0'"));
}

TEST_F(PlanLadder, TheLastRowIsOfTheTasksByTheirWeightsAnAccuracyOfZeroAmongThem) {
  plan::LadderTable table = simulated();
  table.targets = {table.runs.back()};
  table.targets[0].tasks[0].acc.assign(table.targets[0].tokens.size(), 0);
  const Finished done = plan({"--resamples", "20", "--tasks", "task0:3,task1", "--json"},
                             write("measured.csv", plan::testing::csv_text(table)));
  ASSERT_EQ(done.status, 0) << done.err;
  const Json each = parse_json(done.out, "output")["predictions"];
  const double error =
      0.75 * each[0]["abs_error_points"].get<double>() + 0.25 * each[1]["abs_error_points"].get<double>();
  const Finished text = plan({"--resamples", "20", "--tasks", "task0:3,task1"}, (folder_ / "measured.csv").string());
  EXPECT_THAT(text.out.substr(text.out.find("  mean")), HasSubstr(fmt::format(" {:.2f} ", error)));
}

TEST_F(PlanLadder, IntervalsSayTheirLevel) {
  const Words words = {"--target", "7B=7e9:4e12", "--resamples", "20"};
  EXPECT_THAT(plan(words).out, HasSubstr("80% interval"));
  Words other = words;
  other.insert(other.end(), {"--coverage", "0.95"});
  EXPECT_THAT(plan(other).out, HasSubstr("95% interval"));
}

TEST_F(PlanLadder, NumbersOutOfTheirRangeAreRefused) {
  for (const Words& words : std::vector<Words>{{"--coverage", "0"},
                                               {"--coverage", "1"},
                                               {"--coverage", "0.99999"},
                                               {"--coverage", "-0.5"},
                                               {"--coverage", "nan"},
                                               {"--resamples", "0"},
                                               {"--resamples", "-1"},
                                               {"--resamples", "1000000000000"},
                                               {"--threads", "-1"},
                                               {"--seed", "-1"},
                                               {"--max-rung", "-1"},
                                               {"--max-rung", "0"},
                                               {"--max-rung", "1M"}}) {
    refused(words);
  }
}

TEST_F(PlanLadder, MissingAndMalformedTablesAreReported) {
  const Words target = {"--target", "7B=7e9:4e12"};
  EXPECT_THAT(only_line(plan(target, (folder_ / "none.csv").string())), HasSubstr("none.csv: No such file"));
  EXPECT_THAT(only_line(plan(target, folder_.path().string())), HasSubstr("not a regular file"));
  EXPECT_THAT(only_line(plan(target, write("empty.csv", ""))), HasSubstr("is empty"));
  EXPECT_THAT(only_line(plan(target, TESSERA_BINARY)), HasSubstr("is not a CSV file"));
  EXPECT_THAT(only_line(plan(target, write("head.csv", "run,role,n_params,tokens,a_bpb,a_acc\n"))),
              HasSubstr("no row with role 'train'"));
}

TEST_F(PlanLadder, MissingTargetsAreReported) {
  EXPECT_THAT(only_line(plan({})), HasSubstr("nothing to predict: give --target NAME=N:D, or rows with role 'target'"));
}

TEST_F(PlanLadder, AConstantColumnAndTooFewRungsAreReportedInOneLine) {
  plan::LadderTable flat = simulated(), few = simulated();
  for (plan::LadderRun& run : flat.runs) run.tasks[0].acc.assign(run.tokens.size(), 0.25);
  few.runs.resize(3);
  const Words target = {"--target", "7B=7e9:4e12"};
  EXPECT_THAT(only_line(plan({"--target", "7B=7e9:4e12", "--tasks", "task0"},
                             write("flat.csv", plan::testing::csv_text(flat)))),
              HasSubstr("constant column 'task0_acc'"));
  EXPECT_THAT(only_line(plan(target, write("few.csv", plan::testing::csv_text(few)))), HasSubstr("too few rungs"));
  EXPECT_THAT(refused({"--max-rung", "190M", "--feature", "ce"}), HasSubstr("too few rungs"));
}

TEST_F(PlanLadder, AReportThatCannotBeWrittenIsRefusedBeforeTheWork) {
  EXPECT_THAT(refused({"--report", (folder_ / "runs.csv/report.html").string()}), HasSubstr("cannot write"));
  EXPECT_THAT(refused({"--report", folder_.path().string()}), HasSubstr("it is a directory"));
}

TEST_F(PlanLadder, TheSingleStepBelongsToThePaper) {
  EXPECT_THAT(refused({"--single-step"}), HasSubstr("want --method paper"));
  EXPECT_EQ(plan({"--target", "7B=7e9:4e12", "--single-step", "--method", "paper"}).status, 0);
}

}  // namespace
}  // namespace tessera
