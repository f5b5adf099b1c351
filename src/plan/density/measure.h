// Positions models on reference curves, with what the draws say of each, and fits trends through many models.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/density/density.h"
#include "plan/density/reference.h"

namespace tessera::plan {

/// The curves of a family by task.
using Curves = std::vector<ReferenceFit>;

/// Tokens at which sizes are stated: one number, or each model's own.
struct StatedTokens {
  std::optional<double> d0;

  double of(const ModelRow& row) const { return d0 ? *d0 : row.tokens; }
};
/// Reads --d0. Throws UserError: neither a number of tokens nor "own".
StatedTokens parse_d0(const std::string& text);

/// A model's density and the same under each draw (ln; infinite where the draw has it off the curve).
struct Measured {
  ModelDensity density;
  std::optional<double> day;  // since 2023-02-24
  double log_density = kMissing;
  std::vector<double> draws;
  double least = -std::numeric_limits<double>::infinity(), most = -least;  // ln density within reach

  bool scored_on_all = true;  // it has a score of every task in use

  bool on_trend() const { return day && !std::isnan(log_density) && !density.beyond_reach && scored_on_all; }
};

/// Geometric mean over the tasks that the model has a score of and that have a size for it.
Measured measure(const ModelRow& row, const Curves& curves, StatedTokens tokens, const DensityOptions& options);

/// The trend through what was measured; `why` is filled in where there is none. Marks no model.
std::optional<DensityTrend> measure_trend(const std::vector<Measured>& models, const DensityOptions& options,
                                          std::string& why);

/// The frontier at several quantiles, where there are models enough.
std::vector<DensityFrontier> measure_frontiers(const std::vector<Measured>& models);

/// What the draws' lines leave open, from the first model's day to the last's; there must be a trend.
std::vector<TrendBand> trend_band(const std::vector<Measured>& models, const DensityOptions& options);

/// The middle `coverage` of sorted-out values; an end that is infinite is absent. NaNs are skipped.
Interval interval_of(std::vector<double> values, double coverage);

}  // namespace tessera::plan
