// The two fits of a task. They share the laws and the points; they differ in prior, loss and starts.
#include "plan/curves/task_curve.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "plan/ladder/ladder_table.h"

namespace tessera::plan {

namespace {

constexpr double kLeastNoise = 0.005;  // scatter that the robust fit grants every rung, in log loss
constexpr double kScaleOfMedian = 1.4826;
constexpr size_t kMostPoints = 256;  // of a rung in step 2: neighbours say the same

/// Where fits of a task begin; a quarter for what is not known to differ.
double guess(std::string_view task) { return chance_of(task).value_or(0.25); }

void require_points(size_t got, size_t want, std::string_view task, Feature feature) {
  if (got >= want) return;
  throw UserError("[plan] too few rungs for {}: got {} runs with '{}' measured, want at least {}", task, got,
                  feature_name(feature), want);
}

constexpr AccuracyPoint kAnchor{0, 1, 1};  // without loss every answer is right

/// All rungs' points in one list, each weighing as its rung.
std::vector<AccuracyPoint> gathered(const RungCheckpoints& rungs, const std::vector<double>* weights = nullptr) {
  std::vector<AccuracyPoint> points;
  for (size_t i = 0; i < rungs.size(); ++i) {
    for (AccuracyPoint point : rungs[i]) {
      if (weights) point.weight *= (*weights)[i];
      points.push_back(point);
    }
  }
  return points;
}

/// Scatter of the points about a law, in log loss: the median's, so that one bad rung does not set it.
double scatter(const std::vector<LossPoint>& points, const LossLaw& law, size_t parameters) {
  std::vector<double> away;
  for (const LossPoint& point : points) {
    const double predicted = std::isinf(law.log_b) ? law.size_term(point.n) + law.e : law.at(point.n, point.d);
    away.push_back(std::abs(std::log(predicted / point.loss)));
  }
  const auto middle = away.begin() + static_cast<std::ptrdiff_t>(away.size() / 2);
  std::nth_element(away.begin(), middle, away.end());
  const double free = std::max<double>(1, static_cast<double>(points.size()) - static_cast<double>(parameters));
  return kScaleOfMedian * *middle * std::sqrt(static_cast<double>(points.size()) / free);
}

void add_bounds(TaskCurve& curve, const std::vector<std::string>& names) {
  curve.on_bound.insert(curve.on_bound.end(), names.begin(), names.end());
}

}  // namespace

RungCheckpoints rung_checkpoints(const Rungs& rungs, size_t task, const Form& form, size_t join, size_t most) {
  RungCheckpoints checkpoints;
  for (const LadderRun* run : rungs) {
    const size_t enough = (run->tokens.size() + most - 1) / most;
    checkpoints.push_back(
        checkpoint_points(*run, task, form.feature, {.skip = form.skip, .join = std::max(join, enough)}));
  }
  return checkpoints;
}

double TaskCurve::loss_at(const RunScale& at) const {
  return form.feature == Feature::flops ? law.size_term(at.flops) + law.e : law.at(at.params, at.tokens);
}

double TaskCurve::accuracy_scatter(const RunScale& at) const {
  const double loss = loss_at(at);
  return std::abs(sigmoid.at(loss * (1 + scatter)) - sigmoid.at(loss * (1 - scatter))) / 2;
}

TaskCurve fit_paper_curve(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature) {
  const bool over_choices = feature == Feature::ce;  // the paper takes the last checkpoint, half the run, no smoothing
  const auto points = loss_points(rungs, task, feature, nullptr, over_choices ? 1 : kLastCheckpoints);
  require_points(points.size(), feature == Feature::flops ? 3 : 4, task_name, feature);
  const auto law = feature == Feature::flops ? fit_compute_law(points) : fit_loss_law(points);
  RungCheckpoints by_rung;
  for (const LadderRun* run : rungs) {
    by_rung.push_back(checkpoint_points(*run, task, feature, over_choices ? Smoothing{0.5, 1} : Smoothing{}));
  }
  std::vector<AccuracyPoint> checkpoints = gathered(by_rung);
  if (checkpoints.empty()) {
    throw UserError("[plan] {} has no checkpoint with both '{}' and accuracy measured", task_name,
                    feature_name(feature));
  }
  if (!over_choices) checkpoints.push_back(kAnchor);
  const auto sigmoid = over_choices ? fit_log_sigmoid(checkpoints) : fit_sigmoid(checkpoints, guess(task_name));
  TaskCurve curve{{feature, over_choices ? 0.5 : 0.1}, law.law, sigmoid.law, scatter(points, law.law, 5), {}};
  add_bounds(curve, law.on_bound);
  add_bounds(curve, sigmoid.on_bound);
  return curve;
}

SingleStepLaw fit_paper_single_step(const Rungs& rungs, size_t task, std::string_view task_name) {
  std::vector<LossPoint> points;
  for (const LadderRun* run : rungs) {
    const double accuracy = final_accuracy(*run, task);
    if (accuracy == 0) {
      throw UserError("[plan] {}: run '{}' ends with accuracy 0, of which the single step takes the logarithm",
                      task_name, run->name);
    }
    if (!std::isnan(accuracy)) points.push_back({run->params, run->final_tokens(), accuracy});
  }
  require_points(points.size(), 4, task_name, Feature::bpb);
  return fit_single_step(points, guess(task_name)).law;
}

TaskCurve fit_robust_curve(const Rungs& rungs, size_t task, std::string_view task_name, const Form& form,
                           const RobustFit& how) {
  const std::vector<LossPoint> points = loss_points(rungs, task, form.feature, how.weights);
  require_points(points.size(), 4, task_name, form.feature);
  LossFitOptions options{.delta = 1, .noise = kLeastNoise, .prior = how.prior};
  double rungs_scatter = 0;
  if (how.warm_start) {
    rungs_scatter = how.warm_start->scatter;
    options.noise = std::max(kLeastNoise, rungs_scatter);
    options.warm_start = &how.warm_start->law;
  }
  const auto fit = form.feature == Feature::flops ? fit_compute_law : fit_loss_law;
  auto law = fit(points, options);
  if (!how.warm_start) {
    rungs_scatter = scatter(points, law.law, 3);
    options.noise = std::max(kLeastNoise, rungs_scatter);
    if (options.noise > kLeastNoise) law = fit(points, options);
  }
  std::vector<AccuracyPoint> checkpoints =
      gathered(how.checkpoints ? *how.checkpoints : rung_checkpoints(rungs, task, form, 1, kMostPoints), how.weights);
  checkpoints.push_back(kAnchor);
  const auto sigmoid = fit_sigmoid(checkpoints, guess(task_name), how.warm_start ? &how.warm_start->sigmoid : nullptr);
  TaskCurve curve{form, law.law, sigmoid.law, rungs_scatter, {}};
  add_bounds(curve, law.on_bound);
  add_bounds(curve, sigmoid.on_bound);
  return curve;
}

}  // namespace tessera::plan
