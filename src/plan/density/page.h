// The page of a density: headline numbers, the trend, densities, reference curves, what the trend hangs on.
#pragma once

#include "plan/density/density.h"
#include "plan/report.h"

namespace tessera::plan {

/// "2.39 to 4.14", "up to 3", "2 or more", or "" when nothing is known.
std::string interval_text(const Interval& interval);

/// A page for people of what density() found.
Report density_page(const DensityResult& result);

}  // namespace tessera::plan
