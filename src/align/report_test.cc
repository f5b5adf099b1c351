// The page of a run: what it says, and that texts of models stay texts.
#include "align/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scratch.h"
#include "tests/support/user_error.h"

namespace tessera::align {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(AlignReport, ShowsScoresAnswersClustersAndCostsAndNothingThatAModelWroteIsMarkup) {
  const tessera::testing::ScratchFolder scratch;
  Store store(scratch / "store.sqlite");
  EXPECT_THAT(tessera::testing::user_error([&] { write_align_report(store, scratch / "none.html", {}); }),
              HasSubstr("has not begun"));
  store.add_prompts({{.text = "ask <one>", .origin = "synthetic"}, {.text = "ask two", .origin = "synthetic"}},
                    {{"recipe", R"({"base":"models/b"})"}});
  store.set_clusters({{1, 0}, {2, 1}});
  store.add_answers(
      {{.prompt = 1, .round = 1, .model = "sft-1", .number = 0, .text = "</script><b>bad", .finished = true},
       {.prompt = 1, .round = 1, .model = "sft-2", .number = 0, .text = "Grüße", .finished = true},
       {.prompt = 2, .round = 2, .model = "sft-1", .number = 0, .text = "second", .finished = true}});
  store.add_scores({{.answer = 1, .judge = "judge", .score = 1.25, .mass = 1},
                    {.answer = 2, .judge = "judge", .score = 8.5, .mass = 1},
                    {.answer = 3, .judge = "judge", .score = 6, .mass = 1}});
  store.put_step(
      {.name = "round 1: answers", .state = "done", .started = 1, .seconds = 65, .detail = R"({"answers":2})"});
  write_align_report(store, scratch / "page.html", {.examples = 1, .name = "mine"});
  const std::string page = read_file(scratch / "page.html");
  EXPECT_THAT(page, HasSubstr("Alignment run mine"));
  EXPECT_THAT(page, HasSubstr("made by tessera align"));
  EXPECT_THAT(page, HasSubstr("ask &lt;one&gt;"));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;b&gt;bad"));
  EXPECT_THAT(page, Not(HasSubstr("<b>bad")));
  EXPECT_THAT(page, HasSubstr("Grüße"));
  EXPECT_THAT(page, Not(HasSubstr("second</td>"))) << "one example of each kind was asked for";
  EXPECT_THAT(page, HasSubstr("sft-1 0 of 1, sft-2 1 of 1"));
  EXPECT_THAT(page, HasSubstr("1m05s"));
}

TEST(AlignReport, AnswersWithoutAScoreAreToldAndLeftOutOfMeansAndWorstAnswers) {
  const tessera::testing::ScratchFolder scratch;
  Store store(scratch / "store.sqlite");
  store.add_prompts({{.text = "ask one", .origin = "synthetic"}, {.text = "ask two", .origin = "synthetic"}},
                    {{"recipe", R"({"base":"models/b"})"}});
  store.add_answers(
      {{.prompt = 1, .round = 1, .model = "sft-1", .number = 0, .text = "the better one", .finished = true},
       {.prompt = 1, .round = 1, .model = "sft-1", .number = 1, .text = "the worse one", .finished = true},
       {.prompt = 1, .round = 1, .model = "sft-2", .number = 0, .text = "not judged", .finished = true},
       {.prompt = 2, .round = 2, .model = "sft-1", .number = 0, .text = "not judged either", .finished = true}});
  store.add_scores({{.answer = 1, .judge = "judge", .score = 8, .mass = 1},
                    {.answer = 2, .judge = "judge", .score = 4, .mass = 1},
                    {.answer = 3, .judge = "judge", .score = 0, .mass = 0},
                    {.answer = 4, .judge = "judge", .score = 0, .mass = 0}});
  write_align_report(store, scratch / "page.html", {.name = "mine"});
  const std::string page = read_file(scratch / "page.html");
  EXPECT_THAT(page, HasSubstr("no score to 2 of 4 answers"));
  EXPECT_THAT(page, HasSubstr("6.00 to 6.00")) << "the mean of the two that have a score";
  EXPECT_THAT(page, HasSubstr("Round 1: 2 answers, 1 more without a score"));
  EXPECT_THAT(page, HasSubstr("the worse one"));
  EXPECT_THAT(page, Not(HasSubstr("not judged"))) << "it is no worst answer";
  EXPECT_THAT(page, HasSubstr("sft-1 1 of 2, sft-2 0 of 1"));
}

}  // namespace
}  // namespace tessera::align
