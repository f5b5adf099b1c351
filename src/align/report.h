// A run as one HTML page for people, which loads nothing from anywhere: rounds against score, how scores spread, cluster sizes, the best and
// worst answers, what each step cost.
#pragma once

#include "align/store.h"

namespace tessera::align {

struct ReportOptions {
  int64_t examples = 5;   // best answers that are shown, and worst ones
  int64_t letters = 400;  // of a prompt or an answer; the rest is left out
  std::string name;       // of the run, in the title
};

/// Writes the page of a run, also while it works. Throws UserError for a store without a recipe, and in a build without the pages of
/// tessera plan.
void write_align_report(const Store& store, const Path& file, const ReportOptions& options);

}  // namespace tessera::align
