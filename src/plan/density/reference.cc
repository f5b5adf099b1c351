// Choices by counting; nothing is fitted here.
#include "plan/density/reference.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "plan/curves/features.h"

namespace tessera::plan {

namespace {

constexpr size_t kPointsPerRun = 12;
constexpr size_t kFewestScored = 4;

/// The run's pairs as the ladder's second step takes them, one in a few, its end among them.
void add_checkpoints(const LadderRun& run, size_t task, size_t group, std::vector<ScorePoint>& points) {
  const std::vector<AccuracyPoint> all = checkpoint_points(run, task, Feature::bpb);
  const size_t step = std::max<size_t>(1, all.size() / kPointsPerRun);
  for (size_t back = 0; back < all.size(); back += step) {
    const AccuracyPoint& point = all[all.size() - 1 - back];
    points.push_back({point.loss, point.accuracy, group});
  }
}

std::string listed(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

}  // namespace

size_t Family::scored(const std::string& task) const {
  return static_cast<size_t>(std::count_if(models.begin(), models.end(), [&](const ModelRow& row) {
    const auto score = row.scores.find(task);
    return score != row.scores.end() && score->second >= chance_of(task).value_or(0) + kClearOfChance;
  }));
}

std::vector<Family> families_of(const ModelTable& table) {
  std::vector<Family> families;
  for (const ModelRow& row : table.models) {
    if (table.ladder && row.family != "ladder") continue;  // targets are what a ladder predicts
    if (std::isnan(row.tokens)) {
      throw UserError("[plan] {}, column 'tokens': is empty, want the training tokens of a reference model", row.where);
    }
    auto family = std::find_if(families.begin(), families.end(), [&](const Family& f) { return f.name == row.family; });
    if (family == families.end()) family = families.insert(families.end(), Family{row.family, {}});
    family->models.push_back(row);
  }
  return families;
}

const Family& choose_family(const std::vector<Family>& families, const std::string& name,
                            const std::vector<std::string>& tasks) {
  if (!name.empty()) {
    std::vector<std::string> names;
    for (const Family& family : families) {
      if (family.name == name) return family;
      names.push_back(family.name);
    }
    throw UserError("[plan] no family '{}' among the reference models; did you mean '{}'?", name,
                    nearest_word(name, names));
  }
  const auto usable = [&](const Family& family) {
    size_t most = 0;
    for (const auto& task : tasks) most = std::max(most, family.scored(task));
    return most;
  };
  return *std::max_element(families.begin(), families.end(),
                           [&](const Family& a, const Family& b) { return usable(a) < usable(b); });
}

std::vector<std::string> default_density_tasks(const std::vector<Family>& families, const ModelTable& reference,
                                               const std::vector<ModelRow>& models, std::vector<std::string>& notes) {
  std::vector<std::string> candidates = reference.tasks;
  if (reference.ladder) {
    candidates.clear();
    for (const size_t task : default_tasks(*reference.ladder, notes))
      candidates.push_back(reference.ladder->tasks[task]);
  }
  const auto having = [&](const std::string& task) {
    return static_cast<size_t>(
        std::count_if(models.begin(), models.end(), [&](const ModelRow& row) { return row.scores.count(task) != 0; }));
  };
  std::vector<std::string> chosen, passed;
  std::string widest;
  size_t most = 0;
  for (const auto& task : candidates) {
    size_t best = 0;
    for (const Family& family : families) best = std::max(best, family.scored(task));
    most = std::max(most, best);
    if (best < kFewestScored || having(task) == 0) continue;
    if (widest.empty() || having(task) > having(widest)) widest = task;
    (having(task) == models.size() ? chosen : passed).push_back(task);
  }
  if (widest.empty() && most < kFewestScored) {
    throw UserError(
        "[plan] too few reference models: no family of {} has more than {} that score above chance; want at "
        "least {}",
        reference.source, most, kFewestScored);
  }
  if (widest.empty()) {
    throw UserError("[plan] models and reference models share no score; the reference has {}", listed(candidates));
  }
  if (chosen.empty()) {
    chosen = {widest};
    passed.erase(std::find(passed.begin(), passed.end(), widest));
  }
  if (!passed.empty()) {
    notes.push_back(fmt::format("{}: left out, not every model has it; name it in --tasks to have it", listed(passed)));
  }
  return chosen;
}

ReferencePoints reference_points(const Family& family, const ModelTable& reference, const std::string& task) {
  ReferencePoints points{.task = task};
  const bool with_loss = std::all_of(family.models.begin(), family.models.end(), [&](const ModelRow& row) {
    return row.scores.count(task) == 0 || row.losses.count(task) != 0;
  });
  const auto at = reference.ladder ? reference.ladder->find_task(task) : std::nullopt;
  points.anchor = at && with_loss;
  for (size_t i = 0; i < family.models.size(); ++i) {
    const ModelRow& row = family.models[i];
    const auto score = row.scores.find(task);
    if (score == row.scores.end()) continue;
    const double loss = with_loss ? row.losses.at(task) : kMissing;
    if (points.anchor) add_checkpoints(reference.ladder->runs[i], *at, points.models.size(), points.checkpoints);
    points.models.push_back({row.name, row.n, row.tokens, loss, score->second});
  }
  return points;
}

ReferencePoints without_model(const ReferencePoints& points, size_t model) {
  ReferencePoints rest = points;
  rest.models.erase(rest.models.begin() + static_cast<std::ptrdiff_t>(model));
  rest.checkpoints.clear();
  for (ScorePoint point : points.checkpoints) {
    if (point.group == model) continue;
    point.group -= point.group > model;
    rest.checkpoints.push_back(point);
  }
  return rest;
}

}  // namespace tessera::plan
