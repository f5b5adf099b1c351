// Options of `tessera plan density`.
#pragma once

#include "apps/options.h"
#include "core/files.h"
#include "plan/density/density.h"

namespace tessera::apps {

struct PlanDensityOptions {
  plan::DensityOptions density;
  Path report;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "plan density",
            .summary = "effective size and density of models, and the trend of the densest",
            .required = {"models", "reference"},
            .examples = {"tessera plan density --models models.csv --reference reference.csv --trend",
                         "tessera plan density --models models.csv --models mine.json --reference reference.csv --json",
                         "tessera plan density --models ladder.csv --reference ladder.csv --d0 own --leave-one-out"}};
  }
};
template <class V> void fields(V& v, PlanDensityOptions& o) {
  fields(v, o.density);
  v("report", o.report, "write a page with figures to this file");
  v("output", o.output, "Output");
}

/// The result for a person: tables and one-line warnings.
std::string density_text(const plan::DensityResult& result);

/// Prints the tables; with --json one object, the fields of plan::DensityResult.
int run_plan_density(const PlanDensityOptions& options);

}  // namespace tessera::apps
