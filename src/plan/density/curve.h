// The reference curve of the densing law (arXiv 2412.04315, section 3): from size and tokens to loss, from loss to
// score, and back from a score to the size that a reference model would need for it.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>

#include "core/fields.h"
#include "plan/curves/curves.h"

namespace tessera::plan {

/// S(L) = c / (1 + exp(-gamma (L - l))) + d: equation 2. c > 0 and gamma < 0, so that the score falls with loss from
/// c + d to d.
struct ScoreCurve {
  double c = 0, gamma = 0, l = 0, d = 0;

  double at(double loss) const { return c / (1 + std::exp(-gamma * (loss - l))) + d; }
  double floor() const { return d; }
  double ceiling() const { return c + d; }
};

/// Why a score has no effective size.
enum class OffCurve { no, below_floor, above_ceiling, above_all_sizes };

/// ln of the size that reaches a score, or why there is none.
struct EffectiveSize {
  double log_size = 0;
  OffCurve off = OffCurve::no;

  explicit operator bool() const { return off == OffCurve::no; }
};

/// Both steps together. `loss` has e = 0 unless a constant was asked for.
struct ReferenceCurve {
  LossLaw loss;
  ScoreCurve score;

  double at(double n, double d) const { return score.at(loss.at(n, d)); }

  /// Equation 3: Lhat = l - ln(c / (S - d) - 1) / gamma and Nhat = ((Lhat - e - b D0^-beta) / a)^(-1/alpha),
  /// as ln Nhat.
  /// Off the curve: a score at or outside (d, c + d), and one that at D0 tokens not even an endless size would reach.
  EffectiveSize effective_size(double score, double d0) const;
};

/// What is wrong with a score, in words that end a sentence: "below the curve's floor of 0.251".
std::string off_curve_text(OffCurve off, const ReferenceCurve& curve, double d0);

/// A score this far above chance says something of the model.
inline constexpr double kClearOfChance = 0.05;

}  // namespace tessera::plan
