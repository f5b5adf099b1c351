// A request gets the same bytes alone, in a crowd, with a cold, a warm and a full cache, and joined midway; memory comes back; nobody starves.
#include <gmock/gmock.h>

#include "core/error.h"
#include "serve/api_error.h"
#include "serve/testing_engine.h"

namespace tessera::serve {
namespace {

using namespace testing;  // of testing_engine.h

using ::testing::HasSubstr;

TEST(TextEngine, ARequestEqualsWhatTheModelWritesByItself) {
  const auto recorder = alone(20, 5);
  generate::TextOptions options{
      .max_new_tokens = 24, .context = writes().context(), .sampling = {.temperature = 0.9, .seed = 5}};
  const auto steps = writes().steps(1024);
  std::vector<generate::Prompt> prompts = {{.ids = prompt_of(20, 5)}};
  EXPECT_EQ(recorder.texts[0], generate::run(*steps, prompts, writes().tokenizer(), options).front().text);
}

TEST(TextEngine, TheSameBytesAloneAndInACrowdOfSixteen) {
  const std::vector<int64_t> lengths = {1, 7, 31, 32, 33, 64, 200, 255, 256, 257, 300, 400, 20, 20, 450, 12};
  Bench bench;
  std::vector<std::shared_ptr<Recorder>> crowd;
  for (size_t i = 0; i < lengths.size(); ++i) {
    crowd.push_back(std::make_shared<Recorder>());
    bench.engine.submit(task_of(lengths[i], 100 + i, crowd.back()));
  }
  bench.finish();
  for (size_t i = 0; i < lengths.size(); ++i) expect_same(*crowd[i], alone(lengths[i], 100 + i));
}

TEST(TextEngine, TheSameBytesJoinedMidway) {
  Bench bench;
  const auto first = std::make_shared<Recorder>(), later = std::make_shared<Recorder>(),
             last = std::make_shared<Recorder>();
  bench.engine.submit(task_of(40, 1, first));
  for (int i = 0; i < 5; ++i) bench.engine.step();
  bench.engine.submit(task_of(300, 2, later));
  for (int i = 0; i < 9; ++i) bench.engine.step();
  bench.engine.submit(task_of(3, 3, last));
  bench.finish();
  expect_same(*first, alone(40, 1));
  expect_same(*later, alone(300, 2));
  expect_same(*last, alone(3, 3));
}

TEST(TextEngine, TheSameBytesWithAColdAWarmAndAnEvictedCache) {
  Bench bench({.positions = 1024});
  const auto ask = [&](int64_t length, uint64_t seed) {
    auto recorder = std::make_shared<Recorder>();
    bench.engine.submit(task_of(length, seed, recorder));
    bench.finish();
    return recorder;
  };
  const auto cold = ask(300, 7);
  const auto warm = ask(300, 7);
  EXPECT_EQ(cold->cached, 0);
  EXPECT_EQ(warm->cached, 256);
  for (uint64_t seed = 20; seed < 26; ++seed) ask(300, seed);  // more than the memory holds
  const auto evicted = ask(300, 7);
  EXPECT_EQ(evicted->cached, 0);
  expect_same(*cold, *warm);
  expect_same(*cold, *evicted);
  expect_same(*cold, alone(300, 7));
}

TEST(TextEngine, AKnownBeginningIsReadOnceByThoseThatArriveTogether) {
  Bench bench;
  std::vector<std::shared_ptr<Recorder>> crowd;
  for (int i = 0; i < 4; ++i) {
    crowd.push_back(std::make_shared<Recorder>());
    bench.engine.submit(task_of(400, 9, crowd.back()));
  }
  bench.finish();
  int64_t cached = 0;
  for (const auto& one : crowd) {
    expect_same(*one, alone(400, 9));
    cached += one->cached;
  }
  EXPECT_EQ(cached, 3 * 256);
}

TEST(TextEngine, GuessesOfNGramsChangeNoByteAndSaveSteps) {
  const auto ask = [](int64_t speculate, int& steps) {
    Bench bench({.positions = 1024, .speculate = speculate});
    auto recorder = std::make_shared<Recorder>();
    TextTask task = task_of(20, 5, recorder, 200);
    task.options.sampling.temperature = 0;  // a small model then goes in circles
    bench.engine.submit(std::move(task));
    for (steps = 0; bench.engine.step(); ++steps) {
    }
    return recorder;
  };
  int plain = 0, guessed = 0;
  expect_same(*ask(0, plain), *ask(2, guessed));
  EXPECT_LT(guessed, plain * 3 / 4);
}

TEST(TextEngine, ChoicesOfOneRequestDifferAndEachIsItself) {
  Bench bench;
  const auto both = std::make_shared<Recorder>(3);
  bench.engine.submit(task_of(30, 4, both));
  bench.finish();
  EXPECT_EQ(both->done, 3u);
  EXPECT_NE(both->ids[0], both->ids[1]);
  EXPECT_EQ(both->ids[0], alone(30, 4).ids[0]);
}

TEST(TextEngine, RunningSequencesGetATokenBetweenAnyTwoPiecesOfALongPrompt) {
  Bench bench({.positions = 32 * 512, .step_tokens = 32});
  const auto chat = std::make_shared<Recorder>(), book = std::make_shared<Recorder>();
  bench.engine.submit(task_of(5, 1, chat, 60));
  bench.engine.step();
  const size_t before = chat->ids[0].size();
  bench.engine.submit(task_of(480, 2, book));
  int steps = 0;
  while (book->cached < 0) {
    bench.engine.step();
    ++steps;
    EXPECT_EQ(chat->ids[0].size(), before + static_cast<size_t>(steps));
  }
  EXPECT_GE(steps, 2);
  bench.finish();
  expect_same(*book, alone(480, 2));
}

TEST(TextEngine, ClientsTakeTurns) {
  Bench bench({.positions = 32 * 512, .rows = 1});
  std::vector<std::shared_ptr<Recorder>> many;
  for (int i = 0; i < 6; ++i) {
    many.push_back(std::make_shared<Recorder>());
    bench.engine.submit(task_of(4, static_cast<uint64_t>(i), many.back(), 2));
  }
  const auto other = std::make_shared<Recorder>();
  TextTask task = task_of(4, 99, other, 2);
  task.client = "b";
  bench.engine.submit(std::move(task));
  while (other->done == 0) bench.engine.step();
  EXPECT_LE(std::ranges::count_if(many, [](const auto& one) { return one->done > 0; }), 2);
  bench.finish();
}

TEST(TextEngine, AFullQueueIsSaidWithAnIdeaOfWhenToComeBack) {
  Bench bench({.positions = 32 * 512, .queue = 2});
  for (int i = 0; i < 2; ++i) bench.engine.submit(task_of(4, 1, std::make_shared<Recorder>()));
  try {
    bench.engine.submit(task_of(4, 1, std::make_shared<Recorder>()));
    FAIL();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 429);
    EXPECT_EQ(error.reply().headers.back().first, "Retry-After");
  }
  bench.finish();
}

TEST(TextEngine, WhatTheMemoryCanNeverHoldIsRefusedAndWhatItCanWaitsForRoom) {
  Bench bench({.positions = 512});
  EXPECT_THROW(bench.engine.submit(task_of(400, 1, std::make_shared<Recorder>(2), 100)), ApiError);
  std::vector<std::shared_ptr<Recorder>> crowd;
  for (uint64_t i = 0; i < 5; ++i) {
    crowd.push_back(std::make_shared<Recorder>());
    bench.engine.submit(task_of(400, i, crowd.back(), 100));  // all of the memory, each
  }
  bench.finish();
  for (uint64_t i = 0; i < 5; ++i) expect_same(*crowd[i], alone(400, i, 100));
  EXPECT_EQ(bench.engine.held(), 0);
}

TEST(TextEngine, OfAThousandClientsThatLeaveAnywhereNothingStays) {
  Bench bench({.positions = 16 * 512, .rows = 16, .queue = 2000});
  Rng rng(3);
  std::vector<std::shared_ptr<Recorder>> all;
  for (int i = 0; i < 1000; ++i) {
    auto one = std::make_shared<Recorder>(1 + rng.below(2));
    one->leaves_after =
        static_cast<int64_t>(rng.below(4));  // 0: it leaves below, in the queue or while its prompt is read
    TextTask task = task_of(1 + static_cast<int64_t>(rng.below(90)), rng.below(5), one, 8);
    task.client = std::to_string(rng.below(7));
    bench.engine.submit(std::move(task));
    all.push_back(std::move(one));
    if (rng.below(3) == 0) bench.engine.step();
    auto& victim = *all[rng.below(all.size())];
    if (victim.leaves_after == 0) victim.left = true;
  }
  for (const auto& one : all) one->left = one->left || one->leaves_after == 0;
  bench.finish();
  EXPECT_EQ(bench.engine.held(), 0);
  EXPECT_EQ(bench.engine.waiting(), 0u);
  EXPECT_EQ(bench.engine.running(), 0u);
  for (const auto& one : all) EXPECT_TRUE(one->error != nullptr || one->done == one->texts.size());
  const auto after = std::make_shared<Recorder>();
  bench.engine.submit(task_of(300, 7, after));
  bench.finish();
  expect_same(*after, alone(300, 7));
}

TEST(TextEngine, ThoseWhoWaitKeepTheirOrderWhenOneOfThemLeaves) {
  Bench bench({.positions = 32 * 512, .rows = 1});
  std::vector<std::shared_ptr<Recorder>> line;
  for (uint64_t i = 0; i < 8; ++i) {
    line.push_back(std::make_shared<Recorder>());
    bench.engine.submit(task_of(4, i, line.back(), 2));
  }
  line[1]->left = line[2]->left = true;
  for (size_t next = 0; next < line.size(); ++next) {
    if (line[next]->left) continue;
    while (line[next]->done == 0) ASSERT_TRUE(bench.engine.step());
    for (size_t after = next + 1; after < line.size(); ++after)
      EXPECT_EQ(line[after]->done, 0u) << next << " " << after;
  }
}

TEST(TextEngine, NotesAreTheModelsOwnDistribution) {
  const auto recorder = alone(20, 5);
  Writes::ScoreRequest request{.prompt = prompt_of(20, 5), .continuation = recorder.ids[0]};
  const auto scored = writes().score({request}).front();
  ASSERT_EQ(scored.size(), recorder.logs[0].size());
  for (size_t i = 0; i < scored.size(); ++i) EXPECT_NEAR(recorder.logs[0][i], scored[i].log_probability, 1e-4);
}

}  // namespace
}  // namespace tessera::serve
