// What the one training loop is given: an objective (a model with a loss) and samples. The loop knows no model.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
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
  int64_t first_row = 0;  // rows before it stay as they are
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

/// What an objective makes of one sample before the step: token ids, resized pixels. Each objective has a kind of its own.
class Prepared {
 public:
  virtual ~Prepared() = default;
};
using PreparedBatch = std::vector<std::unique_ptr<Prepared>>;

/// The sample as it is, for objectives that prepare nothing.
class PreparedSample final : public Prepared {
 public:
  explicit PreparedSample(Sample given) : sample(std::move(given)) {}
  Sample sample;
};

/// A batch as the kind that its objective prepares.
template <class Kind> std::vector<const Kind*> prepared_as(const PreparedBatch& batch) {
  std::vector<const Kind*> kinds;
  for (const auto& each : batch) kinds.push_back(static_cast<const Kind*>(each.get()));
  return kinds;
}

class Objective {
 public:
  virtual ~Objective() = default;
  /// The trained tensors. Called once, before the first step.
  virtual std::vector<Parameter> parameters() = 0;
  /// Does with a sample what needs no weights. The loop calls this while earlier steps are still computed, from several threads at
  /// once, so it must be a pure function of the sample and of settings that never change. Throws UserError for a sample that cannot be
  /// learnt from.
  virtual std::unique_ptr<Prepared> prepare(Sample sample) const {
    return std::make_unique<PreparedSample>(std::move(sample));
  }
  /// The loss of samples that prepare() made ready.
  virtual Loss prepared_loss(const PreparedBatch& batch, const StepContext& context) = 0;
  /// The loss of samples as they come from a source.
  Loss loss(const std::vector<Sample>& samples, const StepContext& context) {
    PreparedBatch batch;
    for (const Sample& sample : samples) batch.push_back(prepare(sample));
    return prepared_loss(batch, context);
  }
  /// Writes the model as it stands now as a model directory (the loop has put EMA weights in place if asked to).
  virtual void save_model(const Path& directory, FileSystem& files) = 0;
  /// Writes what a person wants to look at (PNG grids) into `directory`; names start with `stem`.
  virtual void save_samples(const Path& /*directory*/, const std::string& /*stem*/) {}
  /// Measurements on held-out or fixed samples; written to metrics.jsonl beside the step.
  virtual std::map<std::string, double> evaluate() { return {}; }
};

}  // namespace tessera::train
