// Two steps or one; each is fitted, its noise measured, fitted again with priors in that unit, then redrawn.
#include "plan/density/fit.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "plan/curves/random.h"
#include "plan/density/problems.h"
#include "plan/ladder/ladder_table.h"

namespace tessera::plan {

namespace {

constexpr int kDrawEvaluations = 60;
constexpr size_t kJointFreedom = 3;  // what the scores of a family determine: height, slope and bend
constexpr double kQuietest = 1e-9;   // noise of points that are exactly on a curve

double root_mean_square(const std::vector<double>& values, size_t count, size_t parameters) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) sum += values[i] * values[i];
  return std::sqrt(sum / static_cast<double>(count > parameters ? count - parameters : 1));
}

template <class Problem> ResidualList residuals_of(const Problem& problem, const std::vector<double>& x) {
  ResidualList list(x.size());
  problem(x, list);
  return list;
}

/// Fits with next to no prior, takes what is left over the first `count` residuals for the noise, fits again.
template <class Problem>
std::vector<double> fit_twice(Problem& problem, const Bounds& bounds, size_t count, size_t parameters) {
  problem.noise = 1e-6;
  const std::vector<double> rough = least_squares(std::cref(problem), problem.starts(), bounds).x;
  problem.noise = std::max(kQuietest, root_mean_square(residuals_of(problem, rough).values, count, parameters));
  std::vector<std::vector<double>> starts = problem.starts();
  starts.push_back(rough);
  return least_squares(std::cref(problem), starts, bounds).x;
}

template <size_t N> void shift_all(std::array<double, N>& shifts, Rng& rng) {
  for (double& shift : shifts) shift = normal(rng);
}

/// The fit's values plus resampled residuals, widened for the degrees of freedom that the fit used.
std::vector<double> redrawn(const std::vector<double>& targets, const std::vector<double>& residuals, double widen,
                            Rng& rng) {
  std::vector<double> drawn(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    drawn[i] = targets[i] + residuals[i] - widen * residuals[rng.below(targets.size())];
  }
  return drawn;
}

double widening(size_t count, size_t parameters) {
  const size_t left = count > parameters ? count - parameters : 1;
  return std::sqrt(static_cast<double>(count) / static_cast<double>(left));
}

/// Resamples a second step: whole runs where checkpoints belong to runs, residuals where each model has one pair.
void redraw(ScoreStep& step, const ScoreStep& original, const std::vector<double>& residuals, Rng& rng) {
  const size_t groups = original.weights.size(), count = original.points.size();
  if (groups < count) {
    std::vector<double> counts(groups, 0);
    for (size_t i = 0; i < groups; ++i) ++counts[rng.below(groups)];
    for (size_t i = 0; i < groups; ++i) step.weights[i] = std::sqrt(counts[i]);
  } else {
    std::vector<double> scores;
    for (const auto& point : original.points) scores.push_back(point.score);
    scores = redrawn(scores, residuals, widening(count, 4), rng);
    for (size_t i = 0; i < count; ++i) step.points[i].score = scores[i];
  }
  shift_all(step.ends.shifts, rng);
}

LossLaw law_of(const LossStep& step, const std::vector<double>& x) {
  LossLaw law = step.terms.law(x);
  law.e = x[4];
  return law;
}

void fit_two_steps(const ReferencePoints& points, const CurveFitOptions& options, ReferenceFit& fit) {
  const size_t count = points.models.size();
  LossStep loss(points.models, options);
  const Bounds other_bounds = loss.bounds(!options.loss_constant), loss_bounds = loss.bounds(options.loss_constant);
  const size_t parameters = options.loss_constant ? 5 : 4;
  LossStep other = loss;
  const std::vector<double> other_x = fit_twice(other, other_bounds, count, 9 - parameters);
  const std::vector<double> x = fit_twice(loss, loss_bounds, count, parameters);
  const std::vector<double> loss_residuals = residuals_of(loss, x).values;
  const double rms = root_mean_square(loss_residuals, count, 0);
  const double other_rms = root_mean_square(residuals_of(other, other_x).values, count, 0);
  fit.figures.method = "two steps";
  fit.figures.loss_rms = rms;
  fit.figures.loss_rms_with_constant = options.loss_constant ? rms : other_rms;
  ScoreStep score(points, options);
  const Bounds score_bounds = score.bounds();
  const std::vector<double> y = fit_twice(score, score_bounds, score.points.size(), 4);
  const std::vector<double> score_residuals = residuals_of(score, y).values;
  fit.curve = {law_of(loss, x), ScoreStep::curve(y)};
  const LossStep loss_fitted = loss;
  const ScoreStep score_fitted = score;
  for (size_t i = 0; i < options.draws; ++i) {
    Rng rng(options.seed, i);  // the same for every task: one run is off on all tasks at once
    loss.targets = redrawn(loss_fitted.targets, loss_residuals, widening(count, parameters), rng);
    shift_all(loss.terms.shifts, rng);
    redraw(score, score_fitted, score_residuals, rng);
    fit.draws.push_back({law_of(loss, refine(std::cref(loss), x, loss_bounds, kDrawEvaluations).x),
                         ScoreStep::curve(refine(std::cref(score), y, score_bounds, kDrawEvaluations).x)});
  }
}

void fit_scores_only(const ReferencePoints& points, const CurveFitOptions& options, ReferenceFit& fit) {
  JointStep joint(points, options);
  const Bounds bounds = joint.bounds();
  std::vector<double> x = least_squares(std::cref(joint), joint.starts(), bounds).x;
  const double left_over = root_mean_square(residuals_of(joint, x).values, points.models.size(), kJointFreedom);
  if (left_over > joint.noise) {
    joint.noise = left_over;
    x = refine(std::cref(joint), x, bounds).x;
  }
  fit.curve = joint.curve(x);
  fit.score_noise = joint.noise;
  fit.figures.method = "scores only";
  const std::vector<double> targets = joint.targets;
  for (size_t i = 0; i < options.draws; ++i) {
    Rng rng(options.seed, hash_text(points.task) + i);
    for (size_t k = 0; k < targets.size(); ++k) joint.targets[k] = targets[k] + joint.noise * normal(rng);
    shift_all(joint.terms.shifts, rng);
    shift_all(joint.ends.shifts, rng);
    fit.draws.push_back(joint.curve(refine(std::cref(joint), x, bounds, kDrawEvaluations).x));
  }
}

size_t above(const ReferencePoints& points, double score) {
  return static_cast<size_t>(std::count_if(points.models.begin(), points.models.end(),
                                           [&](const auto& model) { return model.score >= score; }));
}

void require_enough(const ReferencePoints& points) {
  const size_t count = points.models.size(), fewest = fewest_models(points.has_loss());
  if (count < fewest) {
    throw UserError("[plan] too few reference models for {}; got {}, want at least {}{}", points.task, count, fewest,
                    points.has_loss() ? " with a loss" : "");
  }
  const auto all_same = [&](double ReferencePoint::*value) {
    return std::all_of(points.models.begin(), points.models.end(),
                       [&](const auto& model) { return model.*value == points.models[0].*value; });
  };
  if (all_same(&ReferencePoint::n)) {
    throw UserError(
        "[plan] column 'n_params' is constant: all {} reference models have {:.4g} parameters; want sizes "
        "that differ",
        count, points.models[0].n);
  }
  if (all_same(&ReferencePoint::score)) {
    throw UserError("[plan] the scores of '{}' are constant: all {} reference models have {}; want scores that differ",
                    points.task, count, points.models[0].score);
  }
  const auto chance = chance_of(points.task);
  if (!points.has_loss() && chance && above(points, *chance + kClearOfChance) < 2) {
    throw UserError("[plan] the reference models score at chance on {} ({:.2f}); want at least 2 above {:.2f}",
                    points.task, *chance, *chance + kClearOfChance);
  }
  if (points.has_loss() && all_same(&ReferencePoint::loss)) {
    throw UserError("[plan] the losses of '{}' are constant: all {} reference models have {}; want losses that differ",
                    points.task, count, points.models[0].loss);
  }
}

void add_warnings(const ReferencePoints& points, CurveFigures& figures) {
  const auto [least, most] = std::minmax_element(points.models.begin(), points.models.end(),
                                                 [](const auto& a, const auto& b) { return a.d < b.d; });
  if (most->d < 1.5 * least->d) {
    figures.warnings.push_back(
        "the reference models saw nearly the same number of tokens: b and beta rest on the prior");
  }
  const auto chance = chance_of(points.task);
  if (chance && above(points, *chance + kClearOfChance) == 0) {
    figures.warnings.push_back(fmt::format("no reference model scores much above chance ({:.2f})", *chance));
  }
  if (figures.alpha > 3.9 || figures.beta > 3.9) figures.warnings.push_back("an exponent ended on its bound");
}

}  // namespace

size_t fewest_models(bool has_loss) { return has_loss ? 5 : 4; }

ReferenceFit fit_reference(const ReferencePoints& points, const CurveFitOptions& options) {
  require_enough(points);
  ReferenceFit fit;
  const bool two_steps = points.has_loss();
  if (two_steps) fit_two_steps(points, options, fit);
  else fit_scores_only(points, options, fit);
  std::vector<double> residuals;
  for (const auto& model : points.models) residuals.push_back(model.score - fit.curve.at(model.n, model.d));
  const size_t count = points.models.size();
  const double rms = root_mean_square(residuals, count, 0);
  if (two_steps) {
    for (double& residual : residuals) residual *= widening(count, 4);
    fit.score_residuals = std::move(residuals);
  }
  CurveFigures& figures = fit.figures;
  const LossLaw& law = fit.curve.loss;
  const ScoreCurve& score = fit.curve.score;
  figures.task = points.task;
  figures.points = count;
  figures.score_rms = rms;
  figures.a = std::exp(law.log_a);
  figures.alpha = law.alpha;
  figures.b = std::exp(law.log_b);
  figures.beta = law.beta;
  figures.e = law.e;
  figures.c = score.c;
  figures.gamma = score.gamma;
  figures.l = score.l;
  figures.d = score.d;
  const auto by_size = [](const auto& a, const auto& b) { return a.n < b.n; };
  const auto [small, large] = std::minmax_element(points.models.begin(), points.models.end(), by_size);
  fit.smallest = small->n;
  fit.largest = large->n;
  for (const auto& m : points.models) {
    CurveModel model{.name = m.name, .n_params = m.n, .tokens = m.d, .score = m.score};
    model.score_of_curve = fit.curve.at(m.n, m.d);
    if (two_steps) {
      model.loss = m.loss;
      model.loss_of_curve = law.at(m.n, m.d);
    }
    figures.models.push_back(std::move(model));
  }
  add_warnings(points, figures);
  return fit;
}

}  // namespace tessera::plan
