// The texts that every page carries. The build makes their definitions from the files beside this one.
#pragma once

#include <string_view>

namespace tessera::plan {

/// report.css.
std::string_view page_style();
/// D3 under its licence, then figures.js; empty in a build without plots.
std::string_view plot_scripts();

}  // namespace tessera::plan
