// Every figure is drawn from the result alone, so that a page can be made of a result at any time.
#include "plan/density/density.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/ranges.h>

#include "plan/density/measure.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

std::string number(const std::optional<double>& value) { return value ? fmt::format("{:.3g}", *value) : "-"; }

std::string tip(const ModelDensity& model) {
  return fmt::format("{}: density {:.3g} ({}), {} parameters, {}", model.name, *model.density,
                     interval_text(model.interval), short_number(model.n_params), model.released);
}

void add_facts(Report& page, const DensityResult& result) {
  std::vector<std::pair<std::string, std::string>> facts;
  if (result.trend && result.trend->doubling_months) {
    facts.emplace_back("density doubles every", fmt::format("{:.1f} months", *result.trend->doubling_months));
    facts.emplace_back(level_text(result.coverage) + " interval",
                       interval_text(result.trend->doubling_interval_months) + " months");
    facts.emplace_back("the paper (arXiv 2412.04315)", fmt::format("{:.1f} months", result.paper.doubling_months));
    facts.emplace_back("its journal version (51 models to April 2025)",
                       fmt::format("{:.1f} months, R² {:.3f}", result.paper.journal_months, result.paper.journal_r2));
    facts.emplace_back("R² over the envelope", fmt::format("{:.3f}", result.trend->r2));
    facts.emplace_back("together with chips", fmt::format("{:.0f} days", *result.trend->with_chips_days));
  }
  if (result.trend) facts.emplace_back("price halves every", fmt::format("{:.1f} months", result.price.halving_months));
  const auto defined =
      std::count_if(result.models.begin(), result.models.end(), [](const auto& m) { return m.density; });
  facts.emplace_back("models with a density", fmt::format("{} of {}", defined, result.models.size()));
  page.facts(facts);
}

enum class Standing { beyond_reach, below, densest };

Standing standing(const ModelDensity& model) {
  if (model.on_envelope) return Standing::densest;
  return model.beyond_reach ? Standing::beyond_reach : Standing::below;
}

/// Models that have a density and a date, as points; the densest with their intervals.
void add_models(Figure& figure, const DensityResult& result, Standing which) {
  static const std::map<Standing, std::pair<std::string, int>> looks = {
      {Standing::beyond_reach, {"beyond reach", 3}},
      {Standing::below, {"others", Series::kNeutral}},
      {Standing::densest, {"densest of their time", 1}}};
  const auto& [name, colour] = looks.at(which);
  Series points{.kind = Series::Kind::points, .name = name, .colour = colour};
  Series intervals{.kind = Series::Kind::interval, .name = name, .colour = colour};
  for (const auto& model : result.models) {
    const auto date = parse_date(model.released);
    if (!model.density || !date || standing(model) != which) continue;
    points.x.push_back(date->first);
    points.y.push_back(*model.density);
    points.tips.push_back(tip(model));
    if (which != Standing::densest || !model.interval.low || !model.interval.high) continue;
    intervals.x.push_back(date->first);
    intervals.y.push_back(*model.density);
    intervals.low.push_back(*model.interval.low);
    intervals.high.push_back(*model.interval.high);
  }
  if (!intervals.x.empty()) figure.series.push_back(std::move(intervals));
  if (!points.x.empty()) figure.series.push_back(std::move(points));
}

/// The middle one of the frontiers, as a line.
void add_frontier(Figure& figure, const DensityResult& result) {
  if (result.frontiers.empty() || result.band.empty()) return;
  const DensityFrontier& frontier = result.frontiers[result.frontiers.size() / 2];
  Series line{
      .kind = Series::Kind::dashed, .name = fmt::format("{:.0f}% lie below", 100 * frontier.quantile), .colour = 2};
  for (const TrendBand& at : result.band) {
    line.x.push_back(trend_epoch() + at.day);
    line.y.push_back(std::exp(frontier.intercept + frontier.slope_per_day * at.day));
  }
  figure.series.push_back(std::move(line));
}

void add_frontier_table(Report& page, const DensityResult& result) {
  if (result.frontiers.empty()) return;
  Table table{.header = {"quantile", "doubles every, months", "later models below it"},
              .numeric = {true, true, true},
              .caption =
                  "The frontier as a quantile regression over all models, not the records alone. Each model of the "
                  "later half is judged by a frontier of the models before it; a frontier that foretells "
                  "has its quantile of them below."};
  for (const DensityFrontier& each : result.frontiers) {
    table.rows.push_back({fmt::format("{:.0f}%", 100 * each.quantile), number(each.doubling_months),
                          fmt::format("{} of {}", each.later_below, each.later_models)});
  }
  page.table(table);
}

void add_trend(Report& page, const DensityResult& result) {
  if (!result.trend) return;
  const DensityTrend& trend = *result.trend;
  page.section("Trend");
  page.paragraph(fmt::format(
      "ln density = {:.5f} t {:+.3f} over the {} models that were denser than all before them, out of {} with a "
      "density "
      "and a date; t counts days from 2023-02-24. The slope lies between {} per day with {} of draws of models and "
      "reference curves.",
      trend.slope_per_day, trend.intercept, trend.envelope, trend.models,
      fmt::format("{} and {}", number(trend.slope_interval.low), number(trend.slope_interval.high)),
      level_text(result.coverage)));
  Figure figure{.title = "Density over time",
                .caption = fmt::format("Band: {} of the draws' lines. Models beyond reach are shown, not fitted: "
                                       "their sizes lie too far outside the reference models'.",
                                       level_text(result.coverage)),
                .x = {.label = "released", .scale = Scale::time},
                .y = {.label = "density", .scale = Scale::log}};
  Series band{.kind = Series::Kind::band, .name = "trend", .colour = 0};
  Series line{.kind = Series::Kind::line, .name = "trend", .colour = 0};
  for (const TrendBand& at : result.band) {
    band.x.push_back(trend_epoch() + at.day);
    band.low.push_back(at.low);
    band.high.push_back(at.high);
    line.x.push_back(trend_epoch() + at.day);
    line.y.push_back(std::exp(trend.intercept + trend.slope_per_day * at.day));
  }
  if (!band.x.empty()) figure.series = {std::move(band), std::move(line)};
  add_frontier(figure, result);
  for (const auto which : {Standing::beyond_reach, Standing::below, Standing::densest})
    add_models(figure, result, which);
  figure.rules.push_back({.at = 1, .label = "a reference model"});
  page.figures({figure});
  add_frontier_table(page, result);
}

void add_densities(Report& page, const DensityResult& result) {
  page.section("Densities");
  Table table{.header = {"model", "size", "released", "effective size", "density",
                         level_text(result.coverage) + " interval", "scores", "remark"},
              .numeric = {false, true, false, true, true, true, false, false},
              .caption =
                  "Effective size: the parameters that a reference model would need for the same scores. Density: "
                  "that over the model's own."};
  std::vector<const ModelDensity*> models;
  for (const auto& model : result.models) models.push_back(&model);
  std::stable_sort(models.begin(), models.end(),
                   [](const auto* a, const auto* b) { return a->released < b->released; });
  for (const auto* model : models) {
    std::string scores;
    for (const auto& task : model->tasks) {
      scores += fmt::format("{}{} {:.3f}", scores.empty() ? "" : ", ", task.task, task.score);
    }
    table.rows.push_back({model->name, short_number(model->n_params), model->released,
                          model->effective_size ? short_number(*model->effective_size) : "-", number(model->density),
                          interval_text(model->interval), scores,
                          (model->on_envelope ? "densest so far " : "") + model->note});
  }
  page.table(table);
}

/// Score over size: the reference curve at D0, its models, and those that are placed on it.
Figure placement(const DensityResult& result, const CurveFigures& figures) {
  const ReferenceCurve curve{{std::log(figures.a), figures.alpha, std::log(figures.b), figures.beta, figures.e},
                             {figures.c, figures.gamma, figures.l, figures.d}};
  Figure figure{.title = figures.task + ": placed on the curve",
                .caption = "How far a model stands to the left of the curve is its density.",
                .x = {.label = "parameters", .scale = Scale::log},
                .y = {.label = "score", .percent = true}};
  double smallest = 1e30, largest = 0;
  Series models{.name = "models", .colour = 1};
  for (const auto& model : result.models) {
    for (const auto& task : model.tasks) {
      if (task.task != figures.task) continue;
      models.x.push_back(model.n_params);
      models.y.push_back(task.score);
      models.tips.push_back(fmt::format("{}: {:.3f}", model.name, task.score));
      smallest = std::min(smallest, model.n_params);
      largest = std::max(largest, model.n_params);
    }
  }
  for (const auto& model : figures.models) {
    smallest = std::min(smallest, model.n_params);
    largest = std::max(largest, model.n_params);
  }
  if (const auto d0 = parse_d0(result.d0).d0) {
    Series line{.kind = Series::Kind::line, .name = "reference at " + short_number(*d0) + " tokens"};
    for (int step = 0; step <= 60; ++step) {
      line.x.push_back(smallest / 2 * std::pow(4 * largest / smallest, step / 60.0));
      line.y.push_back(curve.at(line.x.back(), *d0));
    }
    figure.series.push_back(std::move(line));
  }
  figure.series.push_back(std::move(models));
  return figure;
}

/// Measured over fitted; a perfect curve has all points on the diagonal.
Figure agreement(const CurveFigures& figures) {
  Figure figure{.title = figures.task + ": fit of the reference models",
                .caption = fmt::format("{} models, {}; off by {:.2f} points (rms)", figures.points, figures.method,
                                       100 * figures.score_rms),
                .x = {.label = "score of the curve", .percent = true},
                .y = {.label = "score measured", .percent = true}};
  Series points{.name = "reference models", .colour = 2};
  double low = 1, high = 0;
  for (const auto& model : figures.models) {
    points.x.push_back(model.score_of_curve);
    points.y.push_back(model.score);
    points.tips.push_back(model.name);
    low = std::min({low, model.score, model.score_of_curve});
    high = std::max({high, model.score, model.score_of_curve});
  }
  figure.series.push_back(
      {.kind = Series::Kind::dashed, .name = "equal", .colour = Series::kNeutral, .x = {low, high}, .y = {low, high}});
  figure.series.push_back(std::move(points));
  return figure;
}

void add_reference(Report& page, const DensityResult& result) {
  page.section("Reference");
  const bool scores_only = std::any_of(result.curves.begin(), result.curves.end(),
                                       [](const auto& curve) { return curve.method == "scores only"; });
  if (scores_only) {
    page.paragraph(
        "The reference models' losses are not known: score, size and tokens were fitted in one step, with "
        "priors on the exponents, on the balance of the two terms and on floor and ceiling. Losses are in "
        "units of 1/gamma.");
  }
  std::vector<Figure> figures;
  Table table{.header = {"task", "method", "models", "a", "alpha", "b", "beta", "e", "c", "gamma", "l", "d"},
              .numeric = std::vector<bool>{false, false, true, true, true, true, true, true, true, true, true, true},
              .caption = "L = a N^-alpha + b D^-beta + e; S = c / (1 + exp(-gamma (L - l))) + d"};
  for (const auto& f : result.curves) {
    figures.push_back(placement(result, f));
    figures.push_back(agreement(f));
    std::vector<std::string> row = {f.task, f.method, std::to_string(f.points)};
    for (const double value : {f.a, f.alpha, f.b, f.beta, f.e, f.c, f.gamma, f.l, f.d}) {
      row.push_back(fmt::format("{:.4g}", value));
    }
    table.rows.push_back(std::move(row));
  }
  page.figures(figures);
  page.table(table);
}

std::vector<std::string> trend_cells(const std::optional<DensityTrend>& trend) {
  if (!trend) return {"-", "", "-"};
  return {trend->doubling_months ? fmt::format("{:.2f}", *trend->doubling_months) : "none",
          interval_text(trend->doubling_interval_months), fmt::format("{:.3f}", trend->r2)};
}

void add_sensitivity(Report& page, const DensityResult& result) {
  if (result.families.empty() && result.reaches.empty()) return;
  page.section("What the trend hangs on");
  const std::string interval = level_text(result.coverage) + " interval";
  Table families{.header = {"reference family", "models", "doubling, months", interval, "R²", "remark"},
                 .numeric = {false, true, true, true, true, false},
                 .caption = "The same models on other reference families."};
  for (const auto& row : result.families) {
    std::vector<std::string> cells = {row.family, std::to_string(row.reference_models)};
    for (auto& cell : trend_cells(row.trend)) cells.push_back(cell);
    cells.push_back(row.why);
    families.rows.push_back(std::move(cells));
  }
  page.table(families);
  Table reaches{.header = {"reach", "doubling, months", interval, "R²"},
                .numeric = {true, true, true, true},
                .caption =
                    "Models stand on the trend whose effective size lies at most this many times outside the "
                    "reference models' sizes."};
  for (const auto& row : result.reaches) {
    std::vector<std::string> cells = {row.reach > 0 ? fmt::format("{:g}", row.reach) : "any"};
    for (auto& cell : trend_cells(row.trend)) cells.push_back(cell);
    reaches.rows.push_back(std::move(cells));
  }
  page.table(reaches);
}

void add_left_out(Report& page, const DensityResult& result) {
  if (result.left_out.empty()) return;
  page.section("Leave one out");
  Table table{.header = {"reference model", "density", level_text(result.coverage) + " interval", "covers 1", "remark"},
              .numeric = {false, true, true, false, false},
              .caption = "Each reference model at its own tokens on a curve that was fitted without it."};
  for (const auto& row : result.left_out) {
    table.rows.push_back(
        {row.name, number(row.density), interval_text(row.interval), row.covers_one ? "yes" : "no", row.note});
  }
  page.table(table);
}

}  // namespace

std::string interval_text(const Interval& interval) {
  if (!interval.low && !interval.high) return "";
  if (!interval.low) return "up to " + number(interval.high);
  if (!interval.high) return number(interval.low) + " or more";
  return number(interval.low) + " to " + number(interval.high);
}

Report density_page(const DensityResult& result) {
  const std::string d0 = result.d0 == "own" ? "each model's own tokens" : result.d0 + " tokens";
  Report page("Density of models",
              fmt::format("Reference {}on {}, sizes at {}", result.family.empty() ? "" : result.family + " ",
                          fmt::join(result.tasks, ", "), d0));
  add_facts(page, result);
  for (const auto& warning : result.warnings) page.note(warning);
  add_trend(page, result);
  add_densities(page, result);
  add_reference(page, result);
  add_sensitivity(page, result);
  add_left_out(page, result);
  return page;
}

}  // namespace tessera::plan
