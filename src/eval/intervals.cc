// The three intervals that evaluations print.
#include "eval/intervals.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tessera::eval {

namespace {
constexpr double kZ = 1.959963984540054;  // 97.5% quantile of the normal

double half_width(double sum_of_squares, size_t count) {
  if (count < 2) return 0;
  const auto n = static_cast<double>(count);
  return kZ * std::sqrt(sum_of_squares / (n - 1) / n);
}
}  // namespace

Interval wilson(int64_t right, int64_t count) {
  const auto n = static_cast<double>(count);
  const double share = static_cast<double>(right) / n, z2 = kZ * kZ;
  const double centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {right == 0 ? 0 : std::max(0.0, centre - half), right == count ? 1 : std::min(1.0, centre + half)};
}

Mean mean_of(const std::vector<double>& values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double half = half_width(squares, values.size());
  return {mean, {mean - half, mean + half}};
}

Mean ratio_of(const std::vector<double>& tops, const std::vector<double>& bottoms) {
  const double bottom = std::accumulate(bottoms.begin(), bottoms.end(), 0.0);
  const double ratio = std::accumulate(tops.begin(), tops.end(), 0.0) / bottom;
  double squares = 0;
  for (size_t i = 0; i < tops.size(); ++i) squares += (tops[i] - ratio * bottoms[i]) * (tops[i] - ratio * bottoms[i]);
  const double half = half_width(squares, tops.size()) / (bottom / static_cast<double>(tops.size()));
  return {ratio, {ratio - half, ratio + half}};
}

}  // namespace tessera::eval
