// Shapes of the learning-rate schedules.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera::train {
namespace {

TEST(Schedule, WarmsUpLinearlyToTheTop) {
  const ScheduleConfig c{.learning_rate = 1.0, .warmup_steps = 10};
  EXPECT_DOUBLE_EQ(learning_rate_at(c, 0, 100), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate_at(c, 9, 100), 1.0);
}

TEST(Schedule, CosineFallsToTheFloorAndIsHalfwayInTheMiddle) {
  const ScheduleConfig c{.kind = "cosine", .learning_rate = 2.0, .warmup_steps = 0, .floor = 0.1};
  EXPECT_NEAR(learning_rate_at(c, 49, 100), 2.0 * (0.1 + 0.9 * 0.5), 1e-12);
  EXPECT_NEAR(learning_rate_at(c, 99, 100), 0.2, 1e-12);
}

TEST(Schedule, WsdStaysAtTheTopUntilTheFinalDecay) {
  const ScheduleConfig c{.kind = "wsd", .learning_rate = 1.0, .warmup_steps = 0, .floor = 0.0, .decay_share = 0.2};
  EXPECT_DOUBLE_EQ(learning_rate_at(c, 78, 100), 1.0);
  EXPECT_NEAR(learning_rate_at(c, 89, 100), 0.5, 1e-9);
  EXPECT_NEAR(learning_rate_at(c, 99, 100), 0.0, 1e-12);
}

TEST(Schedule, NeverRisesAfterTheWarmUp) {
  for (const std::string kind : {"cosine", "wsd", "constant"}) {
    const ScheduleConfig c{.kind = kind, .warmup_steps = 20};
    for (int64_t step = 20; step < 199; ++step)
      EXPECT_GE(learning_rate_at(c, step, 200), learning_rate_at(c, step + 1, 200)) << kind << step;
  }
}

TEST(Schedule, AnUnknownKindNamesTheNearest) {
  try {
    validate(ScheduleConfig{.kind = "cosin"});
    FAIL();
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[train] unknown schedule 'cosin'; did you mean 'cosine'?");
  }
}

}  // namespace
}  // namespace tessera::train
