// Stands in for D3 and figures.js in a build without plots (TESSERA_PLOTS=OFF).
#include "plan/report/assets.h"

namespace tessera::plan {

std::string_view plot_scripts() { return {}; }

}  // namespace tessera::plan
