// The order of the work: choose family and tasks, fit curves, measure models, trend, other families, leave-one-out.
#include "plan/density/density.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "plan/density/measure.h"
#include "plan/density/reference.h"

namespace tessera::plan {

namespace {

constexpr size_t kDrawsLeftOut = 100;

CurveFitOptions curve_options(const DensityOptions& options) {
  return {.loss_constant = options.loss_constant,
          .score_noise = options.score_noise,
          .draws = static_cast<size_t>(options.draws),
          .seed = options.seed};
}

void check(const DensityOptions& options) {
  if (options.draws < 20 || options.draws > 100000) {
    throw UserError("[plan] --draws is {}, want 20 to 100000", options.draws);
  }
  check_coverage(options.coverage);
  if (!(options.score_noise > 0 && options.score_noise < 0.5)) {
    throw UserError("[plan] --score-noise is {}, want a fraction above 0, such as 0.015", options.score_noise);
  }
  if (!(options.reach == 0 || options.reach >= 1)) {
    throw UserError("[plan] --reach is {}, want a factor of 1 or more, or 0 for any", options.reach);
  }
  if (!(options.chip_doubling_years > 0)) {
    throw UserError("[plan] --chip-doubling-years is {}, want a number above 0", options.chip_doubling_years);
  }
}

void check_tasks(const std::vector<std::string>& tasks, const ModelTable& reference) {
  for (const auto& task : tasks) {
    if (std::find(reference.tasks.begin(), reference.tasks.end(), task) != reference.tasks.end()) continue;
    throw UserError("[plan] {} has no score '{}'; did you mean '{}'?", reference.source, task,
                    nearest_word(task, reference.tasks));
  }
}

/// Curves of those tasks that the family has enough models for.
Curves fit_curves(const Family& family, const ModelTable& reference, const std::vector<std::string>& tasks,
                  const CurveFitOptions& options) {
  Curves curves;
  for (const auto& task : tasks) {
    const ReferencePoints points = reference_points(family, reference, task);
    const bool some = tasks.size() > 1 && points.models.size() < fewest_models(points.has_loss());
    if (!some) curves.push_back(fit_reference(points, options));
  }
  if (curves.empty()) {
    throw UserError("[plan] too few reference models in family '{}' for any of {}; want at least 4", family.name,
                    fmt::join(tasks, ", "));
  }
  return curves;
}

std::vector<Measured> measure_all(const std::vector<ModelRow>& models, const Curves& curves,
                                  const DensityOptions& options) {
  const StatedTokens tokens = parse_d0(options.d0);
  std::vector<Measured> measured;
  for (const ModelRow& row : models) measured.push_back(measure(row, curves, tokens, options));
  return measured;
}

void mark_envelope(std::vector<Measured>& models) {
  std::vector<TimedDensity> points;
  std::vector<size_t> which;
  for (size_t i = 0; i < models.size(); ++i) {
    if (!models[i].on_trend()) continue;
    points.push_back({*models[i].day, models[i].log_density});
    which.push_back(i);
  }
  for (const size_t record : upper_envelope(points)) models[which[record]].density.on_envelope = true;
}

std::vector<FamilyTrend> compare_families(const std::vector<Family>& families, const ModelTable& reference,
                                          const std::vector<ModelRow>& models, const DensityOptions& options,
                                          const std::vector<std::string>& tasks) {
  std::vector<FamilyTrend> all;
  for (const Family& family : families) {
    FamilyTrend row{.family = family.name, .reference_models = family.models.size()};
    if (row.reference_models < 4) continue;
    try {
      const Curves curves = fit_curves(family, reference, tasks, curve_options(options));
      for (const auto& curve : curves) row.tasks.push_back(curve.figures.task);
      row.trend = measure_trend(measure_all(models, curves, options), options, row.why);
    } catch (const UserError& error) {
      row.why = std::string(error.what()).substr(std::string_view("[plan] ").size());
    }
    all.push_back(std::move(row));
  }
  return all;
}

std::vector<ReachTrend> compare_reaches(const std::vector<ModelRow>& models, const Curves& curves,
                                        DensityOptions options) {
  std::vector<ReachTrend> all;
  for (const double reach : {1.0, 3.0, 10.0, 30.0, 0.0}) {
    options.reach = reach;
    std::string unused;
    all.push_back({reach, measure_trend(measure_all(models, curves, options), options, unused)});
  }
  return all;
}

/// Each reference model at its own tokens on curves that have not seen it.
std::vector<LeftOut> leave_one_out(const Family& family, const ModelTable& reference, const Curves& curves,
                                   const DensityOptions& options) {
  CurveFitOptions fit_options = curve_options(options);
  fit_options.draws = std::min(fit_options.draws, kDrawsLeftOut);
  std::vector<LeftOut> all;
  for (const ModelRow& row : family.models) {
    Curves others;
    LeftOut left{.name = row.name};
    for (const auto& curve : curves) {
      const ReferencePoints points = reference_points(family, reference, curve.figures.task);
      const auto at = std::find_if(points.models.begin(), points.models.end(),
                                   [&](const auto& m) { return m.name == row.name && m.d == row.tokens; });
      if (at == points.models.end() || points.models.size() <= fewest_models(points.has_loss())) continue;
      others.push_back(
          fit_reference(without_model(points, static_cast<size_t>(at - points.models.begin())), fit_options));
    }
    if (others.empty()) left.note = "too few reference models would be left";
    const ModelDensity density = others.empty() ? ModelDensity{} : measure(row, others, {}, options).density;
    left.density = density.density;
    left.interval = density.interval;
    if (left.note.empty()) left.note = density.note;
    left.covers_one =
        density.density && density.interval.low.value_or(0) <= 1 && density.interval.high.value_or(2) >= 1;
    all.push_back(std::move(left));
  }
  return all;
}

PaperFigures paper_figures(double chip_doubling_years) {
  PaperFigures paper;
  paper.doubling_days = std::log(2.0) / paper.slope_per_day;
  paper.doubling_months = paper.doubling_days / kDaysPerMonth;
  paper.with_chips_days = combined_doubling(paper.doubling_days, chip_doubling_years * 365.25);
  return paper;
}

/// Scores that leave nothing to tell models apart by: the best models crowd near the most that the curve allows.
void warn_of_ceiling(const std::vector<Measured>& models, DensityResult& result) {
  constexpr double near = 0.12, crowded = 0.3;  // below the ceiling; share of the latest models
  for (const CurveFigures& curve : result.curves) {
    std::vector<std::pair<double, double>> dated;  // day, score
    for (const Measured& model : models) {
      for (const TaskSize& task : model.density.tasks) {
        if (task.task == curve.task && model.day) dated.push_back({*model.day, task.score});
      }
    }
    std::sort(dated.rbegin(), dated.rend());
    dated.resize(std::min<size_t>(dated.size(), std::max<size_t>(10, dated.size() / 4)));
    const double ceiling = curve.c + curve.d;
    const auto close =
        std::count_if(dated.begin(), dated.end(), [&](const auto& each) { return each.second > ceiling - near; });
    if (dated.size() < 5 || static_cast<double>(close) < crowded * static_cast<double>(dated.size())) continue;
    result.warnings.push_back(
        fmt::format("{}: {} of the latest {} models score within {:.0f} points of the curve's ceiling ({:.0f}), where "
                    "scores hardly tell sizes apart; use a harder score beside it",
                    curve.task, close, dated.size(), 100 * near, 100 * ceiling));
  }
}

void add_warnings(DensityResult& result) {
  for (const auto& curve : result.curves) {
    for (const auto& warning : curve.warnings) result.warnings.push_back(curve.task + ": " + warning);
    if (curve.loss_rms && curve.loss_rms_with_constant && curve.e == 0 &&
        *curve.loss_rms > 1.5 * *curve.loss_rms_with_constant) {
      result.warnings.push_back(
          fmt::format("{}: the loss law misses by {:.2f}%, with a constant by {:.2f}%; "
                      "--loss-constant adds one",
                      curve.task, 100 * *curve.loss_rms, 100 * *curve.loss_rms_with_constant));
    }
  }
  if (result.trend && result.trend->envelope < 5) {
    result.warnings.push_back(
        fmt::format("only {} models make the trend: it hangs on each of them", result.trend->envelope));
  }
  const auto undefined =
      std::count_if(result.models.begin(), result.models.end(), [](const auto& m) { return !m.density; });
  if (undefined > 0) {
    result.warnings.push_back(
        fmt::format("{} of {} models have no density; the table says why", undefined, result.models.size()));
  }
}

}  // namespace

DensityResult density(const std::vector<ModelRow>& models, const ModelTable& reference, const DensityOptions& options) {
  check(options);
  check_tasks(options.tasks, reference);
  if (models.empty()) throw UserError("[plan] there is no model to place; name a table with --models");
  DensityResult result{.d0 = options.d0, .coverage = options.coverage};
  result.price =
      price_halving(parse_price(options.price_from, "price-from"), parse_price(options.price_to, "price-to"));
  result.paper = paper_figures(options.chip_doubling_years);
  parse_d0(options.d0);
  const std::vector<Family> families = families_of(reference);
  if (families.empty()) throw UserError("[plan] {} holds no reference model", reference.source);
  std::vector<std::string> tasks = options.tasks;
  if (tasks.empty()) tasks = default_density_tasks(families, reference, models, result.warnings);
  const Family& family = choose_family(families, options.family, tasks);
  result.family = family.name;
  const Curves curves = fit_curves(family, reference, tasks, curve_options(options));
  for (const auto& curve : curves) {
    result.curves.push_back(curve.figures);
    result.tasks.push_back(curve.figures.task);
  }
  std::vector<Measured> measured = measure_all(models, curves, options);
  if (options.trend) {
    mark_envelope(measured);
    std::string why;
    result.trend = measure_trend(measured, options, why);
    if (result.trend) result.band = trend_band(measured, options);
    else result.warnings.push_back("no trend: " + why);
    result.frontiers = measure_frontiers(measured);
    result.reaches = compare_reaches(models, curves, options);
    result.families = compare_families(families, reference, models, options, tasks);
  }
  if (options.trend) warn_of_ceiling(measured, result);
  for (const auto& model : measured) result.models.push_back(model.density);
  if (options.leave_one_out) result.left_out = leave_one_out(family, reference, curves, options);
  add_warnings(result);
  return result;
}

DensityResult density(const DensityOptions& options) {
  const ModelTable reference = read_models(options.reference);
  std::vector<ModelRow> models;
  std::vector<std::string> notes = reference.notes;
  for (const Path& path : options.models) {
    const ModelTable table = read_models(path);
    if (table.source != reference.source) notes.insert(notes.end(), table.notes.begin(), table.notes.end());
    if (options.trend &&
        std::none_of(table.models.begin(), table.models.end(), [](const auto& m) { return m.released; })) {
      notes.push_back(fmt::format("{} has no release date; its models are not on the trend", table.source));
    }
    add_models(models, table.models);
  }
  DensityResult result = density(models, reference, options);
  result.warnings.insert(result.warnings.begin(), notes.begin(), notes.end());
  return result;
}

}  // namespace tessera::plan
