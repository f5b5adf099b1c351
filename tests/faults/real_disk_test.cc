// The same promises on the real disk: a process that is killed in the middle of saves, and a disk that refuses to grow.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "tests/faults/checkpoint_fixture.h"
#include "tests/support/scratch.h"

namespace tessera::testing {
namespace {

namespace fs = std::filesystem;

/// A child that saves steps first, first + 1, ... until it is killed and reports each save that returned.
struct Saver {
  pid_t process;
  int reports;  // reading end of a pipe

  Saver(const Path& directory, int64_t first) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    process = ::fork();
    if (process == 0) {
      ::close(ends[0]);
      CheckpointStore store(directory);
      for (int64_t step = first;; ++step) {
        save_step(store, step);
        if (::write(ends[1], &step, sizeof step) != sizeof step) ::_exit(1);
      }
    }
    ::close(ends[1]);
    reports = ends[0];
  }

  /// Kills it `microseconds` after a number of saves; returns the last step that it reported, -1 for none.
  int64_t kill_after(int saves, useconds_t pause) {
    int64_t step = -1, last = -1;
    for (int i = 0; i < saves; ++i) {
      if (::read(reports, &step, sizeof step) == sizeof step) last = step;
    }
    ::usleep(pause);
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
    while (::read(reports, &step, sizeof step) == sizeof step) last = step;
    ::close(reports);
    return last;
  }
};

TEST(KilledProcess, KeepsEveryCheckpointThatItReported) {
  set_log_level(LogLevel::quiet);
  const ScratchFolder scratch;
  const Path directory = scratch / "checkpoints";
  Rng rng(1);
  int64_t newest = -1;
  int torn = 0;
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(round);
    const int64_t reported =
        Saver(directory, newest + 1).kill_after(round == 0 ? 2 : 0, static_cast<useconds_t>(rng.below(4000)));
    for (const auto& item : fs::directory_iterator(directory)) torn += item.path().extension() == ".partial";
    newest = std::max(newest, reported);
    const auto latest = CheckpointStore(directory).latest();
    ASSERT_TRUE(latest);
    const Examined examined = examine_checkpoint(*latest);
    ASSERT_EQ(examined.fault, "");
    EXPECT_GE(*examined.step, newest);
    EXPECT_LE(*examined.step, newest + 1);  // a save may be whole before its report
    newest = *examined.step;
  }
  EXPECT_GT(torn, 0) << "no kill met a save, so nothing was shown";
  EXPECT_GE(newest, 1);
  set_log_level(LogLevel::info);
}

/// For one scope, no file of this process grows beyond `bytes`: what a quota does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  sighandler_t old_handler_;
};

TEST(RealDisk, WhenWritesFailIsAFaultAndTheLastCheckpointLoads) {
  const ScratchFolder scratch;
  CheckpointStore store(scratch / "checkpoints");
  save_step(store, 10);
  {
    const FileSizeLimit limit(256);
    EXPECT_THROW(save_step(store, 20), FaultError);
  }
  EXPECT_EQ(store.latest(), scratch / "checkpoints/step-10");
  EXPECT_EQ(examine_checkpoint(*store.latest()).fault, "");
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch / "checkpoints"), fs::directory_iterator()), 1);
  save_step(store, 20);
  EXPECT_EQ(store.latest(), scratch / "checkpoints/step-20");
}

TEST(RealDisk, WhenFullIsAFaultThatNamesPathAndReason) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  try {
    disk().create("/dev/full")->append("x");
    FAIL() << "a full device took a byte";
  } catch (const FaultError& error) {
    EXPECT_STREQ(error.what(), "[files] cannot write /dev/full: No space left on device");
    EXPECT_EQ(error.exit_status(), 1);
  }
}

}  // namespace
}  // namespace tessera::testing
