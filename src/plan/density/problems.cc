// Each problem writes residuals with their analytic slopes.
#include "plan/density/problems.h"

#include <algorithm>
#include <cmath>

#include "plan/ladder/ladder_table.h"

namespace tessera::plan {

namespace {

const double kLog20 = std::log(20.0);

double mean_log(const std::vector<ReferencePoint>& models, double ReferencePoint::*value) {
  double sum = 0;
  for (const auto& model : models) sum += std::log(model.*value);
  return sum / static_cast<double>(models.size());
}

/// Value and slopes of bottom + (top - bottom) / (1 + exp(-z)).
struct Logistic {
  double value, by_z, by_top, by_bottom;

  Logistic(double z, double top, double bottom) {
    const double s = 1 / (1 + std::exp(-z));
    value = bottom + (top - bottom) * s;
    by_z = (top - bottom) * s * (1 - s);
    by_top = s;
    by_bottom = 1 - s;
  }
};

double logit(double p) { return std::log(p / (1 - p)); }

/// Lowest and highest score, with room on either side.
std::pair<double, double> score_range(const std::vector<double>& scores) {
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  return {std::max(0.0, *low - 0.05), std::min(1.0, *high + 0.1)};
}

}  // namespace

PowerTerms::PowerTerms(const std::vector<ReferencePoint>& models)
    : log_n(mean_log(models, &ReferencePoint::n)), log_d(mean_log(models, &ReferencePoint::d)) {}

double PowerTerms::at(std::span<const double> x, double n, double d, std::vector<double>& slopes) const {
  const double alpha = std::exp(x[1]), beta = std::exp(x[3]);
  const double away_n = std::log(n) - log_n, away_d = std::log(d) - log_d;
  const double size = std::exp(x[0] - alpha * away_n), data = std::exp(x[2] - beta * away_d);
  slopes[0] = size;
  slopes[1] = -size * alpha * away_n;
  slopes[2] = data;
  slopes[3] = -data * beta * away_d;
  return size + data;
}

void PowerTerms::add_priors(std::span<const double> x, double noise, ResidualList& list) const {
  const double centre = std::log(priors.exponent), unit = noise / priors.exponent_spread;
  list.add((x[1] - centre) * unit - noise * shifts[0])[1] = unit;
  list.add((x[3] - centre) * unit - noise * shifts[1])[3] = unit;
  const double beta = std::exp(x[3]), away = kLog20 + log_n - log_d, scale = noise / priors.balance_spread;
  const double balance = (x[3] + x[2] - beta * away) - (x[1] + x[0]);
  const auto row = list.add(balance * scale - noise * shifts[2]);
  row[0] = row[1] = -scale;
  row[2] = scale;
  row[3] = (1 - beta * away) * scale;
}

LossLaw PowerTerms::law(std::span<const double> x) const {
  const double alpha = std::exp(x[1]), beta = std::exp(x[3]);
  return {.log_a = x[0] + alpha * log_n, .alpha = alpha, .log_b = x[2] + beta * log_d, .beta = beta};
}

LossStep::LossStep(const std::vector<ReferencePoint>& all, const CurveFitOptions& options) : terms(all), models(all) {
  terms.priors = options.priors;
  terms.priors.exponent_spread = options.priors.exponent_spread_with_loss;
  for (const auto& model : models) targets.push_back(std::log(model.loss));
}

void LossStep::operator()(std::span<const double> x, ResidualList& list) const {
  std::vector<double> slopes(4);
  for (size_t i = 0; i < models.size(); ++i) {
    const double loss = terms.at(x, models[i].n, models[i].d, slopes) + x[4];
    const auto row = list.add(std::log(loss) - targets[i]);
    for (size_t k = 0; k < 4; ++k) row[k] = slopes[k] / loss;
    row[4] = 1 / loss;
  }
  terms.add_priors(x, noise, list);
}

Bounds LossStep::bounds(bool with_constant) const {
  const double least = std::exp(*std::min_element(targets.begin(), targets.end()));
  const double low = std::log(.005), high = std::log(4);
  return {{-25, low, -25, low, 0}, {25, high, 25, high, with_constant ? 0.999 * least : 0}};
}

std::vector<std::vector<double>> LossStep::starts() const {
  const double loss = mean_log(models, &ReferencePoint::loss),
               least = *std::min_element(targets.begin(), targets.end());
  std::vector<std::vector<double>> all;
  for (const double share : {0.2, 0.5, 0.8}) {
    for (const double exponent : {0.1, 0.35}) {
      all.push_back({loss + std::log(share), std::log(exponent), loss + std::log(1 - share), std::log(exponent),
                     0.3 * std::exp(least)});
    }
  }
  return all;
}

SigmoidEnds::SigmoidEnds(const std::string& task, const CurvePriors& priors)
    : floor(chance_of(task).value_or(0)), floor_spread(chance_of(task) ? priors.floor_spread : 0.1),
      ceiling(priors.ceiling), ceiling_spread(priors.ceiling_spread) {}

void SigmoidEnds::add_priors(double top, double bottom, size_t at, double noise, ResidualList& list) const {
  list.add(noise * ((bottom - floor) / floor_spread - shifts[1]))[at + 1] = noise / floor_spread;
  if (!ceiling_prior) return;
  list.add(noise * ((top - ceiling) / ceiling_spread - shifts[0]))[at] = noise / ceiling_spread;
}

ScoreStep::ScoreStep(const ReferencePoints& all, const CurveFitOptions& options)
    : ends(all.task, options.priors), points(all.checkpoints), anchor(all.anchor) {
  if (points.empty()) {
    for (const auto& model : all.models) points.push_back({model.loss, model.score, points.size()});
  }
  size_t groups = 0;
  for (const auto& point : points) groups = std::max(groups, point.group + 1);
  weights.assign(groups, 1);
  ends.ceiling_prior = !anchor;
}

void ScoreStep::operator()(std::span<const double> x, ResidualList& list) const {
  const double steep = std::exp(x[0]);
  const auto add = [&](const ScorePoint& point, double weight) {
    const Logistic s(-steep * (point.loss - x[1]), x[2], x[3]);
    const auto row = list.add(weight * (s.value - point.score));
    row[0] = -weight * s.by_z * steep * (point.loss - x[1]);
    row[1] = weight * s.by_z * steep;
    row[2] = weight * s.by_top;
    row[3] = weight * s.by_bottom;
  };
  for (const auto& point : points) {
    if (weights[point.group] > 0) add(point, weights[point.group]);
  }
  if (anchor) add({0, 1, 0}, 1);
  ends.add_priors(x[2], x[3], 2, noise, list);
}

Bounds ScoreStep::bounds() const { return {{-7, 0, 0, 0}, {7, 50, 1, 1}}; }

std::vector<std::vector<double>> ScoreStep::starts() const {
  std::vector<double> scores, losses;
  for (const auto& point : points) {
    scores.push_back(point.score);
    losses.push_back(point.loss);
  }
  const auto [low, high] = score_range(scores);
  std::sort(losses.begin(), losses.end());
  const double spread = std::max(1e-3, losses.back() - losses.front());
  std::vector<std::vector<double>> all;
  for (const double steep : {2.0, 6.0}) {
    for (const double at : {0.25, 0.75}) {
      const double middle = losses[static_cast<size_t>(at * static_cast<double>(losses.size() - 1))];
      all.push_back({std::log(steep / spread), middle, std::max(high, 0.9), low});
      all.push_back({std::log(steep / spread), middle, high, low});
    }
  }
  return all;
}

ScoreCurve ScoreStep::curve(std::span<const double> x) {
  return {.c = x[2] - x[3], .gamma = -std::exp(x[0]), .l = x[1], .d = x[3]};
}

JointStep::JointStep(const ReferencePoints& all, const CurveFitOptions& options)
    : terms(all.models), ends(all.task, options.priors), models(all.models), noise(options.score_noise) {
  terms.priors = options.priors;
  for (const auto& model : models) targets.push_back(model.score);
}

void JointStep::operator()(std::span<const double> x, ResidualList& list) const {
  std::vector<double> slopes(4);
  for (size_t i = 0; i < models.size(); ++i) {
    const Logistic s(x[4] - terms.at(x, models[i].n, models[i].d, slopes), x[5], x[6]);
    const auto row = list.add(s.value - targets[i]);
    for (size_t k = 0; k < 4; ++k) row[k] = -s.by_z * slopes[k];
    row[4] = s.by_z;
    row[5] = s.by_top;
    row[6] = s.by_bottom;
  }
  terms.add_priors(x, noise, list);
  ends.add_priors(x[5], x[6], 5, noise, list);
}

Bounds JointStep::bounds() const {
  const double low = std::log(.005), high = std::log(4);
  return {{-15, low, -15, low, -20, 0, 0}, {5, high, 5, high, 60, 1, 1}};
}

std::vector<std::vector<double>> JointStep::starts() const {
  const auto [low, high] = score_range(targets);
  const double top = std::max(high, 0.9), bottom = std::min(low, ends.floor);
  double mean = 0;
  for (const double score : targets) mean += score / static_cast<double>(targets.size());
  const double middle = logit(std::clamp((mean - bottom) / (top - bottom), 0.05, 0.95));
  std::vector<std::vector<double>> all;
  for (const double size : {0.3, 1.0, 3.0, 8.0}) {
    for (const double share : {0.3, 1.0}) {
      const double data = share * size;
      all.push_back({std::log(size), std::log(0.3), std::log(data), std::log(0.3), middle + size + data, top, bottom});
    }
  }
  return all;
}

ReferenceCurve JointStep::curve(std::span<const double> x) const {
  return {terms.law(x), {.c = x[5] - x[6], .gamma = -1, .l = x[4], .d = x[6]}};
}

}  // namespace tessera::plan
