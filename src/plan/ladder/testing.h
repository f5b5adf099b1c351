// Ladders of known truth for tests: laws are drawn, runs follow them with noise, and the target's true accuracy is known.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "plan/curves/features.h"
#include "plan/curves/random.h"

namespace tessera::plan::testing {

/// What is simulated; the defaults have the shape of the ladder paper's runs.
struct SimulatedLadder {
  std::vector<double> sizes = {190e6, 370e6, 760e6, 1.3e9};
  std::vector<double> lengths = {1, 2, 5, 10};  // in units of 20 tokens per parameter
  size_t tasks = 4;
  size_t checkpoints = 40;
  double run_noise = 0.004;         // of a run's log loss, the same for all its checkpoints
  double checkpoint_noise = 0.004;  // of each checkpoint's log loss
  double accuracy_noise = 0.006;    // of each checkpoint's accuracy
  RunScale target = {7e9, 4e12, 6 * 7e9 * 4e12};
};

/// A table and the noiseless accuracies of its target, one per task.
struct Simulation {
  LadderTable table;
  std::vector<double> truth;
};

namespace detail {

/// A law whose three terms have drawn shares of the loss at the smallest rung.
inline LossLaw drawn_law(Rng& rng, double n, double d, double scale) {
  LossLaw law;
  law.alpha = rng.uniform(0.17, 0.37);
  law.beta = rng.uniform(0.17, 0.37);
  const double size = rng.uniform(0.15, 0.4), data = rng.uniform(0.15, 0.4);
  law.log_a = std::log(scale * size) + law.alpha * std::log(n);
  law.log_b = std::log(scale * data) + law.beta * std::log(d);
  law.e = scale * (1 - size - data);
  return law;
}

/// A sigmoid that lies near chance at the smallest rung's loss and near one at none.
inline Sigmoid drawn_sigmoid(Rng& rng, double loss) {
  return {-rng.uniform(0.55, 0.75), loss * rng.uniform(0.6, 0.85), rng.uniform(5, 9) / loss, 1};
}

}  // namespace detail

/// Deterministic in `seed`. Loss on text (c4_loss) and bits per byte follow laws of their own with the same exponents.
inline Simulation simulate_ladder(uint64_t seed, const SimulatedLadder& how = {}) {
  Rng rng(seed);
  Simulation result;
  LadderTable& table = result.table;
  table.source = "simulation";
  table.has_loss = true;
  const double n0 = how.sizes.front(), d0 = 20 * n0 * how.lengths.front();
  const LossLaw text = detail::drawn_law(rng, n0, d0, 3.5);
  for (const double n : how.sizes) {
    for (const double length : how.lengths) {
      LadderRun run{.name = std::to_string(n) + "-" + std::to_string(length), .params = n, .flops_per_token = 6 * n};
      for (size_t c = 1; c <= how.checkpoints; ++c) {
        run.tokens.push_back(20 * n * length * static_cast<double>(c) / static_cast<double>(how.checkpoints));
      }
      const double shift = how.run_noise * normal(rng);
      for (const double d : run.tokens) {
        run.loss.push_back(text.at(n, d) * std::exp(shift + how.checkpoint_noise * normal(rng)));
      }
      table.runs.push_back(std::move(run));
    }
  }
  for (size_t t = 0; t < how.tasks; ++t) {
    table.tasks.push_back("task" + std::to_string(t));
    const double scale = rng.uniform(0.9, 1.6);
    // Each term of the task's loss keeps to the text's: what a model learns of one it learns of the other.
    LossLaw law = text;
    const double ratio = scale / 3.5;
    law.log_a += std::log(ratio * rng.uniform(0.8, 1.2));
    law.log_b += std::log(ratio * rng.uniform(0.8, 1.2));
    law.e *= ratio * rng.uniform(0.9, 1.1);
    const Sigmoid sigmoid = detail::drawn_sigmoid(rng, law.at(n0, d0));
    for (LadderRun& run : table.runs) {
      TaskSeries& series = run.tasks.emplace_back();
      const double shift = how.run_noise * normal(rng);
      for (const double d : run.tokens) {
        const double loss = law.at(run.params, d) * std::exp(shift);
        series.bpb.push_back(loss * std::exp(how.checkpoint_noise * normal(rng)));
        series.acc.push_back(std::min(1.0, std::max(0.0, sigmoid.at(loss) + how.accuracy_noise * normal(rng))));
        series.ce.push_back(kMissing);
      }
    }
    result.truth.push_back(sigmoid.at(law.at(how.target.params, how.target.tokens)));
  }
  return result;
}

}  // namespace tessera::plan::testing
