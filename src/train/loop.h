// The one training loop: an objective and samples come in, a run directory comes out. It knows no model.
//
// A run directory holds recipe.toml (as resolved), metrics.jsonl (a line per logged step), samples/, checkpoints/step-N/
// (state.safetensors: weights, moments, average) and, at the end or after a Ctrl-C, model/. What must stay true: a run that was stopped
// at any step and resumed ends with the same bytes as one that was not.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "core/files.h"
#include "data/sample.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/parallel.h"

namespace tessera::train {

struct TrainConfig {
  int64_t steps = 1000;
  int64_t batch = 32;              // samples of a micro-batch
  int64_t accumulate = 1;          // micro-batches of a step
  int64_t seed = 1;                // initial weights and everything random on the way
  std::string precision = "fp32";  // fp32; bf16: products in bf16, sums in fp32; auto: bf16 where the device has it
  int64_t log_every = 10;          // steps between lines of metrics.jsonl
  int64_t evaluate_every = 500;    // steps between measurements and sample pictures; 0: only at the end
  int64_t checkpoint_every = 500;
  int64_t keep_checkpoints = 2;
  double stop_loss = 0;  // end early when the mean training loss of `stop_window` steps is below; 0: never
  int64_t stop_window = 100;
  double peer_timeout = 1800;  // of several processes: seconds without word from another
  ScheduleConfig schedule;
  OptimizerConfig optimizer;

  bool operator==(const TrainConfig&) const = default;
};
template <class V> void fields(V& v, TrainConfig& c) {
  v("steps", c.steps, "optimiser steps");
  v("batch", c.batch, "samples of a micro-batch");
  v("accumulate", c.accumulate, "micro-batches of a step");
  v("seed", c.seed, "initial weights and everything random on the way");
  v("precision", c.precision,
    "fp32, bf16 (products in bf16: faster on CUDA and on CPUs that have AMX, some nine times as slow on others), or "
    "auto: "
    "bf16 where it is faster");
  v("log_every", c.log_every, "steps between lines of metrics.jsonl");
  v("evaluate_every", c.evaluate_every, "steps between measurements and sample pictures (0: only at the end)");
  v("checkpoint_every", c.checkpoint_every, "steps between checkpoints");
  v("keep_checkpoints", c.keep_checkpoints, "newest checkpoints kept");
  v("stop_loss", c.stop_loss, "end early when the mean training loss of stop_window steps is below (0: never)");
  v("stop_window", c.stop_window, "steps that stop_loss looks at");
  v("peer_timeout", c.peer_timeout,
    "of several processes: seconds without word from another before the run ends; longer than a measurement takes");
  v("schedule", c.schedule, "learning rate");
  v("optimizer", c.optimizer, "AdamW");
}
void validate(const TrainConfig& config);

/// How a run ended.
struct TrainResult {
  int64_t steps = 0;         // steps done, with those before a resume
  bool interrupted = false;  // stopped by Ctrl-C, after a checkpoint and with a model of what was learnt so far
  bool trained = false;      // this process has taken steps
  double seconds = 0;        // of this process
  std::map<std::string, double> metrics;  // of the last measurement
};

/// Where a run lives and whether it goes on from what is there.
struct RunOptions {
  Path directory;
  bool resume = false;
  at::Device device = at::kCPU;
  Peers* peers = nullptr;  // the other processes of the run, if there are any
  /// Called by the process that writes where there are steps to take, once the checkpoint to go on from has been read and before anything
  /// of the run changes.
  std::function<void()> begun = {};
};

/// Trains. An InterruptGuard flag is looked at once per step. Throws FaultError when the loss or the gradients stop being finite
/// (the last good checkpoint stays) or the disk fails; UserError when resuming from a run of another shape.
/// With peers: each process computes its share of every step's micro-batches, the first one (rank 0) logs, measures and writes. Losses are those
/// of one process but for rounding; other metrics are of rank 0's share. When a process is lost, the others end with a
/// FaultError after one of them has written a checkpoint.
TrainResult train(Objective& objective, const SampleSource& source, const TrainConfig& config, const RunOptions& run,
                  FileSystem& files = disk());

}  // namespace tessera::train
