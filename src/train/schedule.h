// Learning-rate schedules as functions of the step.
#pragma once

#include <cstdint>
#include <string>

#include "core/fields.h"

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
  v("kind", c.kind, "cosine, wsd or constant"), v("learning_rate", c.learning_rate, "learning rate at the top");
  v("warmup_steps", c.warmup_steps, "steps of linear warm-up"),
      v("floor", c.floor, "last learning rate as a share of the top");
  v("decay_share", c.decay_share, "wsd: share of all steps that the final linear decay takes");
}

/// Throws UserError for an unknown kind or numbers out of range.
void validate(const ScheduleConfig& config);

/// Learning rate of step 0, 1, ..., total_steps - 1.
double learning_rate_at(const ScheduleConfig& config, int64_t step, int64_t total_steps);

}  // namespace tessera::train
