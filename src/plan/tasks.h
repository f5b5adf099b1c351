// What is known of benchmarks by their names.
#pragma once

#include <optional>
#include <string_view>

namespace tessera::plan {

/// What guessing scores on a task, when Tessera knows it: four choices make .25. Generated answers make 0.
std::optional<double> chance_of(std::string_view task);

}  // namespace tessera::plan
