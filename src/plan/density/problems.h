// The residuals that the reference fits minimise. Sizes and tokens are centred on their means in logarithms, so that
// constants and exponents can be distinguished; priors count as one more residual each, in the unit of the noise.
#pragma once

#include <array>
#include <vector>

#include "plan/density/fit.h"
#include "plan/density/least_squares.h"

namespace tessera::plan {

/// a N^-alpha and b D^-beta around the centre of the points: x = (ln size term there, ln alpha, ln data term, ln beta).
struct PowerTerms {
  double log_n = 0, log_d = 0;  // the centre
  CurvePriors priors;
  std::array<double, 3> shifts{};  // of the priors' centres, in their spreads: how draws move them

  explicit PowerTerms(const std::vector<ReferencePoint>& models);
  /// The sum of both terms; its slopes by x go to the first four of `slopes`.
  double at(std::span<const double> x, double n, double d, std::vector<double>& slopes) const;
  void add_priors(std::span<const double> x, double noise, ResidualList& list) const;
  LossLaw law(std::span<const double> x) const;
};

/// First step: ln L over (x of PowerTerms, E).
struct LossStep {
  PowerTerms terms;
  std::vector<ReferencePoint> models;
  std::vector<double> targets;  // ln L
  double noise = 1e-6;

  LossStep(const std::vector<ReferencePoint>& models, const CurveFitOptions& options);
  void operator()(std::span<const double> x, ResidualList& list) const;
  Bounds bounds(bool with_constant) const;
  std::vector<std::vector<double>> starts() const;
};

/// Priors of a sigmoid's floor and ceiling.
struct SigmoidEnds {
  double floor = 0, floor_spread = 0.1, ceiling = 0.95, ceiling_spread = 0.05;
  bool ceiling_prior = true;
  std::array<double, 2> shifts{};

  SigmoidEnds(const std::string& task, const CurvePriors& priors);
  void add_priors(double top, double bottom, size_t at, double noise, ResidualList& list) const;
};

/// Second step: scores over losses, x = (ln -gamma, l, c + d, d).
struct ScoreStep {
  SigmoidEnds ends;
  std::vector<ScorePoint> points;
  std::vector<double> weights;  // per group, square roots
  bool anchor = false;
  double noise = 1e-6;

  ScoreStep(const ReferencePoints& points, const CurveFitOptions& options);
  void operator()(std::span<const double> x, ResidualList& list) const;
  Bounds bounds() const;
  std::vector<std::vector<double>> starts() const;
  static ScoreCurve curve(std::span<const double> x);
};

/// Both steps at once, x = (x of PowerTerms, l, c + d, d). Scores cannot distinguish gamma from the unit of the loss, so that
/// gamma = -1.
struct JointStep {
  PowerTerms terms;
  SigmoidEnds ends;
  std::vector<ReferencePoint> models;
  std::vector<double> targets;  // scores
  double noise;

  JointStep(const ReferencePoints& points, const CurveFitOptions& options);
  void operator()(std::span<const double> x, ResidualList& list) const;
  Bounds bounds() const;
  std::vector<std::vector<double>> starts() const;
  ReferenceCurve curve(std::span<const double> x) const;
};

}  // namespace tessera::plan
