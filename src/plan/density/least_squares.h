// Sums of squares of a few bounded parameters. One list of residuals serves the search from many starts (SLSQP) and the
// refinement to the last digit (Gauss-Newton with damping), which a quasi-Newton method on the sum cannot reach.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "plan/curves/minimize.h"

namespace tessera::plan {

/// Residuals and their slopes; `slopes` is row-major, one row of `width` parameters per residual.
struct ResidualList {
  explicit ResidualList(size_t width) : width(width) {}

  size_t width;
  std::vector<double> values, slopes;

  void clear() {
    values.clear();
    slopes.clear();
  }
  /// Appends a residual and returns its row of slopes, all zero.
  std::span<double> add(double value) {
    values.push_back(value);
    slopes.resize(slopes.size() + width, 0.0);
    return {slopes.data() + slopes.size() - width, width};
  }
  double half_square() const;
};

/// Fills a cleared list at `x`.
using ResidualsAt = std::function<void(std::span<const double> x, ResidualList& residuals)>;

/// The best minimum of half the sum of squares from several starts, refined. Throws FaultError when no start has a
/// finite value.
Minimum least_squares(const ResidualsAt& residuals, const std::vector<std::vector<double>>& starts,
                      const Bounds& bounds);

/// Walks downhill from `start` by damped Gauss-Newton steps that stay within the bounds.
Minimum refine(const ResidualsAt& residuals, std::vector<double> start, const Bounds& bounds, int evaluations = 200);

}  // namespace tessera::plan
