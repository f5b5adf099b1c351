// Records in time, a straight line through their logarithms, and arithmetic with doubling times.
#include "plan/density/trend.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace tessera::plan {

Day trend_epoch() { return parse_date("2023-02-24")->first; }
Day chatgpt_release() { return parse_date("2022-11-30")->first; }

std::vector<size_t> upper_envelope(const std::vector<TimedDensity>& models) {
  std::vector<size_t> order(models.size()), records;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (models[a].day != models[b].day) return models[a].day < models[b].day;
    return models[a].log_density > models[b].log_density;
  });
  double highest = -std::numeric_limits<double>::infinity();
  for (const size_t i : order) {
    if (!(models[i].log_density > highest)) continue;
    highest = models[i].log_density;
    records.push_back(i);
  }
  return records;
}

double TrendLine::doubling_days() const { return std::log(2.0) / slope; }

std::optional<TrendLine> fit_trend(const std::vector<TimedDensity>& models, size_t fewest) {
  const std::vector<size_t> records = upper_envelope(models);
  if (records.size() < std::max<size_t>(2, fewest)) return std::nullopt;
  const auto count = static_cast<double>(records.size());
  double mean_t = 0, mean_y = 0;
  for (const size_t i : records) {
    mean_t += models[i].day / count;
    mean_y += models[i].log_density / count;
  }
  double tt = 0, ty = 0, yy = 0;
  for (const size_t i : records) {
    const double t = models[i].day - mean_t, y = models[i].log_density - mean_y;
    tt += t * t;
    ty += t * y;
    yy += y * y;
  }
  if (!(tt > 0)) return std::nullopt;
  const double slope = ty / tt;
  return TrendLine{slope, mean_y - slope * mean_t, yy > 0 ? ty * ty / (tt * yy) : 1, records.size()};
}

namespace {

/// Sum of pinball losses of a line, given up once it exceeds `limit`.
double pinball(const std::vector<TimedDensity>& models, double slope, double intercept, double quantile, double limit) {
  double sum = 0;
  for (const TimedDensity& model : models) {
    const double above = model.log_density - slope * model.day - intercept;
    sum += above > 0 ? quantile * above : (quantile - 1) * above;
    if (sum > limit) break;
  }
  return sum;
}

}  // namespace

std::optional<TrendLine> fit_quantile_trend(const std::vector<TimedDensity>& models, double quantile, size_t fewest) {
  if (models.size() < std::max<size_t>(2, fewest)) return std::nullopt;
  std::optional<TrendLine> best;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < models.size(); ++i) {  // some best line passes through two of the points
    for (size_t j = 0; j < i; ++j) {
      if (models[i].day == models[j].day) continue;
      const double slope = (models[i].log_density - models[j].log_density) / (models[i].day - models[j].day);
      const double intercept = models[i].log_density - slope * models[i].day;
      const double loss = pinball(models, slope, intercept, quantile, least);
      if (!(loss < least)) continue;
      least = loss;
      best = TrendLine{slope, intercept, 0, models.size()};
    }
  }
  return best;
}

LaterCoverage later_coverage(std::vector<TimedDensity> models, double quantile) {
  std::stable_sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.day < b.day; });
  LaterCoverage result;
  std::vector<TimedDensity> before;
  std::optional<TrendLine> line;
  for (size_t i = 0; i < models.size(); ++i) {
    if (i > 0 && models[i].day > models[i - 1].day) {  // all of the days before
      before.assign(models.begin(), models.begin() + static_cast<std::ptrdiff_t>(i));
      line = 2 * i >= models.size() ? fit_quantile_trend(before, quantile) : std::nullopt;
    }
    if (!line) continue;
    ++result.models;
    result.below += models[i].log_density <= line->slope * models[i].day + line->intercept;
  }
  return result;
}

Price parse_price(const std::string& text, std::string_view option) {
  const size_t at = text.find('@');
  double amount = 0;
  const char* end = text.data() + std::min(at, text.size());
  const auto [stop, error] = std::from_chars(text.data(), end, amount);
  const bool number =
      at != std::string::npos && error == std::errc() && stop == end && amount > 0 && std::isfinite(amount);
  const auto when = number ? parse_date(std::string_view(text).substr(at + 1)) : std::nullopt;
  if (!when) {
    throw UserError("[plan] --{} is '{}', want a price above 0 and its time, such as 20@2022-12", option,
                    text.substr(0, 60));
  }
  return {amount, *when};
}

PriceTrend price_halving(const Price& from, const Price& to) {
  if (!(to.amount < from.amount)) {
    throw UserError("[plan] the price did not fall; got {} and then {}, want a lower one", from.amount, to.amount);
  }
  PriceTrend trend{.from_price = from.amount, .to_price = to.amount};
  trend.days = to.when.last - from.when.first;
  if (!(trend.days > 0)) {
    throw UserError("[plan] the first price is of {}, the second of {}; want a later one", format_date(from.when.first),
                    format_date(to.when.last));
  }
  trend.factor = from.amount / to.amount;
  trend.halving_days = trend.days / std::log2(trend.factor);
  trend.halving_months = trend.halving_days / kDaysPerMonth;
  return trend;
}

double combined_doubling(double a_days, double b_days) { return 1 / (1 / a_days + 1 / b_days); }

}  // namespace tessera::plan
