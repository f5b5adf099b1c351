// See ladder_setup.h.
#include "plan/ladder/ladder_setup.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/fields.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

/// A count in `text` that a model can have; `what` begins the message.
double count_of(const std::string& text, const std::string& what, std::string_view field) {
  const double value = parse_quantity(text, what);
  const std::string fault = count_fault(value, field);
  if (!fault.empty()) throw UserError("[plan] {}: {}", what, fault);
  return value;
}

}  // namespace

std::vector<size_t> chosen_tasks(const LadderTable& table, const LadderOptions& options,
                                 std::vector<std::string>& notes) {
  if (options.tasks.empty()) {
    std::vector<size_t> tasks = default_tasks(table, notes);
    if (tasks.empty()) throw UserError("[plan] {} has no task whose accuracies were measured and vary", table.source);
    return tasks;
  }
  std::vector<size_t> tasks;
  for (const std::string& name : options.tasks) {
    const auto task = table.find_task(name);
    if (!task) {
      throw UserError("[plan] {} has no task '{}'; the nearest is '{}'", table.source, name,
                      nearest_word(name, table.tasks));
    }
    if (std::find(tasks.begin(), tasks.end(), *task) == tasks.end()) tasks.push_back(*task);
  }
  return tasks;
}

std::vector<double> chosen_weights(const LadderTable& table, const LadderOptions& options,
                                   const std::vector<size_t>& tasks) {
  std::vector<double> weights(tasks.size(), options.weights.empty() ? 1 : 0);
  double sum = 0;
  for (size_t t = 0; t < tasks.size(); ++t) {
    for (size_t i = 0; i < options.weights.size(); ++i) {
      if (options.tasks[i] == table.tasks[tasks[t]]) weights[t] += options.weights[i];
    }
    sum += weights[t];
  }
  if (!(sum > 0) || !std::isfinite(sum)) {
    throw UserError("[plan] the weights of the tasks sum to {}, want a number above 0", sum);
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

std::vector<LadderTarget> chosen_targets(const LadderTable& table, const LadderOptions& options) {
  std::vector<LadderTarget> targets = options.targets;
  if (targets.empty()) {
    for (const LadderRun& run : table.targets) targets.push_back({run.name, final_scale(run)});
  }
  if (targets.empty()) {
    throw UserError("[plan] nothing to predict: give --target NAME=N:D, or rows with role 'target' in {}",
                    table.source);
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (targets[i].name == targets[j].name) throw UserError("[plan] two targets are named '{}'", targets[i].name);
    }
    const LadderRun* run = table.find_target(targets[i].scale.params, targets[i].scale.tokens);
    if (run) targets[i].scale.flops = run->flops_per_token * targets[i].scale.tokens;
  }
  return targets;
}

void add_actual(const LadderTable& table, const LadderTarget& target, size_t task, size_t last, LadderPrediction& to) {
  const LadderRun* run = table.find_target(target.scale.params, target.scale.tokens);
  const double actual = run ? mean_at_end(run->tokens, run->tasks[task].acc, last) : kMissing;
  if (std::isnan(actual)) return;
  to.actual = actual;
  to.abs_error_points = 100 * std::abs(to.predicted - actual);
  if (actual > 0) to.rel_error_percent = *to.abs_error_points / actual;
}

LadderTarget parse_target(const std::string& text) {
  const size_t equals = text.find('='), colon = text.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || colon == std::string::npos || equals == 0) {
    throw UserError("[plan] target: got '{}', want NAME=N:D, for example 7B=6.9B:3.9T", text);
  }
  LadderTarget target{text.substr(0, equals), {}};
  target.scale.params =
      count_of(text.substr(equals + 1, colon - equals - 1), "parameters of target " + target.name, "n_params");
  target.scale.tokens = count_of(text.substr(colon + 1), "tokens of target " + target.name, "tokens");
  target.scale.flops = flops_per_token_of(target.scale.params) * target.scale.tokens;
  return target;
}

Rungs chosen_rungs(const LadderTable& table, const LadderOptions& options) {
  Rungs rungs = all_rungs(table);
  if (options.max_rung_params > 0) {
    std::erase_if(rungs, [&](const LadderRun* run) { return run->params > options.max_rung_params; });
    if (rungs.empty())
      throw UserError("[plan] no rung has at most {} parameters", short_number(options.max_rung_params));
  }
  return rungs;
}

void check_ranges(const LadderTable& table, const LadderOptions& options) {
  std::set<std::string> given;
  for (const auto* values : {&options.chance, &options.ceiling}) {
    for (const auto& [name, value] : *values) given.insert(name);
  }
  const auto value_of = [](const std::map<std::string, double>& values, const std::string& name, double otherwise) {
    const auto found = values.find(name);
    return found == values.end() ? otherwise : found->second;
  };
  for (const std::string& name : given) {
    if (!table.find_task(name)) {
      throw UserError("[plan] {} has no task '{}'; the nearest is '{}'", table.source, name,
                      nearest_word(name, table.tasks));
    }
    const double chance = value_of(options.chance, name, chance_of(name).value_or(0));
    const double ceiling = value_of(options.ceiling, name, 1);
    if (chance < ceiling) continue;
    throw UserError("[plan] {}: got a chance level of {} and a ceiling of {}, want a ceiling above it", name, chance,
                    ceiling);
  }
}

}  // namespace tessera::plan
