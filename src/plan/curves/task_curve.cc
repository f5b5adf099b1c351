// The two fits of a task. They share the laws and the points; they differ in prior, loss and starts.
#include "plan/curves/task_curve.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "plan/ladder/ladder_table.h"

namespace tessera::plan {

namespace {

constexpr double kBelowChance = 0.02, kKnownFloorSpread = 0.015, kUnknownFloorSpread = 0.04;
constexpr double kLeastNoise = 0.005;  // scatter that the robust fit grants every rung, in log loss
constexpr double kScaleOfMedian = 1.4826;
constexpr size_t kJoin = 2, kMostGroups = 48;  // neighbouring checkpoints are nearly copies of each other
constexpr double kDirectNoise = 0.01;          // of accuracies about a law in one step, before it is known

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

/// Accuracies scatter about a curve by at least this much.
constexpr double kLeastAccuracyNoise = 0.004;
/// What the checkpoints of one rung, copies of each other, are worth in independent ones.
constexpr double kPointsOfRung = 3;

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

double TaskCurve::accuracy_at(const RunScale& at) const {
  if (!direct) return sigmoid.at(loss_at(at));
  return direct->at(form.feature == Feature::flops ? at.flops : at.params, at.tokens);
}

double TaskCurve::accuracy_scatter(const RunScale& at) const {
  if (direct) return accuracy_noise;
  const double loss = loss_at(at);
  return std::abs(sigmoid.at(loss * (1 + scatter)) - sigmoid.at(loss * (1 - scatter))) / 2;
}

AccuracyRange range_of(const Rungs& rungs, size_t task, std::string_view name) {
  double least = 1;
  for (const LadderRun* run : rungs) {
    const double accuracy = final_accuracy(*run, task);
    if (!std::isnan(accuracy)) least = std::min(least, accuracy);
  }
  AccuracyRange range;
  const auto chance = chance_of(name);
  if (chance && least > *chance - kBelowChance) {
    range.floor = *chance;
    range.floor_spread = kKnownFloorSpread;
  } else {  // not far below the lowest rung, which may have learnt something already
    range.floor = std::max(0.0, least - kBelowChance);
    range.floor_spread = kUnknownFloorSpread;
  }
  return range;
}

TaskCurve fit_paper_curve(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature) {
  const bool over_choices = feature == Feature::ce;  // the paper takes the last checkpoint, half the run, no smoothing
  const auto points = loss_points(rungs, task, feature, nullptr, over_choices ? 1 : kLastCheckpoints);
  if (feature == Feature::acc || (feature == Feature::flops && points.empty())) {
    const LadderTask described{task, std::string(task_name), range_of(rungs, task, task_name)};
    return fit_robust_curve(form_data(rungs, task, {feature}), described, {feature});
  }
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
  TaskCurve curve{{feature, over_choices ? 0.5 : 0.1}, law.law, sigmoid.law, {}, scatter(points, law.law, 5), {}};
  add_bounds(curve, law.on_bound);
  add_bounds(curve, sigmoid.on_bound);
  return curve;
}

SingleStepLaw fit_paper_single_step(const Rungs& rungs, size_t task, std::string_view task_name) {
  std::vector<LossPoint> points;
  double least = 1;
  for (const LadderRun* run : rungs) {
    const double accuracy = final_accuracy(*run, task);
    if (std::isnan(accuracy)) continue;
    if (accuracy > 0) least = std::min(least, accuracy);
    points.push_back({run->params, run->final_tokens(), accuracy});
  }
  for (LossPoint& point : points) point.loss = std::max(point.loss, least / 2);
  require_points(points.size(), 4, task_name, Feature::acc);
  return fit_single_step(points, guess(task_name)).law;
}

FormData form_data(const Rungs& rungs, size_t task, const Form& form) {
  FormData data;
  double most = 0;
  bool any_loss = false;
  for (const LadderRun* run : rungs) {
    most = std::max(most, run->final_flops());
    any_loss = any_loss || has_two_steps(*run, task, form.feature);
  }
  data.direct = form.feature == Feature::acc || (form.feature == Feature::flops && !any_loss);
  for (const LadderRun* run : rungs) {
    const RunScale at = final_scale(*run);
    const double end = data.direct ? final_accuracy(*run, task) : final_loss(*run, task, form.feature);
    data.ends.push_back({form.feature == Feature::flops ? at.flops : at.params, at.tokens, end,
                         std::pow(at.flops / most, form.emphasis)});
  }
  if (data.direct) return data;
  data.checkpoints = rung_checkpoints(rungs, task, form, kJoin, kMostGroups);
  for (size_t r = 0; r < rungs.size(); ++r) {
    for (AccuracyPoint& point : data.checkpoints[r]) point.weight *= data.ends[r].weight;
  }
  return data;
}

namespace {

/// Final values that were measured, each weighing as its rung.
std::vector<LossPoint> weighed_ends(const FormData& data, const RobustFit& how) {
  std::vector<LossPoint> points;
  for (size_t i = 0; i < data.ends.size(); ++i) {
    if (std::isnan(data.ends[i].loss)) continue;
    points.push_back(data.ends[i]);
    if (how.weights) points.back().weight *= (*how.weights)[i];
  }
  return points;
}

/// Scatter of the checkpoints about the sigmoid.
double sigmoid_noise(const FormData& data, const Sigmoid& sigmoid) {
  double square = 0, total = 0;
  for (const auto& rung : data.checkpoints) {
    for (const AccuracyPoint& point : rung) {
      square += point.weight * std::pow(sigmoid.at(point.loss) - point.accuracy, 2);
      total += point.weight;
    }
  }
  return std::max(kLeastAccuracyNoise, std::sqrt(square / std::max(total, 1e-300)));
}

/// Step 2: the sigmoid through the checkpoints, with two points for what is believed of its ends. Their weight is that of
/// their spread against the noise of the others, of which a rung has a few independent ones.
Fitted<Sigmoid> fit_ranged_sigmoid(const FormData& data, const AccuracyRange& range, const RobustFit& how) {
  std::vector<AccuracyPoint> points = gathered(data.checkpoints, how.weights);
  double worst = 0, independent = 0, total = 0;
  for (const auto& rung : data.checkpoints) independent += std::min(kPointsOfRung, static_cast<double>(rung.size()));
  for (const AccuracyPoint& point : points) {
    worst = std::max(worst, point.loss);
    total += point.weight;
  }
  const size_t measured = points.size();
  const auto spread = [](double s) { return std::max(s, 1e-4); };
  points.push_back({4 * worst, range.floor, 0});
  points.push_back({0, range.ceiling, 0});
  const Sigmoid* start = how.warm_start ? &how.warm_start->sigmoid : nullptr;
  double noise = how.warm_start ? how.warm_start->accuracy_noise : 2 * kLeastAccuracyNoise;
  Fitted<Sigmoid> fit;
  for (int pass = how.warm_start ? 1 : 0; pass < 2; ++pass) {
    const double unit = noise * noise * total / std::max(1.0, independent);
    points[measured].weight = unit / (spread(range.floor_spread) * spread(range.floor_spread));
    points[measured + 1].weight = unit / (spread(range.ceiling_spread) * spread(range.ceiling_spread));
    fit = fit_sigmoid(points, range.floor, start);
    if (pass == 1) break;
    noise = sigmoid_noise(data, fit.law);
  }
  return fit;
}

TaskCurve fit_robust_direct(const FormData& data, const LadderTask& task, const Form& form, const RobustFit& how) {
  const std::vector<LossPoint> points = weighed_ends(data, how);
  require_points(points.size(), 4, task.name, form.feature);
  DirectFitOptions options{.noise = kDirectNoise, .range = task.range, .compute_only = form.feature == Feature::flops};
  options.prior.centre_alpha = how.prior.centre_alpha;
  options.prior.centre_beta = how.prior.centre_beta;
  if (how.warm_start) {
    options.noise = how.warm_start->accuracy_noise;
    options.warm_start = &*how.warm_start->direct;
  }
  TaskCurve curve{.form = form};
  for (int pass = how.warm_start ? 1 : 0; pass < 2; ++pass) {
    curve.direct = fit_direct_law(points, options).law;
    if (pass == 1) break;
    std::vector<double> away;
    for (const LossPoint& point : points) away.push_back(std::abs(curve.direct->at(point.n, point.d) - point.loss));
    std::nth_element(away.begin(), away.begin() + static_cast<std::ptrdiff_t>(away.size() / 2), away.end());
    options.noise = std::max(kLeastAccuracyNoise, kScaleOfMedian * away[away.size() / 2]);
    options.warm_start = &*curve.direct;
  }
  curve.accuracy_noise = options.noise;
  return curve;
}

}  // namespace

TaskCurve fit_robust_curve(const FormData& data, const LadderTask& task, const Form& form, const RobustFit& how) {
  if (data.direct) return fit_robust_direct(data, task, form, how);
  const std::vector<LossPoint> points = weighed_ends(data, how);
  require_points(points.size(), 4, task.name, form.feature);
  LossFitOptions options{.delta = 1, .noise = kLeastNoise, .prior = how.prior, .tied = form.tied};
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
  const auto sigmoid = fit_ranged_sigmoid(data, task.range, how);
  TaskCurve curve{.form = form, .law = law.law, .sigmoid = sigmoid.law, .scatter = rungs_scatter};
  curve.accuracy_noise = how.warm_start ? how.warm_start->accuracy_noise : sigmoid_noise(data, sigmoid.law);
  add_bounds(curve, law.on_bound);
  add_bounds(curve, sigmoid.on_bound);
  return curve;
}

}  // namespace tessera::plan
