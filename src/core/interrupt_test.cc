// One Ctrl-C is a request that every guard sees, two are an order.
#include "core/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

namespace tessera {
namespace {

TEST(Interrupt, TheFirstSignalRaisesAFlagAndTheNextGuardBeginsWithoutIt) {
  for (const int number : {SIGINT, SIGTERM}) {
    const InterruptGuard guard;
    EXPECT_FALSE(InterruptGuard::raised());
    std::raise(number);
    EXPECT_TRUE(InterruptGuard::raised());
  }
}

TEST(Interrupt, ASignalDuringAnInnerGuardIsSeenByTheOuterOneWhichStillGuards) {
  const InterruptGuard outer;
  {
    const InterruptGuard inner;
    std::raise(SIGINT);
  }
  EXPECT_TRUE(InterruptGuard::raised());
  const InterruptGuard next;
  EXPECT_TRUE(InterruptGuard::raised()) << "the next step of a pipeline that was interrupted must see it too";
}

TEST(InterruptDeathTest, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace tessera
