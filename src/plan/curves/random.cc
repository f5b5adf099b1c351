// See random.h.
#include "plan/curves/random.h"

#include <cmath>
#include <numbers>

namespace tessera::plan {

double exponential(Rng& rng) { return -std::log1p(-rng.uniform()); }

double normal(Rng& rng) {
  const double radius = std::sqrt(2 * exponential(rng));
  return radius * std::cos(2 * std::numbers::pi * rng.uniform());
}

double normal_tail(double coverage) {
  double low = 0, high = 40;  // beyond that the tail is 0 in doubles
  for (int step = 0; step < 100; ++step) {
    const double middle = (low + high) / 2;
    (std::erf(middle / std::numbers::sqrt2) < coverage ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace tessera::plan
