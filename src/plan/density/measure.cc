// Draws take a reference model's error off a score and another curve of those that fit; a trend is
// drawn by drawing models, all on one draw of the curves, since an error of the curve moves them all together.
#include "plan/density/measure.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "plan/curves/ensemble.h"
#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double log_size_or_end(const EffectiveSize& size) {
  if (size) return size.log_size;
  return size.off == OffCurve::below_floor ? -kInfinity : kInfinity;
}

/// Far outside the reference models a curve is what its form and priors make of it.
void set_reach(Measured& measured, const ReferenceFit& fit, double log_n, double reach) {
  if (reach <= 0) return;
  measured.least = std::log(fit.smallest / reach) - log_n;
  measured.most = std::log(fit.largest * reach) - log_n;
  measured.density.beyond_reach = measured.log_density < measured.least || measured.log_density > measured.most;
}

/// ln density of a model under each draw of the curves, its score less the error of some reference model.
std::vector<double> drawn_densities(const ModelRow& row, const std::vector<const ReferenceFit*>& used, double d0,
                                    uint64_t seed) {
  const auto count = static_cast<double>(used.size());
  const double log_n = std::log(row.n);
  std::vector<double> draws;
  Rng rng(seed, hash_text(row.name));
  for (size_t i = 0; i < used[0]->draws.size(); ++i) {
    double drawn = 0;
    const uint64_t like = rng.next();  // as far off as this reference model is, on every task
    for (const ReferenceFit* fit : used) {
      const auto& off = fit->score_residuals;
      const double error = off.empty() ? fit->score_noise * normal(rng) : off[like % off.size()];
      const double score = row.scores.at(fit->figures.task) - error;
      drawn += log_size_or_end(fit->draws[i].effective_size(score, d0)) / count;
    }
    draws.push_back(drawn - log_n);
  }
  return draws;
}

std::string task_note(const ModelDensity& density) {
  std::string text;
  if (density.tasks.empty()) return "undefined: it has none of the scores used";
  for (const TaskSize& task : density.tasks) {
    if (task.why.empty()) continue;
    const std::string gap = text.empty() ? "" : density.density ? ", " : "; ";
    if (density.density) text += gap + task.task;  // TaskSize::why has the reason
    else text += fmt::format("{}{} of {:.3f} is {}", gap, task.task, task.score, task.why);
  }
  if (!text.empty()) text = density.density ? "off the curve: " + text : "undefined: " + text;
  if (density.beyond_reach) text += text.empty() ? "beyond reach" : "; beyond reach";
  return text;
}

/// Envelope and line of one selection of models.
std::optional<TrendLine> trend_of(const std::vector<TimedDensity>& models, bool (*when)(double) = nullptr) {
  if (when == nullptr) return fit_trend(models);
  std::vector<TimedDensity> chosen;
  std::copy_if(models.begin(), models.end(), std::back_inserter(chosen), [&](const auto& m) { return when(m.day); });
  return fit_trend(chosen);
}

const double kChatGpt = chatgpt_release() - trend_epoch();
bool before_chatgpt(double day) { return day <= kChatGpt; }
bool after_chatgpt(double day) { return day > kChatGpt; }

/// One doubling time per draw would jump from +inf to -inf at slope 0; the slope's interval is taken and turned over.
Interval doubling_interval(const Interval& slope) {
  Interval months;
  const auto turned = [](double a) { return std::log(2.0) / a / kDaysPerMonth; };
  if (slope.high && *slope.high > 0) months.low = turned(*slope.high);
  if (slope.low && *slope.low > 0) months.high = turned(*slope.low);
  return months;
}

std::vector<const Measured*> on_trend(const std::vector<Measured>& models) {
  std::vector<const Measured*> timed;
  for (const Measured& model : models) {
    if (model.on_trend()) timed.push_back(&model);
  }
  return timed;
}

/// A line for each draw that has one.
std::vector<TrendLine> drawn_trends(const std::vector<const Measured*>& timed, uint64_t seed) {
  std::vector<TrendLine> lines;
  for (size_t i = 0; i < timed[0]->draws.size(); ++i) {
    Rng rng(seed, 0xD0B1E + i);
    std::vector<TimedDensity> drawn;
    for (size_t k = 0; k < timed.size(); ++k) {
      const Measured& model = *timed[rng.below(timed.size())];
      const double density = std::clamp(model.draws[i], model.least, model.most);
      if (std::isfinite(density)) drawn.push_back({*model.day, density});
    }
    if (const auto line = trend_of(drawn)) lines.push_back(*line);
  }
  return lines;
}

}  // namespace

StatedTokens parse_d0(const std::string& text) {
  if (text == "own") return {};
  double value = 0;
  try {
    value = parse_quantity(text, "--d0");
  } catch (const UserError&) {
    throw UserError("[plan] --d0 is '{}', want a number of tokens such as 1e12 or 1T, or own", text);
  }
  if (const auto fault = count_fault(value, "tokens"); !fault.empty()) throw UserError("[plan] --d0: {}", fault);
  return {value};
}

Interval interval_of(std::vector<double> values, double coverage) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return {};
  const auto end = [&](double share) {
    const double value = quantile(values, share);
    return std::isfinite(value) ? std::optional(value) : std::nullopt;
  };
  return {end((1 - coverage) / 2), end((1 + coverage) / 2)};
}

Measured measure(const ModelRow& row, const Curves& curves, StatedTokens tokens, const DensityOptions& options) {
  Measured measured;
  ModelDensity& density = measured.density;
  density.name = row.name;
  density.family = row.family;
  density.n_params = row.n;
  if (!std::isnan(row.tokens)) density.tokens = row.tokens;
  if (row.released) {
    density.released = format_date(row.released->middle());
    measured.day = row.released->middle() - trend_epoch();
  }
  const double d0 = tokens.of(row), log_n = std::log(row.n);
  if (std::isnan(d0)) {
    density.note = "undefined: its tokens are unknown, and --d0 own needs them";
    return measured;
  }
  std::vector<const ReferenceFit*> used;
  std::string missing;
  double sum = 0;
  for (const ReferenceFit& fit : curves) {
    const auto score = row.scores.find(fit.figures.task);
    if (score == row.scores.end()) {
      measured.scored_on_all = false;
      missing += (missing.empty() ? "lacks " : ", ") + fit.figures.task;
      continue;
    }
    TaskSize task{.task = fit.figures.task, .score = score->second};
    const EffectiveSize size = fit.curve.effective_size(task.score, d0);
    if (size) {
      task.effective_size = std::exp(size.log_size);
      sum += size.log_size;
      used.push_back(&fit);
    } else {
      task.why = off_curve_text(size.off, fit.curve, d0);
    }
    density.tasks.push_back(std::move(task));
  }
  if (!used.empty()) {
    const auto count = static_cast<double>(used.size());
    measured.log_density = sum / count - log_n;
    density.density = std::exp(measured.log_density);
    density.effective_size = *density.density * row.n;
    measured.draws = drawn_densities(row, used, d0, options.seed);
    set_reach(measured, *used[0], log_n, options.reach);
    const Interval logs = interval_of(measured.draws, options.coverage);
    if (logs.low) density.interval.low = std::exp(*logs.low);
    if (logs.high) density.interval.high = std::exp(*logs.high);
  }
  density.note = task_note(density);
  if (!missing.empty() && !density.tasks.empty()) density.note += (density.note.empty() ? "" : "; ") + missing;
  return measured;
}

std::optional<DensityTrend> measure_trend(const std::vector<Measured>& models, const DensityOptions& options,
                                          std::string& why) {
  const std::vector<const Measured*> timed = on_trend(models);
  std::vector<TimedDensity> points;
  for (const Measured* model : timed) points.push_back({*model->day, model->log_density});
  const auto line = trend_of(points);
  if (!line) {
    why = fmt::format(
        "{} models have a density and a date and {} of them were the densest of their time; a trend wants "
        "at least 3 at different times",
        points.size(), upper_envelope(points).size());
    return std::nullopt;
  }
  DensityTrend trend{.models = points.size(), .envelope = line->points};
  trend.slope_per_day = line->slope;
  trend.intercept = line->intercept;
  trend.r2 = line->r2;
  if (line->slope > 0) {
    trend.doubling_days = line->doubling_days();
    trend.doubling_months = *trend.doubling_days / kDaysPerMonth;
    trend.with_chips_days = combined_doubling(*trend.doubling_days, options.chip_doubling_years * 365.25);
  }
  if (const auto early = trend_of(points, before_chatgpt)) trend.slope_before_chatgpt = early->slope;
  if (const auto late = trend_of(points, after_chatgpt)) trend.slope_after_chatgpt = late->slope;
  std::vector<double> slopes;
  for (const auto& drawn : drawn_trends(timed, options.seed)) slopes.push_back(drawn.slope);
  trend.draws = slopes.size();
  trend.draws_without_trend = timed[0]->draws.size() - slopes.size();
  trend.slope_interval = interval_of(slopes, options.coverage);
  trend.doubling_interval_months = doubling_interval(trend.slope_interval);
  return trend;
}

std::vector<DensityFrontier> measure_frontiers(const std::vector<Measured>& models) {
  std::vector<TimedDensity> points;
  for (const Measured* model : on_trend(models)) points.push_back({*model->day, model->log_density});
  std::vector<DensityFrontier> frontiers;
  for (const double quantile : {0.8, 0.9, 0.95}) {
    const auto line = fit_quantile_trend(points, quantile);
    if (!line) continue;
    const LaterCoverage later = later_coverage(points, quantile);
    DensityFrontier frontier{quantile, points.size(), line->slope, line->intercept, {}, later.models, later.below};
    if (line->slope > 0) frontier.doubling_months = line->doubling_days() / kDaysPerMonth;
    frontiers.push_back(frontier);
  }
  return frontiers;
}

std::vector<TrendBand> trend_band(const std::vector<Measured>& models, const DensityOptions& options) {
  constexpr int steps = 24;
  const std::vector<const Measured*> timed = on_trend(models);
  const auto by_day = [](const Measured* a, const Measured* b) { return *a->day < *b->day; };
  const auto [first, last] = std::minmax_element(timed.begin(), timed.end(), by_day);
  const std::vector<TrendLine> lines = drawn_trends(timed, options.seed);
  std::vector<TrendBand> band;
  for (int step = 0; step <= steps; ++step) {
    const double day = *(*first)->day + step * (*(*last)->day - *(*first)->day) / steps;
    std::vector<double> logs;
    for (const TrendLine& line : lines) logs.push_back(line.intercept + line.slope * day);
    const Interval interval = interval_of(std::move(logs), options.coverage);
    if (interval.low && interval.high) band.push_back({day, std::exp(*interval.low), std::exp(*interval.high)});
  }
  return band;
}

}  // namespace tessera::plan
