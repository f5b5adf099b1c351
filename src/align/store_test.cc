// The store: nothing twice, nothing half, and a reader beside the writer.
#include "align/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "align/export.h"
#include "core/error.h"
#include "core/json.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

using ::testing::HasSubstr;

class AlignStore : public ::testing::Test {
 protected:
  Path file() const { return scratch_ / "store.sqlite"; }
  static std::vector<StoredPrompt> prompts(int count) {
    std::vector<StoredPrompt> all;
    for (int i = 0; i < count; ++i) all.push_back({.text = "prompt " + std::to_string(i), .origin = "synthetic"});
    return all;
  }
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(AlignStore, PromptsThatSayTheSameAreStoredOnce) {
  Store store(file());
  EXPECT_EQ(
      store.add_prompts({{.text = "Write a poem.", .origin = "seed"}, {.text = "write  a POEM", .origin = "seed"}}), 1);
  EXPECT_EQ(
      store.add_prompts({{.text = "Write a poem!", .origin = "synthetic"}, {.text = "Écris", .origin = "synthetic"}}),
      1);
  EXPECT_EQ(store.count_prompts(), 2);
  EXPECT_EQ(store.count_prompts("seed"), 1);
  EXPECT_EQ(store.prompts("synthetic").front().text, "Écris");
}

TEST_F(AlignStore, APromptIsUsedInOneRoundAlone) {
  Store store(file());
  store.add_prompts(prompts(4));
  store.use_prompts({1, 3}, 1);
  EXPECT_EQ(store.prompts_of_round(1).size(), 2u);
  EXPECT_THROW(store.use_prompts({2, 3}, 2), UserError);
  EXPECT_TRUE(store.prompts_of_round(2).empty()) << "all or none";
}

TEST_F(AlignStore, AnswersAndScoresAreKeptAsTheyWereFirst) {
  Store store(file());
  store.add_prompts(prompts(2));
  store.add_answers({{.prompt = 1, .round = 1, .model = "a", .number = 0, .text = "first"},
                     {.prompt = 1, .round = 1, .model = "a", .number = 1, .text = "second", .finished = true}});
  store.add_answers({{.prompt = 1, .round = 1, .model = "a", .number = 0, .text = "again"}});
  EXPECT_EQ(store.count_answers(1), 2);
  EXPECT_TRUE(store.has_answer(1, 1, "a", 1));
  EXPECT_FALSE(store.has_answer(1, 1, "b", 1));
  const std::vector<StoredAnswer> waiting = store.unscored(1, "judge", 10);
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[0].text, "first");
  store.add_scores({{.answer = waiting[0].id, .judge = "judge", .score = 3.5},
                    {.answer = waiting[1].id, .judge = "judge", .score = 7.25}});
  EXPECT_TRUE(store.unscored(1, "judge", 10).empty());
  EXPECT_EQ(store.unscored(1, "another", 10).size(), 2u);
  std::vector<ScoredAnswer> scored;
  store.each_scored(1, "judge", [&](const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers) {
    EXPECT_EQ(prompt.text, "prompt 0");
    scored = answers;
  });
  ASSERT_EQ(scored.size(), 2u);
  EXPECT_EQ(scored[0].answer.text, "second");
  EXPECT_EQ(scored[0].score, 7.25);
  EXPECT_TRUE(scored[0].answer.finished);
}

TEST_F(AlignStore, TheExportHasARowForEachAnswer) {
  Store store(file());
  store.add_prompts(prompts(2));
  store.add_answers({{.prompt = 1, .round = 1, .model = "a", .text = "x\xFFy", .finished = true}});
  store.add_scores({{.answer = 1, .judge = "judge", .score = 4}});
  EXPECT_EQ(export_all(store, scratch_ / "rows.jsonl"), 2);
  std::istringstream lines(read_file(scratch_ / "rows.jsonl"));
  std::string line;
  std::getline(lines, line);
  const Json row = Json::parse(line);
  EXPECT_EQ(row["answer"], "x\uFFFDy");
  EXPECT_EQ(row["score"], 4.0);
}

TEST_F(AlignStore, AReaderSeesWholeTransactionsOfARunningWriter) {
  Store store(file());
  store.add_prompts(prompts(3));
  const Store reader(file(), /*writable=*/false);
  EXPECT_EQ(reader.count_prompts(), 3);
  store.put_step({.name = "round 1: answers", .state = "running", .started = 5});
  store.put_step({.name = "round 1: answers", .state = "done", .started = 9, .seconds = 4});
  ASSERT_EQ(reader.steps().size(), 1u);
  EXPECT_EQ(reader.steps()[0].state, "done");
  EXPECT_EQ(reader.steps()[0].started, 5);
}

TEST_F(AlignStore, FilesOfAnotherKindAreRefused) {
  write_file_atomically(file(), std::string(4096, 'x'));
  EXPECT_THROW(Store{file()}, Error);
  EXPECT_THROW(Store(scratch_ / "none", /*writable=*/false), UserError);
  {
    Store store(scratch_ / "other");
    store.set_note("schema", "99");
  }
  try {
    Store store(scratch_ / "other");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("schema '99', want 1"));
  }
}

TEST_F(AlignStore, AKilledWriterLeavesWholeBatches) {
  for (int round = 0; round < 12; ++round) {
    const Path path = scratch_ / ("killed-" + std::to_string(round));
    const pid_t child = fork();
    if (child == 0) {
      Store store(path);
      for (int batch = 0;; ++batch) {
        std::vector<StoredPrompt> made;
        for (int i = 0; i < 10; ++i) made.push_back({.text = fmt::format("{} {}", batch, i), .origin = "synthetic"});
        store.add_prompts(made, {{"batches", std::to_string(batch + 1)}});
      }
    }
    usleep(static_cast<useconds_t>(20'000 + 7'000 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Store store(path);
    const std::string batches = store.note("batches");
    EXPECT_EQ(store.count_prompts(), batches.empty() ? 0 : 10 * std::stoll(batches));
  }
}

}  // namespace
}  // namespace tessera::align
