// A figure as data: the JSON that figures.js draws, and the table that says the same without drawing.
#pragma once

#include <string>

#include "core/json.h"
#include "plan/report/report.h"

namespace tessera::plan {

/// Throws UserError when lists of a series differ in length or an axis has no room between its ends.
void check_figure(const Figure& figure);

/// What figures.js reads. Holds finite numbers only, on log axes only those above 0.
Json figure_json(const Figure& figure);

/// The points one by one; of curves and bands about a dozen, evenly chosen.
Table figure_table(const Figure& figure);

/// A value of an axis for people: "190M", "61.5%", "2024-05-01".
std::string axis_value(const Axis& axis, double value);

}  // namespace tessera::plan
