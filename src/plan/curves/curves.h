// The curves of the ladder (arXiv 2412.04403, section 3) and how each is fitted. A law is a handful of numbers and a
// formula; the fits say what they minimised and which numbers ended on a bound.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "plan/curves/minimize.h"

namespace tessera::plan {

/// L(N, D) = A / N^alpha + B / D^beta + E with A = exp(log_a), B = exp(log_b): equation 1. A law of compute alone has
/// no B (log_b = -inf) and takes FLOPs for N.
struct LossLaw {
  double log_a = 0, alpha = 0, log_b = -std::numeric_limits<double>::infinity(), beta = 0, e = 0;

  double size_term(double n) const;
  double data_term(double d) const;
  double at(double n, double d) const { return size_term(n) + data_term(d) + e; }
};

/// acc(L) = a / (1 + exp(-k (L - L0))) + b: equation 2. a < 0, so that accuracy falls with loss. The paper's form for
/// cross entropy over choices is logarithmic: acc(L) = 1 + a ln(1 + exp(k (L - L0))), without b (section 5.3).
struct Sigmoid {
  double a = 0, l0 = 0, k = 0, b = 0;
  bool logarithmic = false;

  double at(double loss) const;
};

/// acc(N, D) = p / (1 + exp(-L(N, D))) + q: both steps in one (the paper's ablation); E may be negative.
struct SingleStepLaw {
  LossLaw loss;
  double p = 0, q = 0;

  double at(double n, double d) const;
};

/// acc(N, D) = floor + (ceiling - floor) exp(-(A / N^alpha + B / D^beta)): the logarithm of the accuracy above chance is a
/// power law of size and tokens, or of compute (arXiv 2512.08894). `loss` has no E.
struct DirectLaw {
  LossLaw loss;
  double floor = 0, ceiling = 1;

  double at(double n, double d) const;
};

/// One final loss of one run. For a law of compute, n is FLOPs.
struct LossPoint {
  double n = 0, d = 0, loss = 0, weight = 1;
};
/// One checkpoint: a loss (bits per byte, nats) and the accuracy measured there.
struct AccuracyPoint {
  double loss = 0, accuracy = 0, weight = 1;
};

/// A law, the value of its objective, and the names of its parameters that lie on a bound.
template <class Law> struct Fitted {
  Law law;
  double objective = 0;
  std::vector<std::string> on_bound;
};

/// Belief about an exponent before data: log-normal.
struct ExponentPrior {
  double centre_alpha = 0.25, centre_beta = 0.25;
  double spread = 0.3;  // of the logarithm
};

/// How the loss law is fitted; the defaults are the paper's.
struct LossFitOptions {
  double delta = 1e-3;  // Huber's threshold on log predicted - log measured
  double noise = 0;     // above 0: residuals are divided by it (delta too counts in it) and the prior joins in
  ExponentPrior prior;  // used when noise > 0
  bool tied = false;    // alpha = beta
  const LossLaw* warm_start = nullptr;
};

/// Minimises the sum of Huber(log predicted - log measured), all parameters >= 0, from (3, 6, .1, .2, 1): section 3.1 and
/// the released configuration. With `noise` above 0 several starts are tried.
Fitted<LossLaw> fit_loss_law(const std::vector<LossPoint>& points, const LossFitOptions& options = {});
/// The same for compute alone, alpha <= 1, from (3, .1, 1).
Fitted<LossLaw> fit_compute_law(const std::vector<LossPoint>& points, const LossFitOptions& options = {});

/// Least squares with a in [-1, 0], L0 >= 0, k >= 0, b in [0, 1], from (chance - 1, .9, 3, 1): section 3.2. The anchor
/// (loss 0, accuracy 1) is the caller's to add.
Fitted<Sigmoid> fit_sigmoid(const std::vector<AccuracyPoint>& points, double chance,
                            const Sigmoid* warm_start = nullptr);

/// Least squares of the logarithmic form with a <= 0, L0 >= 0, k >= 0, from (-.1, .9, 3). It needs no anchor.
/// Where the points are on a straight line the form approaches it only as k grows without end, so the search stops at a
/// relative gain of 1e-8.
Fitted<Sigmoid> fit_log_sigmoid(const std::vector<AccuracyPoint>& points);

/// What is believed of a task's accuracies before data: the accuracy of guessing, the one that no model exceeds.
struct AccuracyRange {
  double floor = 0, floor_spread = 0.02;
  double ceiling = 1, ceiling_spread = 0.1;  // of a normal distribution; a spread of 0 fixes the end
};

/// How a law from size and tokens straight to accuracy is fitted.
struct DirectFitOptions {
  double noise = 0.01;  // standard deviation of the points about the law, in accuracy
  AccuracyRange range;
  ExponentPrior prior{.spread = 0.5};
  bool compute_only = false;  // `n` of the points is FLOPs
  const DirectLaw* warm_start = nullptr;
};

/// Least squares with priors, by Gauss and Newton from several starts; `loss` of each point holds an accuracy, which may
/// be 0.
Fitted<DirectLaw> fit_direct_law(const std::vector<LossPoint>& points, const DirectFitOptions& options);

/// Accuracy straight from N and D: `loss` of each point holds an accuracy. Huber on logarithms as in fit_loss_law. Of
/// several starts, the released one among them, the best is kept: from that alone the fit may end in a poor minimum.
Fitted<SingleStepLaw> fit_single_step(const std::vector<LossPoint>& points, double chance);

}  // namespace tessera::plan
