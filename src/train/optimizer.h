// AdamW over named parameters, with gradient clipping and an exponential moving average of the weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "train/objective.h"

namespace tessera::train {

/// warm-up, then "cosine" to a floor, "wsd" (warm-up, stable, linear decay), or "constant".
struct ScheduleConfig {
  std::string kind = "cosine";
  double learning_rate = 1e-3;  // at the top
  int64_t warmup_steps = 100;   // linear from 0
  double floor = 0.01;          // last learning rate as a share of the top
  double decay_share = 0.2;     // wsd: share of all steps that the final decay takes

  bool operator==(const ScheduleConfig&) const = default;
};
template <class V> void fields(V& v, ScheduleConfig& c) {
  v("kind", c.kind, "cosine, wsd or constant");
  v("learning_rate", c.learning_rate, "learning rate at the top");
  v("warmup_steps", c.warmup_steps, "steps of linear warm-up");
  v("floor", c.floor, "last learning rate as a share of the top");
  v("decay_share", c.decay_share, "wsd: share of all steps that the final linear decay takes");
}

/// Throws UserError for an unknown kind or numbers out of range.
void validate(const ScheduleConfig& config);

/// Learning rate of step 0, 1, ..., total_steps - 1.
double learning_rate_at(const ScheduleConfig& config, int64_t step, int64_t total_steps);

/// Decoupled weight decay (Loshchilov & Hutter 2019).
struct OptimizerConfig {
  double beta1 = 0.9;
  double beta2 = 0.97;
  double epsilon = 1e-8;
  double weight_decay = 0.005;  // on parameters that ask for it
  double clip = 5.0;            // largest norm of all gradients together; 0: no clipping
  double ema = 0.0;             // decay of the weight average that is saved and shown; 0: none

  bool operator==(const OptimizerConfig&) const = default;
};
template <class V> void fields(V& v, OptimizerConfig& c) {
  v("beta1", c.beta1, "decay of the mean gradient");
  v("beta2", c.beta2, "decay of the mean squared gradient");
  v("epsilon", c.epsilon, "added to the root of the mean square");
  v("weight_decay", c.weight_decay, "decoupled weight decay");
  v("clip", c.clip, "largest norm of all gradients together (0: no clipping)");
  v("ema", c.ema, "decay of the weight average that is saved and shown (0: none)");
}
void validate(const OptimizerConfig& config);

/// The optimiser's state is part of a checkpoint: `state()` names it, writing into those tensors restores it.
class AdamW {
 public:
  AdamW(std::vector<Parameter> parameters, OptimizerConfig config);

  /// Clips, steps every parameter at `learning_rate`, clears the gradients. Returns the gradients' norm before clipping;
  /// when that is not finite nothing is changed.
  double step(double learning_rate);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Moments, step count and average, by name ("mean.<parameter>", "square.<parameter>", "step", "ema.<parameter>").
  std::vector<NamedTensor> state() const;
  bool has_average() const { return config_.ema > 0; }

  /// Exchanges weights and their average; called in pairs around saving and measuring.
  void swap_average();

 private:
  struct Group {  // parameters that share decay and learning-rate scale are stepped by one fused call
    bool decay;
    double lr_scale;
    std::vector<size_t> members;
  };

  std::vector<Parameter> parameters_;
  OptimizerConfig config_;
  std::vector<Group> groups_;
  std::vector<Tensor> mean_, square_, average_;
  Tensor count_;  // [1], float: steps taken
};

}  // namespace tessera::train
