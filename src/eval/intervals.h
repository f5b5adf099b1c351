// Uncertainty of a measured share or mean. All intervals are two-sided at 95%.
#pragma once

#include <cstdint>
#include <vector>

namespace tessera::eval {

struct Interval {
  double low = 0, high = 0;
  bool operator==(const Interval&) const = default;
};

/// Wilson's score interval of a share (Wilson 1927): stays inside [0, 1] and keeps its coverage near its ends. count >= 1.
Interval wilson(int64_t right, int64_t count);

struct Mean {
  double mean = 0;
  Interval interval;
};
/// Mean of independent values, by the normal approximation of its error. At least one value; one alone has no width.
Mean mean_of(const std::vector<double>& values);
/// sum(tops) / sum(bottoms) of independent pairs, its error by linearisation (the delta method): nats per token over
/// documents of different lengths. Sizes equal, bottoms above 0.
Mean ratio_of(const std::vector<double>& tops, const std::vector<double>& bottoms);

}  // namespace tessera::eval
