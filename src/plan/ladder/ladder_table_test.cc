// Ladder tables: what makes rows a ladder, and one clear line for each way in which they are none.
#include "plan/ladder/ladder_table.h"

#include <gmock/gmock.h>

#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"

namespace tessera::plan {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::refusal;
using ::testing::SizeIs;

const std::string kHeader = "run,role,n_params,tokens,c4_loss,mmlu_bpb,mmlu_acc\n";

std::string said_of(const std::string& text) {
  return refusal([&] { parse_ladder_table(text, "t.csv"); });
}

/// The error message for a table with this one row.
std::string said_of_row(const std::string& row) { return said_of(kHeader + row + "\n"); }

LadderTable small_csv_table() {
  return parse_ladder_table(
      kHeader +
          "b,train,2e8,2e9,3.5,1.5,0.25\nb,train,2e8,1e9,4,,0.2\na,train,1e8,3e9,3.75,1.75,0.125\n"
          "big,target,7e9,4e12,2,0.5,0.75\n",
      "t.csv");
}

void expect_same(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])));
}

void expect_same(const std::vector<LadderRun>& a, const std::vector<LadderRun>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t r = 0; r < a.size(); ++r) {
    EXPECT_EQ(a[r].name, b[r].name);
    EXPECT_EQ(a[r].params, b[r].params);
    EXPECT_EQ(a[r].flops_per_token, b[r].flops_per_token);
    expect_same(a[r].tokens, b[r].tokens);
    expect_same(a[r].loss, b[r].loss);
    for (size_t t = 0; t < a[r].tasks.size(); ++t) {
      expect_same(a[r].tasks[t].bpb, b[r].tasks[t].bpb);
      expect_same(a[r].tasks[t].acc, b[r].tasks[t].acc);
      expect_same(a[r].tasks[t].ce, b[r].tasks[t].ce);
    }
  }
}

TEST(LadderTable, RowsBecomeRunsInTheOrderOfSizeAndTokens) {
  const LadderTable table = small_csv_table();
  ASSERT_THAT(table.runs, SizeIs(2));
  EXPECT_EQ(table.runs[0].name, "a");
  EXPECT_THAT(table.runs[1].tokens, ElementsAre(1e9, 2e9));
  EXPECT_THAT(table.runs[1].loss, ElementsAre(4, 3.5));
  EXPECT_TRUE(std::isnan(table.runs[1].tasks[0].bpb[0]));
  EXPECT_EQ(table.runs[1].tasks[0].bpb[1], 1.5);
  ASSERT_THAT(table.targets, SizeIs(1));
  EXPECT_EQ(table.targets[0].tasks[0].acc[0], 0.75);
}

TEST(LadderTable, RowsInAnyOrderGiveTheSameTable) {
  testing::Simulation made = testing::simulate_ladder(1, {.checkpoints = 5});
  made.table.targets = {made.table.runs.back()};
  std::vector<std::string> rows = testing::csv_rows(made.table);
  const LadderTable whole = parse_ladder_table(testing::joined(rows), "t.csv");
  Rng rng(7);
  for (size_t i = rows.size() - 1; i > 1; --i) std::swap(rows[i], rows[1 + rng.below(i)]);
  const LadderTable shuffled = parse_ladder_table(testing::joined(rows), "t.csv");
  expect_same(whole.runs, made.table.runs);
  expect_same(whole.runs, shuffled.runs);
  expect_same(whole.targets, shuffled.targets);
}

TEST(LadderTable, AMissingColumnNamesTheNearest) {
  EXPECT_EQ(said_of("run,role,n_param,tokens,mmlu_bpb,mmlu_acc\n"),
            "[plan] t.csv has no column 'n_params'; the nearest is 'n_param'");
}

TEST(LadderTable, AMisspeltMeasureIsRefusedWithAQuestion) {
  EXPECT_EQ(said_of("run,role,n_params,tokens,mmlu_bpb,mmlu_accuracy\n"),
            "[plan] t.csv has no column 'mmlu_acc' but one named 'mmlu_accuracy'; is it misspelt?");
  EXPECT_EQ(said_of("run,role,n_params,tokens,mmlu_acc,mmlu_bbp\n"),
            "[plan] t.csv has no column 'mmlu_bpb' but one named 'mmlu_bbp'; is it misspelt?");
  EXPECT_EQ(said_of("run,role,n_params,tokens,c4_los,mmlu_bpb,mmlu_acc\n"),
            "[plan] t.csv has no column 'c4_loss' but one named 'c4_los'; is it misspelt?");
}

TEST(LadderTable, AccuracyIsRefusedAsAnEndingUnlessTheTaskHasItsMeasure) {
  EXPECT_EQ(said_of("run,role,n_params,tokens,quiz_accuracy,pass_acc\n"),
            "[plan] t.csv has no column 'quiz_acc' but one named 'quiz_accuracy'; is it misspelt?");
  const std::string row = "\na,train,1e8,1e9,0.5,0.5\n";
  EXPECT_EQ(parse_ladder_table("run,role,n_params,tokens,quiz_accuracy,quiz_score" + row, "t.csv").tasks.size(), 1u);
}

TEST(LadderTable, AMisspeltTaskIsRefusedWithAQuestion) {
  EXPECT_THAT(said_of("run,role,n_params,tokens,mmlu_bpb,mlu_acc\n"), HasSubstr("is it misspelt?"));
}

TEST(LadderTable, UnknownColumnsAreIgnored) {
  const LadderTable table = parse_ladder_table(
      "run,role,n_params,tokens,mmlu_bpb,mmlu_acc,note,seed,wandb url,piqa_acc\na,train,1e8,1e9,1,0.5,hm,1,x,\n",
      "t.csv");
  EXPECT_THAT(table.tasks, ElementsAre("mmlu", "piqa"));
  EXPECT_THAT(table.notes, IsEmpty());
}

TEST(LadderTable, SizesTokensAndLossesMustBePositive) {
  for (const std::string bad : {"-1", "0"}) {
    EXPECT_EQ(said_of_row("a,train," + bad + ",1e9,3,1,0.5"),
              "[plan] t.csv line 2, column 'n_params': got " + bad + ", want a number above 0");
    EXPECT_EQ(said_of_row("a,train,1e8," + bad + ",3,1,0.5"),
              "[plan] t.csv line 2, column 'tokens': got " + bad + ", want a number above 0");
    EXPECT_EQ(said_of_row("a,train,1e8,1e9," + bad + ",1,0.5"),
              "[plan] t.csv line 2, column 'c4_loss': got " + bad + ", want a loss above 0");
    EXPECT_EQ(said_of_row("a,train,1e8,1e9,3," + bad + ",0.5"),
              "[plan] t.csv line 2, column 'mmlu_bpb': got " + bad + ", want a loss above 0");
  }
}

TEST(LadderTable, SizesAndTokensThatLackTheirUnitOrThatNobodyTrainsAreRefused) {
  EXPECT_EQ(said_of_row("a,train,190,1e9,3,1,0.5"),
            "[plan] t.csv line 2, column 'n_params': got 190, want the full number of parameters; 7 billion should be "
            "written 7e9");
  EXPECT_EQ(said_of_row("a,train,1e8,3.9,3,1,0.5"),
            "[plan] t.csv line 2, column 'tokens': got 3.9, want the full number of tokens; 2 trillion should be "
            "written 2e12");
  EXPECT_THAT(said_of_row("a,train,1e30,1e9,3,1,0.5"), HasSubstr("got 1e+30, want at most 1e+18"));
}

TEST(LadderTable, PercentagesInsteadOfFractionsAreRefusedAsSuch) {
  EXPECT_EQ(said_of_row("a,train,1e8,1e9,3,1,-0.1"),
            "[plan] t.csv line 2, column 'mmlu_acc': got -0.1, want a fraction in [0, 1]");
  EXPECT_EQ(said_of_row("a,train,1e8,1e9,3,1,200"),
            "[plan] t.csv line 2, column 'mmlu_acc': got 200, want a fraction in [0, 1]");
  EXPECT_EQ(said_of_row("a,train,1e8,1e9,3,1,48.5"),
            "[plan] t.csv line 2, column 'mmlu_acc': got 48.5, want a fraction in [0, 1]; these look like percentages, "
            "divide by 100");
}

TEST(LadderTable, TwoRowsOfOneCheckpointAreReportedWithTheirLines) {
  EXPECT_EQ(said_of(kHeader + "a,train,1e8,1e9,3,1,0.5\na,train,1e8,2e9,3,1,0.5\na,train,1e8,1e9,3,1,0.5\n"),
            "[plan] t.csv lines 2 and 4 are the same checkpoint: run 'a' at 1000000000 tokens");
}

TEST(LadderTable, ARunWithTwoSizesIsRefused) {
  EXPECT_EQ(said_of(kHeader + "a,train,1e8,1e9,3,1,0.5\na,train,2e8,2e9,3,1,0.5\n"),
            "[plan] t.csv line 3, column 'n_params': got 200000000, but run 'a' has 100000000 in line 2");
}

TEST(LadderTable, ComputePerTokenMayStandInAnyRowOfARun) {
  const std::string header = "run,role,n_params,tokens,flops_per_token,mmlu_bpb,mmlu_acc\n";
  EXPECT_EQ(said_of(header + "a,train,1e8,1e9,7e8,1,0.5\na,train,1e8,2e9,8e8,1,0.5\n"),
            "[plan] t.csv line 3, column 'flops_per_token': got 800000000, but run 'a' has 700000000");
  const LadderTable table = parse_ladder_table(header + "a,train,1e8,1e9,,1,0.5\na,train,1e8,2e9,7e8,1,0.5\n", "t.csv");
  EXPECT_EQ(table.runs[0].flops_per_token, 7e8);
}

TEST(LadderTable, AnUnnamedRunIsRefused) {
  EXPECT_EQ(said_of_row(",train,1e8,1e9,3,1,0.5"), "[plan] t.csv line 2, column 'run': is empty, want the run's name");
}

TEST(LadderTable, OtherRolesAreSkippedWithANote) {
  std::string text = kHeader + "a,train,1e8,1e9,3,1,0.5\n";
  for (const char* role : {"valid", "anneal", "test", "Train", ""}) text += std::string("x,") + role + ",,,,,\n";
  EXPECT_THAT(parse_ladder_table(text, "t.csv").notes,
              ElementsAre("1 rows with role '' were skipped (train and target are used)",
                          "1 rows with role 'Train' were skipped (train and target are used)",
                          "1 rows with role 'anneal' were skipped (train and target are used)",
                          "2 rows with 2 other roles were skipped"));
}

TEST(LadderTable, AnUnmeasuredTaskIsIgnored) {
  const LadderTable table = parse_ladder_table(
      "run,role,n_params,tokens,mmlu_bpb,mmlu_acc,piqa_bpb,piqa_acc,csqa_acc,boolq_bpb,boolq_acc\n"
      "a,train,1e8,1e9,1,0.5,,,0.5,1,0.5\n",
      "t.csv");
  std::vector<std::string> notes;
  EXPECT_THAT(default_tasks(table, notes), ElementsAre(0, 2));
  EXPECT_THAT(notes, ElementsAre("piqa: left out, it lacks accuracy",
                                 "boolq: left out as noisy; name it in --tasks to have it"));
}

TEST(LadderTable, AnyScoreBetweenZeroAndOneStandsForAnAccuracy) {
  const LadderTable table = parse_ladder_table(
      "run,role,n_params,tokens,humaneval_score,drop_score,drop_bpb\n"
      "a,train,1e8,1e9,0,0.25,1.5\n",
      "t.csv");
  EXPECT_THAT(table.tasks, ElementsAre("humaneval", "drop"));
  EXPECT_EQ(table.runs[0].tasks[0].acc[0], 0);
  EXPECT_EQ(table.runs[0].tasks[1].acc[0], 0.25);
  EXPECT_THAT(testing::refusal(
                  [] { parse_ladder_table("run,role,n_params,tokens,a_score,a_acc\nx,train,1e8,1e9,0,0\n", "t.csv"); }),
              HasSubstr("two columns for the accuracy or score of a"));
}

TEST(LadderTable, ATableWithoutTasksOrRungsIsRefused) {
  EXPECT_THAT(said_of("run,role,n_params,tokens\na,train,1,1\n"),
              AllOf(HasSubstr("has no task"), HasSubstr("got 'run, role, n_params, tokens'")));
  const std::string no_rung = "[plan] t.csv has no row with role 'train': there is no ladder to learn from";
  EXPECT_EQ(said_of(kHeader), no_rung);
  EXPECT_EQ(said_of(kHeader + "a,target,1e8,1e9,3,1,0.5\n"), no_rung);
}

TEST(LadderTable, ComputePerTokenIsTheTablesOrThePapersOrSixPerParameter) {
  const LadderTable table = parse_ladder_table(
      "run,role,n_params,tokens,flops_per_token,mmlu_bpb,mmlu_acc\n"
      "a,train,1e8,1e9,7e8,1,0.5\nb,train,2e8,1e9,,1,0.5\nc,train,190354176,1e9,,1,0.5\n",
      "t.csv");
  EXPECT_EQ(table.runs[0].flops_per_token, 7e8);
  EXPECT_EQ(table.runs[1].flops_per_token, 1903391232);
  EXPECT_EQ(table.runs[2].flops_per_token, 1.2e9);
}

TEST(LadderTable, ATargetIsFoundWithinOnePercent) {
  const LadderTable table = small_csv_table();
  EXPECT_EQ(table.find_target(7e9, 4e12), &table.targets[0]);
  EXPECT_EQ(table.find_target(7.06e9, 4.03e12), &table.targets[0]);
  EXPECT_EQ(table.find_target(7.2e9, 4e12), nullptr);
  EXPECT_EQ(table.find_target(7e9, 4.2e12), nullptr);
}

TEST(LadderTable, TheMeanAtTheEndSkipsMissingValuesAndStaysWithinTheLastTenthOfTheTokens) {
  EXPECT_EQ(mean_at_end({96, 97, 98, 100}, {1, 2, kMissing, 4}, 2), 3);
  EXPECT_EQ(mean_at_end({99, 100}, {1, 2}, 5), 1.5);
  EXPECT_EQ(mean_at_end({25, 50, 75, 100}, {1, 2, 3, 4}, 5), 4);
  EXPECT_EQ(mean_at_end({80, 90, 91, 100}, {1, 2, 3, 4}, 5), 3.5);
  EXPECT_TRUE(std::isnan(mean_at_end({50, 100}, {1, kMissing}, 5)));
  EXPECT_TRUE(std::isnan(mean_at_end({99, 100}, {kMissing, kMissing}, 5)));
  EXPECT_TRUE(std::isnan(mean_at_end({100}, {}, 5)));
}

TEST(LadderTable, LongNamesAreShortenedToOneLine) {
  const LadderTable table = parse_ladder_table(kHeader + "\"a\x1b[1m\nb\",train,1e8,1e9,3,1,0.5\n", "t.csv");
  EXPECT_EQ(table.runs[0].name, "a?[1m?b");
  EXPECT_THAT(said_of_row(std::string(5000, 'a') + ",train,1e8,1e9,3,1,0.5"),
              AllOf(HasSubstr("is 5000 bytes long, want a name of at most 100"), SizeIs(::testing::Lt(200u))));
}

}  // namespace
}  // namespace tessera::plan
