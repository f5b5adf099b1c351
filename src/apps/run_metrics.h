// The metrics of a training run as series over its steps. A run may be under way: a last line that is not whole yet is left out.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"

namespace tessera::apps {

/// One metric; both lists have the same length, steps rise.
struct MetricSeries {
  std::string name;
  bool measured = false;  // by evaluations, not along the way
  std::vector<double> steps, values;
};

/// metrics.jsonl as series: the loss, then what evaluations measured, then what else was logged. Leaves out what only counts the run
/// itself (samples, seconds), lines without a step, and values that are no numbers or beyond 1e300. Throws FaultError when the file cannot be read.
std::vector<MetricSeries> read_metrics(const Path& file);

/// The series that `names` asks for, in that order; all but what was merely logged beside the loss when it is empty. Throws UserError for
/// a name that the run does not have, with the nearest.
std::vector<MetricSeries> choose_metrics(const std::vector<MetricSeries>& all, const std::vector<std::string>& names);

/// Neighbouring points as one, so that `most` or fewer are left.
struct ThinnedSeries {
  std::vector<double> steps, mean, low, high;
};
ThinnedSeries thinned(const MetricSeries& series, size_t most);

}  // namespace tessera::apps
