// What the one training loop is given: an objective (a model with a loss) and samples. The loop knows no model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/rng.h"
#include "data/sample.h"
#include "tensor/module.h"

namespace tessera::train {

/// A trained tensor and how the optimiser treats it.
struct Parameter {
  std::string name;
  Tensor tensor;
  bool decay = true;      // weight decay applies
  double lr_scale = 1.0;  // multiplies the schedule's learning rate
};

/// What a step may depend on beside its samples. Everything random comes from `rng`, which is a function of
/// (run seed, step, micro-batch), so a resumed run draws the same numbers.
struct StepContext {
  int64_t step = 0;
  int64_t total_steps = 0;
  Rng rng{0};
};

/// A differentiable scalar and what to write beside it in metrics.jsonl.
struct Loss {
  Tensor value;                           // []
  std::map<std::string, double> metrics;  // already detached
  double weight = 1;                      // what it counts for among the step's micro-batches: learned tokens, say
};

class Objective {
 public:
  virtual ~Objective() = default;
  /// The trained tensors. Called once, before the first step.
  virtual std::vector<Parameter> parameters() = 0;
  virtual Loss loss(const std::vector<Sample>& batch, const StepContext& context) = 0;
  /// Writes the model as it stands now as a model directory (the loop has put EMA weights in place if asked to).
  virtual void save_model(const Path& directory, FileSystem& files) = 0;
  /// Writes what a person wants to look at (PNG grids) into `directory`; names start with `stem`.
  virtual void save_samples(const Path& /*directory*/, const std::string& /*stem*/) {}
  /// Measurements on held-out or fixed samples; written to metrics.jsonl beside the step.
  virtual std::map<std::string, double> evaluate() { return {}; }
};

}  // namespace tessera::train
