// Launchers' variables are read as they write them, and shares of several processes add up to the whole.
#include "train/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <barrier>
#include <map>
#include <thread>

#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/checkpoint.h"
#include "tensor/weights.h"
#include "train/loop.h"

namespace tessera::train {
namespace {

using Variables = std::map<std::string, std::string>;

PeerSetup setup_of(const Variables& variables) {
  return peer_setup([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(PeerSetup, EachLaunchersVariablesAreRead) {
  EXPECT_EQ(setup_of({}), PeerSetup{});
  EXPECT_EQ(
      setup_of({{"RANK", "3"},
                {"WORLD_SIZE", "4"},
                {"LOCAL_RANK", "1"},
                {"MASTER_ADDR", "node1"},
                {"MASTER_PORT", "1234"},
                {"TORCHELASTIC_USE_AGENT_STORE", "True"}}),
      (PeerSetup{.rank = 3, .count = 4, .local_rank = 1, .address = "node1", .port = 1234, .rendezvous_exists = true}));
  EXPECT_EQ(setup_of({{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                      {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}}),
            (PeerSetup{.rank = 1, .count = 2, .local_rank = 1}));
  EXPECT_EQ(setup_of({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MASTER_ADDR", "a"}}),
            (PeerSetup{.rank = 1, .count = 2, .address = "a"}));
  EXPECT_EQ(setup_of({{"SLURM_PROCID", "5"},
                      {"SLURM_STEP_NUM_TASKS", "8"},
                      {"SLURM_LOCALID", "1"},
                      {"SLURM_JOB_ID", "70123"},
                      {"SLURM_STEP_NODELIST", "gpu[03-06,9]"}}),
            (PeerSetup{.rank = 5, .count = 8, .local_rank = 1, .address = "gpu03", .port = 20123}));
}

TEST(PeerSetup, ListsOfMachinesFromSlurmAreExpanded) {
  const auto first = [](const std::string& list) {
    return setup_of({{"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_STEP_NODELIST", list}}).address;
  };
  EXPECT_EQ(first("one"), "one");
  EXPECT_EQ(first("one,two"), "one");
  EXPECT_EQ(first("n[7,9]"), "n7");
  EXPECT_EQ(first("n[1-3]-ib,m2"), "n1-ib");
  EXPECT_EQ(first("a,n[1-3]"), "a");
  EXPECT_EQ(first("n["), "n");
}

TEST(PeerSetup, OneProcessOfABatchScriptRunsAlone) {
  EXPECT_EQ(setup_of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}), PeerSetup{});
  EXPECT_EQ(setup_of({{"RANK", "7"}}), PeerSetup{}) << "a variable of that name alone means nothing";
}

TEST(PeerSetup, ContradictorySettingsAreRefusedByName) {
  const std::vector<std::pair<Variables, std::string>> mistakes = {
      {{{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "RANK is 2, but WORLD_SIZE is 2"},
      {{{"RANK", "x"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "RANK is 'x'"},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}}, "MASTER_ADDR is not set"},
      {{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}}, "MASTER_PORT is '70000'"},
      {{{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}},
       "mpirun -x MASTER_ADDR"},
      {{{"OMPI_COMM_WORLD_RANK", "0"}}, "OMPI_COMM_WORLD_SIZE is not"}};
  for (const auto& [variables, words] : mistakes) {
    try {
      setup_of(variables);
      FAIL() << words;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
    }
  }
}

/// Processes of a run as threads of one: sums through shared memory.
class Threads {
 public:
  explicit Threads(int64_t count) : count(count), barrier(count), parts(static_cast<size_t>(count)) {}
  const int64_t count;
  std::barrier<> barrier;
  std::vector<std::vector<Tensor>> parts;
};
class ThreadPeers final : public Peers {
 public:
  ThreadPeers(Threads& all, int64_t rank) : all_(all), rank_(rank) {}
  int64_t rank() const override { return rank_; }
  int64_t count() const override { return all_.count; }
  void sum(const std::vector<Tensor>& tensors) override {
    exchange(tensors, [&](size_t i) {
      Tensor total = all_.parts[0][i].clone();
      for (size_t r = 1; r < all_.parts.size(); ++r) total += all_.parts[r][i];
      return total;
    });
  }
  void broadcast(const std::vector<Tensor>& tensors) override {
    exchange(tensors, [&](size_t i) { return all_.parts[0][i].clone(); });
  }

 private:
  template <class F> void exchange(const std::vector<Tensor>& tensors, F result) {
    all_.parts[static_cast<size_t>(rank_)] = tensors;
    all_.barrier.arrive_and_wait();
    std::vector<Tensor> results;
    for (size_t i = 0; i < tensors.size(); ++i) results.push_back(result(i));
    all_.barrier.arrive_and_wait();
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].copy_(results[i]);
    all_.barrier.arrive_and_wait();
  }
  Threads& all_;
  int64_t rank_;
};

/// Sample i has the caption "i".
class CountingSource final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.caption = std::to_string(index)}; }
};

/// Fits a vector to the samples' numbers; micro-batches count by a weight of their own.
class WeightedObjective final : public Objective {
 public:
  explicit WeightedObjective(double start)
      : weight_(at::full({40}, start)), matrix_(at::full({3, 5}, start, at::kDouble)) {}
  std::vector<Parameter> parameters() override {
    return {{.name = "w", .tensor = weight_}, {.name = "m", .tensor = matrix_}};
  }
  Loss prepared_loss(const PreparedBatch& batch, const StepContext& context) override {
    Rng rng = context.rng;
    double target = rng.uniform();
    const auto samples = prepared_as<PreparedSample>(batch);
    for (const PreparedSample* each : samples) target += 0.01 * std::stod(each->sample.caption);
    return {.value = (weight_ - target).square().mean() + (matrix_ - target).abs().mean(),
            .weight = 1 + static_cast<double>(std::stoi(samples[0]->sample.caption) % 5)};
  }
  void save_model(const Path& directory, FileSystem& files) override {
    files.create_directories(directory);
    save_tensors(directory / "model.safetensors", {{"w", weight_.detach()}}, files);
  }
  Tensor weight_, matrix_;
};

class ParallelLoop : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    root_ = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
  }
  static TrainConfig config(int64_t batch, int64_t accumulate) {
    TrainConfig c;
    c.steps = 10;
    c.batch = batch;
    c.accumulate = accumulate;
    c.log_every = 1;
    c.checkpoint_every = 4;
    c.schedule.learning_rate = 0.05;
    c.schedule.warmup_steps = 2;
    return c;
  }
  std::vector<double> losses(const std::string& name) const {
    std::vector<double> all;
    std::istringstream lines(read_file(root_ / name / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) all.push_back(parse_json(line, "metrics")["loss"].get<double>());
    return all;
  }
  /// Runs as `count` threads; rank r begins with weights of its own.
  void together(const std::string& name, int64_t count, const TrainConfig& c,
                std::vector<WeightedObjective>& objectives) {
    Threads all(count);
    std::vector<std::thread> threads;
    for (int64_t r = 0; r < count; ++r) objectives.emplace_back(1.0 + static_cast<double>(r));
    for (int64_t r = 0; r < count; ++r) {
      threads.emplace_back([&, r] {
        ThreadPeers peers(all, r);
        train(objectives[static_cast<size_t>(r)], CountingSource(), c, {.directory = root_ / name, .peers = &peers});
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  Path root_;
};

TEST_F(ParallelLoop, LossesAndWeightsAreThoseOfOneProcess) {
  WeightedObjective alone(1.0);
  train(alone, CountingSource(), config(2, 4), {.directory = root_ / "alone"});
  for (const int64_t count : {2, 4}) {
    std::vector<WeightedObjective> objectives;
    const std::string name = std::to_string(count);
    together(name, count, config(2, 4), objectives);
    const auto want = losses("alone"), got = losses(name);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(got[i], want[i], 1e-6) << count << " processes, step " << i + 1;
    for (const WeightedObjective& objective : objectives) {
      EXPECT_LT((objective.weight_ - alone.weight_).abs().max().item<double>(), 1e-6);
      EXPECT_TRUE(objective.weight_.equal(objectives[0].weight_)) << "the same weights everywhere";
      EXPECT_TRUE(objective.matrix_.equal(objectives[0].matrix_));
    }
  }
}

TEST_F(ParallelLoop, AStepOfOneMicroBatchIsCutIntoSmallerOnes) {
  std::vector<WeightedObjective> objectives;
  together("cut", 2, config(4, 1), objectives);
  WeightedObjective alone(1.0);
  train(alone, CountingSource(), config(2, 2), {.directory = root_ / "alone"});
  EXPECT_LT((objectives[1].weight_ - alone.weight_).abs().max().item<double>(), 1e-6);
  Threads all(2);
  ThreadPeers peers(all, 0);
  EXPECT_THROW(train(alone, CountingSource(), config(3, 1), {.directory = root_ / "odd", .peers = &peers}), UserError);
}

/// Loses its neighbour in the middle of a step.
class LosingPeers final : public Peers {
 public:
  int64_t count() const override { return 2; }
  void sum(const std::vector<Tensor>& tensors) override {
    if (++calls == 11) throw LostPeer("[train] process 0 of 2 has lost another: connection closed");
    for (const Tensor& t : tensors) t.mul_(2);
  }
  int calls = 0;
};

TEST_F(ParallelLoop, ALostProcessEndsTheRunWithACheckpointOfTheLastWholeStep) {
  LosingPeers peers;
  WeightedObjective objective(1.0);
  try {
    train(objective, CountingSource(), config(2, 2), {.directory = root_ / "lost", .peers = &peers});
    FAIL();
  } catch (const FaultError& error) {
    // three sums a step (totals, and one for each format): the eleventh call is in step 4
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("connection closed"),
                                 ::testing::HasSubstr("stopped after step 3"), ::testing::HasSubstr("--resume")));
  }
  EXPECT_EQ(CheckpointStore(root_ / "lost" / "checkpoints").steps().back(), 3);
}

TEST(SumInBuckets, EveryTensorGetsItsOwnSum) {
  LosingPeers doubling;
  std::vector<Tensor> tensors = {
      at::full({2, 3}, 1.0),     at::full({}, 2.0),         at::full({0}, 9.0), at::full({4}, 3.0, at::kDouble),
      at::full({3, 2}, 4.0).t(), at::full({1 << 24}, 5.0f), at::full({3}, 6.0)};
  sum_in_buckets(doubling, tensors);
  for (const auto& [i, want] : std::map<size_t, double>{{0, 2}, {1, 4}, {3, 6}, {4, 8}, {5, 10}, {6, 12}})
    EXPECT_TRUE(tensors[i].eq(want).all().item<bool>()) << i;
  EXPECT_EQ(tensors[4].sizes(), (std::vector<int64_t>{2, 3}));
  EXPECT_GE(doubling.calls, 4) << "formats apart, and no bucket beyond its size";
}

}  // namespace
}  // namespace tessera::train
