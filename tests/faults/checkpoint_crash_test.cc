// A crash or a fault at any operation of a save, with any loss of what was not synced: the last checkpoint loads whole.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "tests/faults/checkpoint_fixture.h"
#include "tests/faults/faulty_files.h"
#include "tests/support/scratch.h"

namespace tessera::testing {
namespace {

namespace fs = std::filesystem;

/// A run's folder on a faulty disk, with step 10 saved and durable.
struct Scene {
  ScratchFolder scratch{ScratchFolder::On::memory};
  FaultyFiles files{scratch.path()};
  Path directory = scratch / "checkpoints";
  CheckpointStore store{directory, files, 1};

  Scene() {
    set_log_level(LogLevel::quiet);
    save_step(store, 10);
    files.set_plan({});
  }
  ~Scene() { set_log_level(LogLevel::info); }

  /// The step that loads; -1 when there is none. A checkpoint that is offered but not whole is a failure.
  int64_t loaded() const {
    const auto latest = store.latest();
    if (!latest) return -1;
    const Examined examined = examine_checkpoint(*latest);
    EXPECT_EQ(examined.fault, "") << *latest;
    return examined.step.value_or(-2);
  }
  /// After any fault, saving continues and leaves only whole checkpoints.
  void expect_recovery() {
    files.set_plan({});
    save_step(store, 30);
    EXPECT_EQ(loaded(), 30);
    for (const auto& item : fs::directory_iterator(directory)) EXPECT_EQ(item.path().filename(), "step-30");
  }
};

int64_t operations_of_save(int64_t step) {
  Scene scene;
  save_step(scene.store, step);
  return scene.files.operations();
}

struct Crash {
  Loss loss;
  uint64_t seed;
};
std::vector<Crash> crashes() {
  std::vector<Crash> all;
  for (const Loss loss : all_losses) all.push_back({loss, 0});
  for (uint64_t seed = 1; seed < 6; ++seed) all.push_back({Loss::some, seed});
  return all;
}

TEST(CheckpointCrash, APowerCutAnywhereInASaveLeavesAWholeCheckpoint) {
  const int64_t operations = operations_of_save(20);
  ASSERT_GT(operations, 25);
  std::set<int64_t> outcomes;
  for (int64_t cut = 0; cut < operations; ++cut) {
    for (const auto& [loss, seed] : crashes()) {
      SCOPED_TRACE(fmt::format("cut at {}, loss {}, seed {}", cut, static_cast<int>(loss), seed));
      Scene scene;
      scene.files.set_plan({.cut_at = cut});
      EXPECT_THROW(save_step(scene.store, 20), PowerCut);
      scene.files.crash(loss, seed + static_cast<uint64_t>(cut) * 16);
      const int64_t step = scene.loaded();
      EXPECT_TRUE(step == 10 || step == 20) << step;
      outcomes.insert(step);
      scene.expect_recovery();
    }
  }
  EXPECT_EQ(outcomes, (std::set<int64_t>{10, 20}));
}

TEST(CheckpointCrash, ASaveThatReturnedSurvivesAnyCrash) {
  for (const auto& [loss, seed] : crashes()) {
    SCOPED_TRACE(fmt::format("loss {}, seed {}", static_cast<int>(loss), seed));
    Scene first;
    first.files.crash(loss, seed);
    EXPECT_EQ(first.loaded(), 10);  // even the first one, whose folder was made by the save itself
    Scene second;
    save_step(second.store, 20);
    second.files.crash(loss, seed);
    EXPECT_EQ(second.loaded(), 20);
  }
}

TEST(CheckpointCrash, APowerCutWhileAStepIsSavedAgainLeavesThatStep) {
  const int64_t operations = operations_of_save(10);
  for (int64_t cut = 0; cut < operations; ++cut) {
    for (const auto& [loss, seed] : crashes()) {
      SCOPED_TRACE(fmt::format("cut at {}, loss {}, seed {}", cut, static_cast<int>(loss), seed));
      Scene scene;
      scene.files.set_plan({.cut_at = cut});
      EXPECT_THROW(save_step(scene.store, 10), PowerCut);
      scene.files.crash(loss, seed + static_cast<uint64_t>(cut) * 16);
      EXPECT_EQ(scene.loaded(), 10);
      scene.expect_recovery();
    }
  }
}

TEST(CheckpointCrash, ADiskErrorAnywhereIsAFaultAndTheLastCheckpointLoads) {
  const int64_t operations = operations_of_save(20);
  int64_t thrown = 0;
  for (int64_t at = 0; at < operations; ++at) {
    for (const int64_t until : {int64_t{0}, never}) {  // one operation fails, or all from there on
      SCOPED_TRACE(fmt::format("fails at {} until {}", at, until));
      Scene scene;
      scene.files.set_plan({.fail_at = at, .fail_until = until});
      try {
        save_step(scene.store, 20);
        EXPECT_EQ(scene.loaded(), 20);
      } catch (const FaultError& error) {
        ++thrown;
        EXPECT_NE(std::string(error.what()).find("Input/output error"), std::string::npos) << error.what();
        const int64_t step = scene.loaded();
        EXPECT_TRUE(step == 10 || step == 20) << step;
      }
      EXPECT_TRUE(until != 0 || !fs::exists(scene.directory / "step-20.partial"));
      scene.expect_recovery();
    }
  }
  EXPECT_GT(thrown, operations);  // only faults in the tidying after a save are mere warnings
}

TEST(CheckpointCrash, AFullDiskIsAFaultThatKeepsTheLastCheckpointAndFreesItsSpace) {
  const uint64_t whole = [] {
    Scene scene;
    uint64_t bytes = 0;
    for (const auto& item : fs::recursive_directory_iterator(scene.directory))
      bytes += item.is_regular_file() ? item.file_size() : 0;
    return bytes;
  }();
  int64_t refused = 0, saved = 0;
  for (uint64_t capacity = whole; capacity < 2 * whole + 100; capacity += 37) {
    SCOPED_TRACE(fmt::format("capacity {} of {}", capacity, whole));
    Scene scene;
    scene.files.set_plan({.capacity = capacity});
    try {
      save_step(scene.store, 20);
      ++saved;
      EXPECT_EQ(scene.loaded(), 20);
    } catch (const FaultError& error) {
      ++refused;
      EXPECT_NE(std::string(error.what()).find("No space left on device"), std::string::npos) << error.what();
      EXPECT_EQ(scene.loaded(), 10);
      EXPECT_FALSE(fs::exists(scene.directory / "step-20.partial"));
    }
    scene.expect_recovery();
  }
  EXPECT_GT(refused, 5);
  EXPECT_GT(saved, 0);
}

TEST(CheckpointCrash, ACheckpointDamagedAfterwardsIsSkippedForTheOneBefore) {
  ScratchFolder scratch{ScratchFolder::On::memory};
  FaultyFiles files(scratch.path());
  CheckpointStore store(scratch / "checkpoints", files, 3);
  for (const int64_t step : {10, 20, 30}) save_step(store, step);
  set_log_level(LogLevel::quiet);
  disk().truncate(scratch / "checkpoints/step-30/optimizer/moments", 299);
  fs::remove(scratch / "checkpoints/step-20/note");
  EXPECT_EQ(store.latest(), scratch / "checkpoints/step-10");
  EXPECT_EQ(store.steps(), std::vector<int64_t>{10});
  set_log_level(LogLevel::info);
}

TEST(AtomicFile, APowerCutLeavesTheOldBytesOrTheNewOnes) {
  constexpr std::string_view before = "the bytes before", after = "the other bytes";
  for (int64_t cut = 0; cut <= 6; ++cut) {
    for (const auto& [loss, seed] : crashes()) {
      SCOPED_TRACE(fmt::format("cut at {}, loss {}, seed {}", cut, static_cast<int>(loss), seed));
      ScratchFolder folder{ScratchFolder::On::memory};
      FaultyFiles files(folder.path());
      write_file_atomically(folder / "card", before, files);
      files.set_plan({.cut_at = cut});
      bool returned = false;
      try {
        write_file_atomically(folder / "card", after, files);
        returned = true;
      } catch (const PowerCut&) {
      }
      EXPECT_EQ(returned, cut == 6);  // create, write, sync, close, rename, sync of the folder
      files.crash(loss, seed);
      const std::string bytes = read_file(folder / "card");
      EXPECT_TRUE(bytes == after || (bytes == before && !returned)) << bytes;
    }
  }
}

}  // namespace
}  // namespace tessera::testing
