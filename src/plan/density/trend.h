// The densing law itself (arXiv 2412.04315, section 4): the best density of its day grows exponentially. Also what that
// does together with falling prices and denser chips (section 5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "plan/quantity.h"

namespace tessera::plan {

/// A model in time: days since Llama-1's release, ln of its density.
struct TimedDensity {
  double day = 0, log_density = 0;
};

/// Llama-1's release, day 0 of the trend; ChatGPT's, where the paper splits it.
Day trend_epoch();
Day chatgpt_release();

/// Indices of the models that were denser than all before them, by time. Of one day's models the densest counts.
std::vector<size_t> upper_envelope(const std::vector<TimedDensity>& models);

/// ln rho = slope t + intercept by least squares.
struct TrendLine {
  double slope = 0, intercept = 0, r2 = 0;
  size_t points = 0;

  double doubling_days() const;  // infinite or negative where there is no growth
};

/// A line through the envelope of `models`; nullopt when it has fewer than `fewest` points or one day only.
std::optional<TrendLine> fit_trend(const std::vector<TimedDensity>& models, size_t fewest = 3);

/// ln rho = slope t + intercept below which the share `quantile` of the models lies: the frontier as a quantile
/// regression (least sum of pinball losses), which looks at every model and not at the records alone. nullopt for fewer than
/// `fewest` models, or one day only.
std::optional<TrendLine> fit_quantile_trend(const std::vector<TimedDensity>& models, double quantile,
                                            size_t fewest = 10);

/// How many models came out below a frontier that was fitted to the models before them alone.
struct LaterCoverage {
  size_t models = 0, below = 0;
};
/// Walks through the later half of the models by time; models of one day are judged together.
LaterCoverage later_coverage(std::vector<TimedDensity> models, double quantile);

/// An amount and the time it was paid at; a month alone means all of its days.
struct Price {
  double amount = 0;
  DateSpan when;
};
/// Reads "20@2022-12" or "0.075@2024-08-01". Throws UserError that names `option`.
Price parse_price(const std::string& text, std::string_view option);

struct PriceTrend {
  double from_price = 0, to_price = 0, days = 0, factor = 0;
  double halving_days = 0, halving_months = 0;
  bool operator==(const PriceTrend&) const = default;
};
template <class V> void fields(V& v, PriceTrend& p) {
  v("from_price", p.from_price, "price at first");
  v("to_price", p.to_price, "price at last");
  v("days", p.days, "between the two");
  v("factor", p.factor, "from over to");
  v("halving_days", p.halving_days, "days in which it halves");
  v("halving_months", p.halving_months, "in months");
}
/// How fast a price fell: from the first day of `from` to the last of `to`. Throws UserError when it did not fall or
/// time did not pass.
PriceTrend price_halving(const Price& from, const Price& to);

/// Two exponentials at once double in 1 / (1/a + 1/b).
double combined_doubling(double a_days, double b_days);

}  // namespace tessera::plan
