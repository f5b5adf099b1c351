// Schedules: all continuous in the step, all ending at floor * learning_rate (but constant).
#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"

namespace tessera::train {

void validate(const ScheduleConfig& c) {
  const std::vector<std::string> kinds{"cosine", "wsd", "constant"};
  if (std::find(kinds.begin(), kinds.end(), c.kind) == kinds.end()) {
    throw UserError("[train] unknown schedule '{}'; did you mean '{}'?", c.kind, nearest_word(c.kind, kinds));
  }
  if (!(c.learning_rate > 0)) throw UserError("[train] learning_rate is {}, want a number above 0", c.learning_rate);
  if (c.warmup_steps < 0) throw UserError("[train] warmup_steps is {}, want 0 or more", c.warmup_steps);
  if (c.floor < 0 || c.floor > 1) throw UserError("[train] floor is {}, want a share from 0 to 1", c.floor);
  if (c.decay_share < 0 || c.decay_share > 1)
    throw UserError("[train] decay_share is {}, want a share from 0 to 1", c.decay_share);
}

double learning_rate_at(const ScheduleConfig& c, int64_t step, int64_t total_steps) {
  if (step < c.warmup_steps)
    return c.learning_rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  if (c.kind == "constant") return c.learning_rate;
  const double length = std::max<double>(1, static_cast<double>(total_steps - c.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step + 1 - c.warmup_steps) / length);
  double share = 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (c.kind == "wsd") share = c.decay_share > 0 ? std::min(1.0, (1 - done) / c.decay_share) : 1.0;
  return c.learning_rate * (c.floor + (1 - c.floor) * share);
}

}  // namespace tessera::train
