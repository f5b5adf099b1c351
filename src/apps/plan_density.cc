// `tessera plan density`: the result as tables, as JSON, as a page.
#include "apps/plan_density.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "apps/plan_common.h"
#include "plan/density/density.h"
#include "plan/quantity.h"

namespace tessera::apps {

namespace {

std::string number(const std::optional<double>& value, const char* absent = "-") {
  return value ? fmt::format("{:.3g}", *value) : absent;
}

std::string model_table(const plan::DensityResult& result) {
  std::vector<std::vector<std::string>> rows;
  std::vector<const plan::ModelDensity*> models;
  for (const auto& model : result.models) models.push_back(&model);
  std::stable_sort(models.begin(), models.end(),
                   [](const auto* a, const auto* b) { return a->released < b->released; });
  for (const auto* model : models) {
    std::string note = model->on_envelope ? "* " : "";
    note += model->note;
    rows.push_back({model->name, plan::short_number(model->n_params), model->released.empty() ? "-" : model->released,
                    model->effective_size ? plan::short_number(*model->effective_size) : "-", number(model->density),
                    plan::interval_text(model->interval), note});
  }
  return columns({"model", "size", "released", "effective", "density", plan::level_text(result.coverage), ""}, rows,
                 LastColumn::text);
}

std::string curve_lines(const plan::DensityResult& result) {
  std::string text;
  for (const auto& f : result.curves) {
    text += fmt::format("{}: {} points, {}\n  L = {:.4g} N^-{:.4g} + {:.4g} D^-{:.4g}", f.task, f.points,
                        f.method == "two steps" ? "loss fitted first, then score over loss"
                                                : "scores only, one joint fit with priors (loss in units of 1/gamma)",
                        f.a, f.alpha, f.b, f.beta);
    if (f.e > 0) text += fmt::format(" + {:.4g}", f.e);
    text += fmt::format("\n  S = {:.4g} / (1 + exp({:.4g} (L - {:.4g}))) + {:.4g}\n  score off by {:.2f} points (rms)",
                        f.c, -f.gamma, f.l, f.d, 100 * f.score_rms);
    if (f.loss_rms) text += fmt::format(", loss by {:.2f}%", 100 * *f.loss_rms);
    if (f.loss_rms && f.e == 0)
      text += fmt::format(" (with a constant {:.2f}%)", 100 * f.loss_rms_with_constant.value_or(0));
    text += "\n";
  }
  return text;
}

std::string slope_text(const std::optional<double>& slope) { return slope ? fmt::format("{:.4f}", *slope) : "too few"; }

std::string trend_lines(const plan::DensityResult& result) {
  const plan::DensityTrend& t = *result.trend;
  std::string text = fmt::format("\nTrend of the densest: {} of {} dated models (*)\n", t.envelope, t.models);
  text += fmt::format("  ln density = {:.5f} t {:+.3f}, t in days since 2023-02-24, R^2 {:.3f}\n", t.slope_per_day,
                      t.intercept, t.r2);
  if (t.doubling_months) {
    text += fmt::format("  doubles every {:.1f} months ({}: {}); the paper: {:.1f} months, R^2 {:.2f}\n",
                        *t.doubling_months, plan::level_text(result.coverage),
                        plan::interval_text(t.doubling_interval_months), result.paper.doubling_months, result.paper.r2);
    text += fmt::format("  its journal version (51 models to April 2025): {:.1f} months, R^2 {:.3f}\n",
                        result.paper.journal_months, result.paper.journal_r2);
    text += fmt::format("  with chips: every {:.0f} days; the paper: {:.0f} days\n", *t.with_chips_days,
                        result.paper.with_chips_days);
  } else {
    text += "  density does not grow: no doubling time\n";
  }
  text += fmt::format("  slope per day up to ChatGPT (2022-11-30) {}, after {}\n", slope_text(t.slope_before_chatgpt),
                      slope_text(t.slope_after_chatgpt));
  for (const plan::DensityFrontier& each : result.frontiers) {
    text += fmt::format(
        "  below which {:.0f}% of all models lie: doubles every {} months; {} of {} later models came out "
        "below it\n",
        100 * each.quantile, number(each.doubling_months), each.later_below, each.later_models);
  }
  const plan::PriceTrend& p = result.price;
  text +=
      fmt::format("  price of inference {:g} to {:g}: {:.1f} times less in {:.0f} days, halves every {:.1f} months\n",
                  p.from_price, p.to_price, p.factor, p.days, p.halving_months);
  return text;
}

std::string sensitivity_tables(const plan::DensityResult& result) {
  const std::string level = plan::level_text(result.coverage);
  std::vector<std::vector<std::string>> families, reaches;
  for (const auto& row : result.families) {
    std::vector<std::string> cells = {row.family.empty() ? "(all)" : row.family, std::to_string(row.reference_models)};
    if (row.trend) {
      cells.insert(cells.end(), {number(row.trend->doubling_months, "none"),
                                 plan::interval_text(row.trend->doubling_interval_months),
                                 fmt::format("{:.3f}", row.trend->r2), fmt::format("{}", fmt::join(row.tasks, ","))});
    } else {
      cells.insert(cells.end(), {"-", "", "-", row.why});
    }
    families.push_back(std::move(cells));
  }
  for (const auto& row : result.reaches) {
    std::vector<std::string> cells = {row.reach > 0 ? fmt::format("{:g}", row.reach) : "any", "-", "", "-"};
    if (row.trend) {
      cells[1] = number(row.trend->doubling_months, "none");
      cells[2] = plan::interval_text(row.trend->doubling_interval_months);
      cells[3] = fmt::format("{:.3f}", row.trend->r2);
    }
    reaches.push_back(std::move(cells));
  }
  return "\n" +
         columns({"reference family", "models", "doubling, months", level, "R^2", "tasks"}, families,
                 LastColumn::text) +
         "\n" + columns({"reach", "doubling, months", level, "R^2"}, reaches);
}

std::string left_out_table(const plan::DensityResult& result) {
  std::vector<std::vector<std::string>> rows;
  size_t covering = 0, known = 0;
  for (const auto& row : result.left_out) {
    rows.push_back(
        {row.name, number(row.density), plan::interval_text(row.interval), row.covers_one ? "yes" : "no", row.note});
    covering += row.covers_one;
    known += row.density.has_value();
  }
  return "\n" +
         columns({"left out", "density", plan::level_text(result.coverage), "covers 1", ""}, rows, LastColumn::text) +
         fmt::format("{} of {} intervals cover 1\n", covering, known);
}

}  // namespace

std::string density_text(const plan::DensityResult& result) {
  const std::string d0 = result.d0 == "own" ? "each model's own tokens" : result.d0 + " tokens";
  std::string text = fmt::format("Reference {}on {}, sizes at {}\n", result.family.empty() ? "" : result.family + " ",
                                 fmt::join(result.tasks, ", "), d0);
  text += curve_lines(result) + "\n" + model_table(result);
  if (result.trend) text += trend_lines(result);
  if (!result.families.empty()) text += sensitivity_tables(result);
  if (!result.left_out.empty()) text += left_out_table(result);
  if (!result.warnings.empty()) text += "\n";
  for (const auto& warning : result.warnings) text += "note: " + warning + "\n";
  return text;
}

int run_plan_density(const PlanDensityOptions& options) {
  apply(options.output);
  if (!options.report.empty()) require_writable(options.report, "plan");
  plan::DensityOptions what = options.density;
  what.tasks.clear();
  for (const std::string& text : options.density.tasks) {  // each may name several
    for (std::string& name : split_names(text)) what.tasks.push_back(std::move(name));
  }
  const plan::DensityResult result = plan::density(what);
  if (!options.report.empty()) plan::write_report(plan::density_page(result), options.report);
  if (options.output.json) print_json(to_json(result));
  else detail::print(density_text(result));
  return 0;
}

}  // namespace tessera::apps
