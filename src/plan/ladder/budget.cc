// A line search over sizes: on a budget, tokens follow from size.
#include "plan/ladder/budget.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

constexpr double kSmallest = 1e6, kFewestTokensPerParam = 0.5, kMostFlops = 1e36;
constexpr size_t kGrid = 600, kCurve = 81;
constexpr double kCurveReach = 8;   // the curve goes to this factor on both sides of the best size
constexpr size_t kFewestRungs = 5;  // of a part of the ladder

RunScale scale_of(const BudgetPoint& point) { return {point.params, point.tokens, point.training_flops}; }

/// What is left for training at a size once serving is paid for.
BudgetPoint point_at(const BudgetOptions& options, double params) {
  BudgetPoint point{.params = params, .inference_flops = 2 * params * options.inference_tokens};
  point.training_flops = options.flops - point.inference_flops;
  point.tokens = point.training_flops / flops_per_token_of(params);
  return point;
}

bool is_sensible(const BudgetPoint& point) { return point.tokens >= kFewestTokensPerParam * point.params; }

std::vector<BudgetPoint> points_between(const BudgetOptions& options, const LadderForecast& curves, double low,
                                        double high, size_t count) {
  std::vector<BudgetPoint> points;
  for (size_t i = 0; i < count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(count - 1);
    BudgetPoint point = point_at(options, low * std::pow(high / low, share));
    if (!is_sensible(point)) continue;
    point.accuracy = mean_accuracy(curves, scale_of(point));
    points.push_back(point);
  }
  return points;
}

BudgetPoint best_of(const std::vector<BudgetPoint>& points) {
  return *std::max_element(points.begin(), points.end(), [](auto& a, auto& b) { return a.accuracy < b.accuracy; });
}

double largest_size(const BudgetOptions& options) {
  const double most = std::sqrt(options.flops / (6 * kFewestTokensPerParam));
  return options.max_params > 0 ? std::min(options.max_params, most) : most;
}

void check(const BudgetOptions& options) {
  if (!(options.flops > 0 && options.flops <= kMostFlops)) {
    throw UserError("[plan] budget: got {} FLOPs, want more than 0 and at most {:g}", options.flops, kMostFlops);
  }
  if (!(options.tolerance > 0 && options.tolerance < 1)) {
    throw UserError("[plan] tolerance: got {}, want a fraction between 0 and 1", options.tolerance);
  }
  if (options.inference_tokens < 0)
    throw UserError("[plan] inference tokens: got {}, want at least 0", options.inference_tokens);
  if (largest_size(options) < kSmallest) {
    throw UserError("[plan] a budget of {} FLOPs and at most {} parameters allows no model of {} parameters or more",
                    short_number(options.flops), short_number(largest_size(options)), short_number(kSmallest));
  }
  if (!is_sensible(point_at(options, kSmallest))) {
    throw UserError("[plan] serving {} tokens takes the whole budget of {} FLOPs even at {} parameters",
                    short_number(options.inference_tokens), short_number(options.flops), short_number(kSmallest));
  }
}

Rungs rungs_of(const SubLadder& part, const Rungs& rungs) {
  constexpr double rounding = 0.06;  // lengths are told apart in steps of a tenth
  Rungs kept = rungs;
  std::erase_if(kept, [&](const LadderRun* run) {
    return run->params > part.max_params || run->final_tokens() / run->params > part.max_tokens_per_param + rounding;
  });
  return kept;
}

/// True when every curve of the whole ladder can be fitted again on these rungs.
bool can_be_fitted(const Rungs& rungs, const LadderForecast& forecast) {
  return rungs.size() >= kFewestRungs && std::ranges::all_of(forecast.curves, [&](const TaskEnsemble& task) {
           return std::ranges::all_of(task.curves, [&](const TaskCurve& curve) {
             return has_feature(rungs, task.task.index, curve.form.feature);
           });
         });
}

/// Cheapest rungs first: every pair of a largest size and a largest length that can still be fitted.
std::vector<SubLadder> parts_of(const Rungs& rungs, const Budget& budget) {
  std::set<double> sizes, lengths;
  for (const LadderRun* run : rungs) {
    sizes.insert(run->params);
    lengths.insert(std::round(10 * run->final_tokens() / run->params) / 10);
  }
  std::vector<SubLadder> parts;
  for (const double size : sizes) {
    for (const double length : lengths) {
      if (size == *sizes.begin() || length == *lengths.begin()) continue;  // one size or length separates nothing
      SubLadder part{.max_params = size, .max_tokens_per_param = length};
      const Rungs kept = rungs_of(part, rungs);
      part.rungs = kept.size();
      for (const LadderRun* run : kept) part.flops += run->final_flops();
      part.share = part.flops / budget.best.training_flops;
      if (can_be_fitted(kept, budget.forecast)) parts.push_back(part);
    }
  }
  std::sort(parts.begin(), parts.end(), [](auto& a, auto& b) { return a.flops < b.flops; });
  return parts;
}

/// A task's curves, fitted again on a part of the ladder.
TaskEnsemble refitted(const TaskEnsemble& whole, const Rungs& part, LadderMethod method) {
  if (method == LadderMethod::paper) {
    TaskEnsemble again{.task = whole.task, .shares = {1}};
    again.curves = {fit_paper_curve(part, whole.task.index, whole.task.name, whole.curves.front().form.feature)};
    return again;
  }
  std::vector<SharedForm> forms;
  for (size_t f = 0; f < whole.curves.size(); ++f) forms.push_back({whole.curves[f].form, whole.shares[f]});
  return fit_ensemble(part, whole.task, forms);
}

void judge_parts(const Rungs& rungs, const BudgetOptions& options, Budget& budget) {
  budget.ladders = parts_of(rungs, budget);
  for_each_on_threads(budget.ladders.size(), options.ladder.threads, [&](size_t i) {
    SubLadder& part = budget.ladders[i];
    const Rungs kept = rungs_of(part, rungs);
    const RunScale at = scale_of(budget.best);
    for (size_t t = 0; t < budget.forecast.curves.size(); ++t) {
      const TaskEnsemble& whole = budget.forecast.curves[t];
      const TaskEnsemble again = refitted(whole, kept, options.ladder.method);
      part.deviation += budget.forecast.weights[t] * std::abs(again.accuracy_at(at) - whole.accuracy_at(at));
    }
  });
  for (const SubLadder& part : budget.ladders) {
    if (part.deviation <= options.tolerance) {
      budget.cheapest = part;
      break;
    }
  }
}

}  // namespace

Budget plan_budget(const LadderTable& table, const BudgetOptions& options, const LadderProgress& progress) {
  check(options);
  LadderOptions how = options.ladder;
  const BudgetPoint first = point_at(options, kSmallest);
  how.targets = {{"budget", scale_of(first)}};
  how.resamples = 0;
  how.single_step = false;
  Budget budget;
  const LadderForecast curves = forecast_ladder(table, how);
  const double most = largest_size(options);
  const BudgetPoint coarse = best_of(points_between(options, curves, kSmallest, most, kGrid));
  const double step = std::pow(most / kSmallest, 1.0 / (kGrid - 1));
  budget.best = best_of(points_between(options, curves, std::max(kSmallest, coarse.params / step),
                                       std::min(most, coarse.params * step), kGrid));
  budget.curve = points_between(options, curves, std::max(kSmallest, budget.best.params / kCurveReach),
                                std::min(most, budget.best.params * kCurveReach), kCurve);
  budget.smallest_as_good = budget.largest_as_good = budget.best;
  for (const BudgetPoint& point : budget.curve) {
    if (point.accuracy < budget.best.accuracy - options.tolerance / 10) continue;
    if (point.params < budget.smallest_as_good.params) budget.smallest_as_good = point;
    if (point.params > budget.largest_as_good.params) budget.largest_as_good = point;
  }
  how.resamples = options.ladder.resamples;
  how.targets = {{"budget", scale_of(budget.best)}};
  budget.forecast = forecast_ladder(table, how, progress);
  const Rungs rungs = chosen_rungs(table, how);
  for (const LadderRun* run : rungs) budget.ladder_flops += run->final_flops();
  judge_parts(rungs, options, budget);
  return budget;
}

}  // namespace tessera::plan
