// The reference side of a density: which family, which tasks, the points of each task, and the fitted curves.
#pragma once

#include <string>
#include <vector>

#include "plan/density/fit.h"
#include "plan/density/model_table.h"

namespace tessera::plan {

/// A group of reference models that one curve may run through.
struct Family {
  std::string name;
  std::vector<ModelRow> models;

  /// How many of its models score clearly above chance on a task.
  size_t scored(const std::string& task) const;
};

/// The families of a table in the order of their first rows; rows without one share the name "". A ladder is one
/// family. Throws UserError when a row lacks its tokens.
std::vector<Family> families_of(const ModelTable& table);

/// The named family; without a name the one with most models that score above chance on one of the tasks. Throws
/// UserError with the nearest name.
const Family& choose_family(const std::vector<Family>& families, const std::string& name,
                            const std::vector<std::string>& tasks);

/// Tasks used when none are named: those that some family has for four models and every model has, too, so that all are
/// measured by the same; otherwise the one that most models have. Throws UserError when there is none.
std::vector<std::string> default_density_tasks(const std::vector<Family>& families, const ModelTable& reference,
                                               const std::vector<ModelRow>& models, std::vector<std::string>& notes);

/// The family's points on one task: with losses when every scored model has one. Checkpoints of a ladder come along,
/// smoothed as the ladder's second step has them (checkpoint_points), then one in a few, since neighbours say the same.
ReferencePoints reference_points(const Family& family, const ModelTable& reference, const std::string& task);

/// The points without one model (and its checkpoints).
ReferencePoints without_model(const ReferencePoints& points, size_t model);

}  // namespace tessera::plan
