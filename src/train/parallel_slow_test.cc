// Real processes of `tessera train` that meet over TCP: the same losses as one, and what remains when one is killed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <future>
#include <sstream>

#include "core/json.h"
#include "core/rng.h"
#include "media/png.h"
#include "tensor/checkpoint.h"
#include "tests/support/process.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

constexpr const char* recipe = R"(
objective = "codec"
[data]
kind = "folder"
[data.folder]
path = "pictures"
size = 16
[model]
name = "tiny"
picture_size = 16
patch = 2
channels = 8
multipliers = [1, 2]
encoder_blocks = 1
decoder_blocks = 1
middle_blocks = 0
norm_groups = 4
bits = 8
scales = [1, 2, 4]
[train]
batch = 2
accumulate = 4
log_every = 1
evaluate_every = 0
checkpoint_every = 100000
peer_timeout = 60
)";

class ParallelProcesses : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "pictures");
    for (int n = 0; n < 5; ++n) {
      Image picture(16, 16, 3);
      for (size_t i = 0; i < picture.pixels.size(); ++i)
        picture.pixels[i] = static_cast<uint8_t>(mix64(i / 7 + 1000 * static_cast<uint64_t>(n)));
      media::write_png(root_ / "pictures" / (std::to_string(n) + ".png"), picture);
      write_file_atomically(root_ / "pictures" / (std::to_string(n) + ".txt"), "noise");
    }
    write_file_atomically(root_ / "recipe.toml", recipe);
    port_ = std::to_string(20000 + mix64(static_cast<uint64_t>(::getpid())) % 20000);
  }
  std::string command(const std::string& out, int steps) const {
    return fmt::format(
        "cd '{}' && exec '{}' train recipe.toml --out {} --set train.steps={} --threads 1 --device cpu --quiet",
        root_.string(), TESSERA_BINARY, out, steps);
  }
  std::future<testing::Finished> start(int rank, int count, const std::string& shell) const {
    return std::async(std::launch::async, [=, this] {
      return testing::run({"/bin/sh", "-c", shell},
                          {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(count), "LOCAL_RANK=0",
                           "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port_});
    });
  }
  std::vector<double> losses(const std::string& out) const {
    std::vector<double> all;
    std::istringstream lines(read_file(root_ / out / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const Json entry = parse_json(line, "metrics");
      if (entry.contains("loss")) all.push_back(entry["loss"].get<double>());
    }
    return all;
  }
  /// Kills the process of `rank` once two steps are logged; returns the output of the other one.
  testing::Finished survivor_of(int killed) {
    const std::string shell = fmt::format(
        "({}) & child=$!; while [ \"$(wc -l < '{}/run/metrics.jsonl' 2>/dev/null || echo 0)\" -lt 2 ]; do sleep 0.05; "
        "done; "
        "kill -9 $child; wait $child",
        command("run", 1000000), root_.string());
    auto victim = start(killed, 2, shell), other = start(1 - killed, 2, command("run", 1000000));
    victim.get();
    return other.get();
  }
  Path root_;
  std::string port_;
};

TEST_F(ParallelProcesses, TwoProcessesGiveTheLossesOfOne) {
  const auto alone = testing::run({"/bin/sh", "-c", command("alone", 6)});
  ASSERT_EQ(alone.status, 0) << alone.err;
  auto first = start(0, 2, command("both", 6)), second = start(1, 2, command("both", 6));
  const auto zero = first.get(), one = second.get();
  ASSERT_EQ(zero.status, 0) << zero.err;
  ASSERT_EQ(one.status, 0) << one.err;
  const auto want = losses("alone"), got = losses("both");
  ASSERT_EQ(want.size(), 6u);
  ASSERT_EQ(got.size(), 6u);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << "step " << i + 1;
  EXPECT_TRUE(std::filesystem::exists(root_ / "both" / "model" / "recipe.toml"));
}

TEST_F(ParallelProcesses, AKilledProcessEndsTheOtherWithOneLineAndACheckpoint) {
  for (const int killed : {1, 0}) {
    std::filesystem::remove_all(root_ / "run");
    const auto left = survivor_of(killed);
    EXPECT_EQ(left.status, 1) << left.err;
    EXPECT_THAT(left.err, HasSubstr("has lost another"));
    EXPECT_THAT(left.err, HasSubstr("go on with --resume"));
    EXPECT_EQ(std::count(left.err.begin(), left.err.end(), '\n'), 1) << left.err;
    const auto steps = CheckpointStore(root_ / "run" / "checkpoints").steps();
    ASSERT_FALSE(steps.empty()) << "killed rank " << killed;
    EXPECT_GE(steps.back(), 2);
  }
}

TEST_F(ParallelProcesses, AProcessThatNeverConnectsTimesOut) {
  const auto lonely = start(0, 2, command("run", 5) + " --set train.peer_timeout=3").get();
  EXPECT_EQ(lonely.status, 1);
  EXPECT_THAT(lonely.err, HasSubstr("could not meet the others at 127.0.0.1:" + port_ + " within 3 s"));
}

}  // namespace
}  // namespace tessera
