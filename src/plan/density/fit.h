// Fits a reference curve: in two steps where the reference models' losses are known (arXiv 2412.04315, section 3.2),
// straight from size and tokens to scores where only scores are. With the curve come draws of what else it might be.
#pragma once

#include <string>
#include <vector>

#include "core/rng.h"
#include "plan/density/curve.h"

namespace tessera::plan {

/// One reference model on one task: N, D, loss (NaN where it is unknown) and score at the end of its training.
struct ReferencePoint {
  std::string name;
  double n = 0, d = 0, loss = 0, score = 0;
};
/// One measured pair of loss and score; `group` numbers the run it is a checkpoint of.
struct ScorePoint {
  double loss = 0, score = 0;
  size_t group = 0;
};

/// What a curve of one task is fitted on.
struct ReferencePoints {
  std::string task;
  std::vector<ReferencePoint> models;   // all with a loss, or all without
  std::vector<ScorePoint> checkpoints;  // for the second step; empty: the models' own pairs
  bool anchor = false;                  // a loss of 0 scores 1, as in the ladder paper (arXiv 2412.04403)

  bool has_loss() const { return !models.empty() && !std::isnan(models.front().loss); }
};

/// Belief before data. It decides only what the points leave open: its weight is that of one more point.
struct CurvePriors {
  double exponent = 0.3, exponent_spread = 0.3;  // alpha and beta, log-normal
  double exponent_spread_with_loss = 1;          // losses say more, and without a constant exponents of 0.06 are common
  double balance_spread = 0.7;  // ln of the data term's share over the size term's at 20 tokens per parameter, where
                                // compute is spent best and the shares are alpha to beta (arXiv 2203.15556)
  double ceiling = 0.95, ceiling_spread = 0.05;  // a few labels in a hundred are wrong
  double floor_spread = 0.01;                    // around chance; 0.1 where chance is unknown
};

struct CurveFitOptions {
  bool loss_constant = false;  // adds a constant E to the loss law, which the paper leaves out
  double score_noise = 0.015;  // of a score that has no loss beside it: sampling of questions, prompts
  CurvePriors priors;
  size_t draws = 200;
  uint64_t seed = 0;
};

/// A reference model beside what its curve says of it.
struct CurveModel {
  std::string name;
  double n_params = 0, tokens = 0, score = 0, score_of_curve = 0;
  std::optional<double> loss, loss_of_curve;
  bool operator==(const CurveModel&) const = default;
};
template <class V> void fields(V& v, CurveModel& m) {
  v("name", m.name, "reference model");
  v("n_params", m.n_params, "parameters");
  v("tokens", m.tokens, "tokens");
  v("score", m.score, "measured");
  v("score_of_curve", m.score_of_curve, "by the curve at its size and tokens");
  v("loss", m.loss, "measured");
  v("loss_of_curve", m.loss_of_curve, "by the curve");
}

/// How a reference curve was fitted, and how well.
struct CurveFigures {
  std::string task, method;  // "two steps" or "scores only"
  size_t points = 0;
  double a = 0, alpha = 0, b = 0, beta = 0, e = 0;  // L = a N^-alpha + b D^-beta + e
  double c = 0, gamma = 0, l = 0, d = 0;            // S = c / (1 + exp(-gamma (L - l))) + d
  double score_rms = 0;                             // of S at (N, D), over the reference models
  std::optional<double> loss_rms;                   // of ln L; two steps only
  std::optional<double> loss_rms_with_constant;     // the same law with a constant E
  std::vector<CurveModel> models;
  std::vector<std::string> warnings;
  bool operator==(const CurveFigures&) const = default;
};
template <class V> void fields(V& v, CurveFigures& f) {
  v("task", f.task, "what is scored");
  v("method", f.method, "two steps, or scores only");
  v("points", f.points, "reference models");
  v("a", f.a, "size term");
  v("alpha", f.alpha, "size exponent");
  v("b", f.b, "data term");
  v("beta", f.beta, "data exponent");
  v("e", f.e, "constant of the loss, 0 in the paper");
  v("c", f.c, "height of the sigmoid");
  v("gamma", f.gamma, "slope, below 0");
  v("l", f.l, "loss at half height");
  v("d", f.d, "floor of the sigmoid");
  v("score_rms", f.score_rms, "root mean square error of the scores");
  v("loss_rms", f.loss_rms, "root mean square error of ln L");
  v("loss_rms_with_constant", f.loss_rms_with_constant, "the same for a law with a constant");
  v("models", f.models, "the reference models");
  v("warnings", f.warnings, "what to mind");
}

/// A fitted curve of one task.
struct ReferenceFit {
  ReferenceCurve curve;
  std::vector<ReferenceCurve> draws;
  double score_noise = 0;               // scores only: standard deviation of a model's score around the curve
  std::vector<double> score_residuals;  // two steps: how far each reference model is off, widened
  double smallest = 0, largest = 0;     // reference models
  CurveFigures figures;
};

/// How many reference models a fit needs.
size_t fewest_models(bool has_loss);

/// Fits and draws. With losses: residuals of ln L are resampled and the runs behind the second step resampled. Scores
/// only: noise is added to both scores and priors; each refit is a draw of the posterior. Throws UserError when the
/// points are too few or all of one size, or when every score is the same.
ReferenceFit fit_reference(const ReferencePoints& points, const CurveFitOptions& options);

}  // namespace tessera::plan
