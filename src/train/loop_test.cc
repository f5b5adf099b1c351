// The loop's promises: a resumed run equals one that was never stopped, bad numbers stop it, nothing good is lost.
#include "train/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/checkpoint.h"
#include "tensor/weights.h"

namespace tessera::train {
namespace {

/// Sample i has the caption "i".
class Counting final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.caption = std::to_string(index)}; }
};

/// Fits a vector to noisy targets that depend on the samples and on the step's random numbers.
class Toy final : public Objective {
 public:
  explicit Toy(int64_t interrupt_at = -1, int64_t bad_at = -1)
      : weight_(at::full({4}, 1.0)), interrupt_at_(interrupt_at), bad_at_(bad_at) {}
  std::vector<Parameter> parameters() override { return {{.name = "weight", .tensor = weight_}}; }
  std::unique_ptr<Prepared> prepare(Sample sample) const override {
    return std::make_unique<Number>(std::stod(sample.caption));
  }
  Loss prepared_loss(const PreparedBatch& batch, const StepContext& context) override {
    Rng rng = context.rng;
    double target = rng.uniform();
    for (const Number* number : prepared_as<Number>(batch)) target += 0.01 * number->value;
    if (context.step + 1 == interrupt_at_) InterruptGuard::raise();
    if (context.step + 1 == bad_at_) target = std::numeric_limits<double>::quiet_NaN();
    return {(weight_ - target).square().mean(), {}};
  }
  void save_model(const Path& directory, FileSystem& files) override {
    files.create_directories(directory);
    save_tensors(directory / "model.safetensors", {{"weight", weight_.detach()}}, files);
  }
  std::map<std::string, double> evaluate() override { return {{"mean_weight", weight_.mean().item<double>()}}; }

 private:
  struct Number final : Prepared {
    explicit Number(double given) : value(given) {}
    double value;
  };
  Tensor weight_;
  int64_t interrupt_at_, bad_at_;
};

class TrainLoop : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    root_ = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
  }
  static TrainConfig config() {
    TrainConfig c;
    c.steps = 12;
    c.batch = 3;
    c.accumulate = 2;
    c.log_every = 1;
    c.evaluate_every = 5;
    c.checkpoint_every = 4;
    c.schedule.learning_rate = 0.05;
    c.schedule.warmup_steps = 2;
    c.optimizer.ema = 0.9;
    return c;
  }
  TrainResult run(Toy toy, const std::string& name, bool resume = false, TrainConfig c = config()) {
    return train(toy, Counting(), c, {.directory = root_ / name, .resume = resume});
  }
  std::string model(const std::string& name) const { return read_file(root_ / name / "model" / "model.safetensors"); }
  std::vector<int64_t> logged_steps(const std::string& name) const {
    std::vector<int64_t> steps;
    std::istringstream lines(read_file(root_ / name / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const Json entry = Json::parse(line);
      if (entry.contains("loss")) steps.push_back(entry["step"].get<int64_t>());
    }
    return steps;
  }
  Path root_;
};

TEST_F(TrainLoop, AnInterruptedAndResumedRunEndsWithTheSameBytes) {
  run(Toy(), "whole");
  const TrainResult first = run(Toy(7), "stopped");
  EXPECT_TRUE(first.interrupted);
  EXPECT_EQ(first.steps, 7);
  const TrainResult second = run(Toy(), "stopped", /*resume=*/true);
  EXPECT_FALSE(second.interrupted);
  EXPECT_EQ(second.steps, 12);
  EXPECT_EQ(model("stopped"), model("whole"));
}

TEST_F(TrainLoop, StopsWhenAWindowsMeanLossIsLowAlsoAfterAResume) {
  TrainConfig c = config();
  c.steps = 400;
  c.stop_window = 6;
  c.stop_loss = 0.2;
  c.evaluate_every = 0;
  const TrainResult whole = run(Toy(), "whole", false, c);
  EXPECT_LT(whole.steps, 400);
  EXPECT_EQ(whole.steps % 6, 0);
  double sum = 0;
  std::istringstream lines(read_file(root_ / "whole" / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line);
    if (entry.contains("loss") && entry["step"].get<int64_t>() > whole.steps - 6) sum += entry["loss"].get<double>();
  }
  EXPECT_LT(sum / 6, 0.2);

  run(Toy(whole.steps - 2), "stopped", false, c);
  EXPECT_EQ(run(Toy(), "stopped", /*resume=*/true, c).steps, whole.steps);
  EXPECT_EQ(model("stopped"), model("whole"));
  EXPECT_EQ(run(Toy(), "stopped", /*resume=*/true, c).steps, whole.steps) << "it had stopped by itself";
  EXPECT_EQ(logged_steps("stopped"), logged_steps("whole"));
}

TEST_F(TrainLoop, ARunKilledBetweenCheckpointsRepeatsTheLostStepsAndEndsTheSame) {
  run(Toy(), "whole");
  EXPECT_THROW(run(Toy(-1, 7), "killed"), FaultError);  // dies at step 7, checkpoint at 4
  run(Toy(), "killed", /*resume=*/true);
  EXPECT_EQ(model("killed"), model("whole"));
  EXPECT_EQ(logged_steps("killed"), logged_steps("whole")) << "no step stands twice in metrics.jsonl";
}

TEST_F(TrainLoop, APartialLastLineOfTheMetricsIsRemovedOnResume) {
  run(Toy(7), "torn");
  disk().open_append(root_ / "torn" / "metrics.jsonl")->append("{\"step\": 7, \"lo");
  run(Toy(), "torn", /*resume=*/true);
  EXPECT_EQ(logged_steps("torn").size(), 12u);
}

TEST_F(TrainLoop, ANonFiniteLossStopsAndNamesTheLastCheckpoint) {
  try {
    run(Toy(-1, 10), "bad");
    FAIL();
  } catch (const FaultError& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("loss is nan at step 10"), ::testing::HasSubstr("step-8")));
  }
  EXPECT_TRUE(CheckpointStore(root_ / "bad" / "checkpoints").latest().has_value());
}

TEST_F(TrainLoop, ResumingAnotherShapeIsAUserError) {
  run(Toy(7), "shape");
  TrainConfig other = config();
  other.optimizer.ema = 0;  // the state has averages that this run does not use
  EXPECT_THROW(run(Toy(), "shape", /*resume=*/true, other), UserError);
}

TEST_F(TrainLoop, TheLogHoldsEveryStepOnceWithItsLearningRate) {
  run(Toy(), "logged");
  EXPECT_THAT(logged_steps("logged"), ::testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
}

/// Pulls a number towards each sample's own, as many times as the sample's caption says: a micro-batch counts by its weight.
class Weighted final : public Objective {
 public:
  std::vector<Parameter> parameters() override { return {{.name = "weight", .tensor = weight_}}; }
  Loss prepared_loss(const PreparedBatch& batch, const StepContext&) override {
    const double heavy = std::stod(prepared_as<PreparedSample>(batch).front()->sample.caption) + 1;
    return {.value = weight_.sum() * heavy, .weight = heavy};
  }
  void save_model(const Path&, FileSystem&) override {}
  Tensor weight_ = at::zeros({1});
};

TEST_F(TrainLoop, MicroBatchesCountByTheirWeights) {
  TrainConfig c = config();
  c.steps = 1;
  c.batch = 1;
  c.accumulate = 3;
  c.schedule.warmup_steps = 0;
  c.optimizer.clip = 0;
  Weighted objective;
  train(objective, Counting(), c, {.directory = root_ / "weighted"});
  const Json line = Json::parse(read_file(root_ / "weighted" / "metrics.jsonl"));
  EXPECT_NEAR(line["gradient_norm"].get<double>(), (1.0 + 4 + 9) / (1 + 2 + 3), 1e-6);  // sum of w^2 over sum of w
  EXPECT_NEAR(line["loss"].get<double>(), 0, 1e-9);
}

/// Notes which thread prepares, and which computes the loss.
class NotesThreads final : public Objective {
 public:
  std::vector<Parameter> parameters() override { return {{.name = "weight", .tensor = weight_}}; }
  std::unique_ptr<Prepared> prepare(Sample sample) const override {
    if (sample.caption == refused) throw UserError("[toy] sample {} cannot be learnt", sample.caption);
    const std::lock_guard lock(mutex_);
    preparing_.insert(std::this_thread::get_id());
    ++prepared_;
    return Objective::prepare(std::move(sample));
  }
  Loss prepared_loss(const PreparedBatch&, const StepContext&) override {
    const std::lock_guard lock(mutex_);
    computing_.insert(std::this_thread::get_id());
    return {.value = weight_.sum()};
  }
  void save_model(const Path&, FileSystem&) override {}
  std::string refused;
  mutable std::mutex mutex_;
  mutable std::set<std::thread::id> preparing_;
  mutable int64_t prepared_ = 0;
  std::set<std::thread::id> computing_;
  Tensor weight_ = at::zeros({1});
};

TEST_F(TrainLoop, SamplesArePreparedOnceEachAndNeverByTheThreadOfTheSteps) {
  NotesThreads objective;
  train(objective, Counting(), config(), {.directory = root_ / "threads"});
  EXPECT_EQ(objective.prepared_, 12 * 3 * 2);
  ASSERT_EQ(objective.computing_.size(), 1u);
  EXPECT_FALSE(objective.preparing_.contains(*objective.computing_.begin()));
}

TEST_F(TrainLoop, ASampleThatCannotBePreparedEndsTheRunWithItsOwnError) {
  NotesThreads objective;
  objective.refused = "30";
  try {
    train(objective, Counting(), config(), {.directory = root_ / "refused"});
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_STREQ(error.what(), "[toy] sample 30 cannot be learnt");
  }
}

TEST_F(TrainLoop, InvalidSettingsAreRefusedBeforeAnythingIsWritten) {
  TrainConfig c = config();
  c.batch = 0;
  EXPECT_THROW(run(Toy(), "none", false, c), UserError);
  EXPECT_FALSE(std::filesystem::exists(root_ / "none"));
}

}  // namespace
}  // namespace tessera::train
