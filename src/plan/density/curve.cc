// The inverse of the curve in logarithms, so that no size overflows.
#include "plan/density/curve.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tessera::plan {

namespace {
constexpr double kLargestLog = 600;  // sizes beyond it are endless, and exp of twice that is no number
}

EffectiveSize ReferenceCurve::effective_size(double s, double d0) const {
  if (!(s > score.floor())) return {0, OffCurve::below_floor};
  if (!(s < score.ceiling())) return {0, OffCurve::above_ceiling};
  const double needed = score.l - std::log(score.c / (s - score.d) - 1) / score.gamma;
  const double of_size = needed - loss.e - loss.data_term(d0);
  if (!(of_size > 0)) return {0, OffCurve::above_all_sizes};
  const double log_size = (loss.log_a - std::log(of_size)) / loss.alpha;
  if (log_size > kLargestLog) return {0, OffCurve::above_all_sizes};
  return {log_size};
}

std::string off_curve_text(OffCurve off, const ReferenceCurve& curve, double d0) {
  switch (off) {
    case OffCurve::below_floor:
      return fmt::format("at or below the curve's floor of {:.3f}", curve.score.floor());
    case OffCurve::above_ceiling:
      return fmt::format("at or above the curve's ceiling of {:.3f}", curve.score.ceiling());
    case OffCurve::above_all_sizes:
      return fmt::format("above the {:.3f} that the curve gives an endless size at {:.3g} tokens",
                         curve.score.at(curve.loss.e + curve.loss.data_term(d0)), d0);
    case OffCurve::no:
      break;
  }
  return "on the curve";
}

}  // namespace tessera::plan
