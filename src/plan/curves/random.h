// Draws from distributions, and the tails of the normal one.
#pragma once

#include "core/rng.h"

namespace tessera::plan {

/// A number of the standard exponential distribution.
double exponential(Rng& rng);

/// A standard normal number.
double normal(Rng& rng);

/// So many standard deviations on both sides of its mean hold the share `coverage` of a normal: 1.28 for 0.8.
double normal_tail(double coverage);

}  // namespace tessera::plan
