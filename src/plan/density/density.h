// Capacity density (arXiv 2412.04315): how many parameters a reference model would need for a model's scores, over how
// many it has. Reads tables, fits reference curves, places models on them and draws the trend of the best over time.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "plan/density/fit.h"
#include "plan/density/model_table.h"
#include "plan/density/trend.h"
#include "plan/report/report.h"

namespace tessera::plan {

struct DensityOptions {
  std::vector<Path> models;
  Path reference;
  std::vector<std::string> tasks;  // none: default_density_tasks
  std::string family;              // "": the one with most models
  std::string d0 = "1e12";         // tokens of the effective size, or "own"
  bool trend = false;
  bool leave_one_out = false;
  bool loss_constant = false;
  double coverage = 0.8;
  int64_t draws = 200;
  double score_noise = 0.015;
  double reach = 10;
  uint64_t seed = 0;
  std::string price_from = "20@2022-12", price_to = "0.075@2024-08";
  double chip_doubling_years = 2.1;
};
template <class V> void fields(V& v, DensityOptions& o) {
  v("models", o.models, "models to place: CSV, JSON from eval, or a ladder table; several are joined");
  v("reference", o.reference, "reference models: CSV with sizes, tokens and scores, or a ladder table");
  v("tasks", o.tasks, "scores to use, such as mmlu,bbh (default: those that every model has)");
  v("family", o.family, "use this family of the reference table (default: the one with most models)");
  v("d0", o.d0, "tokens at which effective sizes are stated; own: those that each model saw");
  v("trend", o.trend, "fit the upper envelope of density over time, of models that have every score in use");
  v("leave_one_out", o.leave_one_out, "density of each reference model on a curve fitted without it");
  v("loss_constant", o.loss_constant, "give the loss law a constant, which the paper leaves out");
  v("coverage", o.coverage, "share of draws within an interval");
  v("draws", o.draws, "draws behind intervals");
  v("score_noise", o.score_noise, "standard deviation of scores that come without a loss");
  v("reach", o.reach, "the trend takes sizes at most this many times outside the reference models' own; 0: any");
  v("seed", o.seed, "same seed, same intervals");
  v("price_from", o.price_from, "price of inference at first, PRICE@DATE");
  v("price_to", o.price_to, "price of inference at last, PRICE@DATE");
  v("chip_doubling_years", o.chip_doubling_years, "years in which chips double their computing density");
}

/// Both ends of an interval; an end is absent where it lies off the curve.
struct Interval {
  std::optional<double> low, high;
  bool operator==(const Interval&) const = default;
};
template <class V> void fields(V& v, Interval& i) {
  v("low", i.low, "lower end");
  v("high", i.high, "upper end");
}

/// One task's part in a model's density.
struct TaskSize {
  std::string task;
  double score = 0;
  std::optional<double> effective_size;
  std::string why;  // there is no effective size
  bool operator==(const TaskSize&) const = default;
};
template <class V> void fields(V& v, TaskSize& t) {
  v("task", t.task, "task");
  v("score", t.score, "the model's score");
  v("effective_size", t.effective_size, "parameters");
  v("why", t.why, "why there is none");
}

struct ModelDensity {
  std::string name, family;
  double n_params = 0;
  std::optional<double> tokens;
  std::string released;  // "2023-02-24", or "" when unknown
  std::optional<double> effective_size, density;
  Interval interval;
  std::vector<TaskSize> tasks;
  bool beyond_reach = false;  // its effective size is too far outside the reference models' to count for the trend
  bool on_envelope = false;
  std::string note;  // why density is undefined, or which task was left out
  bool operator==(const ModelDensity&) const = default;
};
template <class V> void fields(V& v, ModelDensity& m) {
  v("name", m.name, "model");
  v("family", m.family, "family");
  v("n_params", m.n_params, "parameters");
  v("tokens", m.tokens, "training tokens");
  v("released", m.released, "release date");
  v("effective_size", m.effective_size, "parameters that a reference model would need");
  v("density", m.density, "effective size over parameters");
  v("interval", m.interval, "of the density");
  v("tasks", m.tasks, "by task");
  v("beyond_reach", m.beyond_reach, "too far outside the reference sizes");
  v("on_envelope", m.on_envelope, "densest of its time");
  v("note", m.note, "remark");
}

/// The trend, its interval, and what the draws did.
struct DensityTrend {
  size_t models = 0, envelope = 0;  // with density and date; records among them
  double slope_per_day = 0, intercept = 0, r2 = 0;
  Interval slope_interval;
  std::optional<double> doubling_days, doubling_months;  // absent where density does not grow
  Interval doubling_interval_months;
  std::optional<double> slope_before_chatgpt, slope_after_chatgpt;
  std::optional<double> with_chips_days;  // density and chips together
  size_t draws = 0, draws_without_trend = 0;
  bool operator==(const DensityTrend&) const = default;
};
template <class V> void fields(V& v, DensityTrend& t) {
  v("models", t.models, "with a density and a date");
  v("envelope", t.envelope, "densest of their time");
  v("slope_per_day", t.slope_per_day, "A of ln density = A t + B");
  v("intercept", t.intercept, "B at 2023-02-24");
  v("r2", t.r2, "R^2 over the envelope");
  v("slope_interval", t.slope_interval, "of A");
  v("doubling_days", t.doubling_days, "ln 2 / A");
  v("doubling_months", t.doubling_months, "in months");
  v("doubling_interval_months", t.doubling_interval_months, "of the doubling time");
  v("slope_before_chatgpt", t.slope_before_chatgpt, "A over models up to 2022-11-30");
  v("slope_after_chatgpt", t.slope_after_chatgpt, "A over models after 2022-11-30");
  v("with_chips_days", t.with_chips_days, "doubling time together with that of chips");
  v("draws", t.draws, "draws with a trend");
  v("draws_without_trend", t.draws_without_trend, "draws without one");
}

/// The frontier as a quantile regression over all models on the trend.
struct DensityFrontier {
  double quantile = 0;
  size_t models = 0;
  double slope_per_day = 0, intercept = 0;
  std::optional<double> doubling_months;  // absent where it does not grow
  size_t later_models = 0, later_below = 0;
  bool operator==(const DensityFrontier&) const = default;
};
template <class V> void fields(V& v, DensityFrontier& f) {
  v("quantile", f.quantile, "share of the models that lie below");
  v("models", f.models, "with a density and a date");
  v("slope_per_day", f.slope_per_day, "of ln density");
  v("intercept", f.intercept, "at 2023-02-24");
  v("doubling_months", f.doubling_months, "ln 2 / slope, in months");
  v("later_models", f.later_models, "of the later half, each judged by a frontier of the models before it");
  v("later_below", f.later_below, "of those, how many came out below it");
}

/// The interval of the trend's density on one day.
struct TrendBand {
  double day = 0, low = 0, high = 0;  // day since 2023-02-24
  bool operator==(const TrendBand&) const = default;
};
template <class V> void fields(V& v, TrendBand& b) {
  v("day", b.day, "days since 2023-02-24");
  v("low", b.low, "density");
  v("high", b.high, "density");
}

/// The trend when another family is the reference.
struct FamilyTrend {
  std::string family;
  size_t reference_models = 0;
  std::vector<std::string> tasks;
  std::optional<DensityTrend> trend;
  std::string why;  // there is none
  bool operator==(const FamilyTrend&) const = default;
};
template <class V> void fields(V& v, FamilyTrend& f) {
  v("family", f.family, "reference family");
  v("reference_models", f.reference_models, "its models");
  v("tasks", f.tasks, "tasks used");
  v("trend", f.trend, "its trend");
  v("why", f.why, "why there is none");
}

/// The trend with another limit on how far outside the reference models' sizes a model may be.
struct ReachTrend {
  double reach = 0;  // 0: any
  std::optional<DensityTrend> trend;
  bool operator==(const ReachTrend&) const = default;
};
template <class V> void fields(V& v, ReachTrend& r) {
  v("reach", r.reach, "factor outside the reference sizes");
  v("trend", r.trend, "its trend");
}

/// What the paper reports, and what follows from its own inputs.
struct PaperFigures {
  double slope_per_day = 0.007, r2 = 0.93;
  double journal_months = 3.5, journal_r2 = 0.934;  // Nature Machine Intelligence 2025: 51 models to April 2025
  double doubling_days = 0, doubling_months = 0, with_chips_days = 0;
  bool operator==(const PaperFigures&) const = default;
};
template <class V> void fields(V& v, PaperFigures& p) {
  v("slope_per_day", p.slope_per_day, "A of arXiv 2412.04315");
  v("r2", p.r2, "its R^2");
  v("journal_months", p.journal_months, "the journal version's doubling time (51 models to April 2025)");
  v("journal_r2", p.journal_r2, "its R^2");
  v("doubling_days", p.doubling_days, "ln 2 / A");
  v("doubling_months", p.doubling_months, "in months");
  v("with_chips_days", p.with_chips_days, "together with chips");
}

struct LeftOut {
  std::string name;
  std::optional<double> density;
  Interval interval;
  bool covers_one = false;
  std::string note;
  bool operator==(const LeftOut&) const = default;
};
template <class V> void fields(V& v, LeftOut& l) {
  v("name", l.name, "reference model");
  v("density", l.density, "on a curve fitted without it");
  v("interval", l.interval, "of the density");
  v("covers_one", l.covers_one, "1 lies within");
  v("note", l.note, "remark");
}

struct DensityResult {
  std::string family, d0;
  std::vector<std::string> tasks;
  double coverage = 0;
  std::vector<CurveFigures> curves;
  std::vector<ModelDensity> models;
  std::optional<DensityTrend> trend;
  std::vector<TrendBand> band;
  std::vector<DensityFrontier> frontiers;
  std::vector<FamilyTrend> families;
  std::vector<ReachTrend> reaches;
  PriceTrend price;
  PaperFigures paper;
  std::vector<LeftOut> left_out;
  std::vector<std::string> warnings;
  bool operator==(const DensityResult&) const = default;
};
template <class V> void fields(V& v, DensityResult& r) {
  v("family", r.family, "reference family");
  v("d0", r.d0, "tokens of the effective size");
  v("tasks", r.tasks, "scores used");
  v("coverage", r.coverage, "of the intervals");
  v("curves", r.curves, "reference curves by task");
  v("models", r.models, "densities");
  v("trend", r.trend, "of the densest");
  v("band", r.band, "the trend's interval over time");
  v("frontiers", r.frontiers, "quantile regressions");
  v("families", r.families, "the trend by reference family");
  v("reaches", r.reaches, "the trend by reach");
  v("price", r.price, "of inference");
  v("paper", r.paper, "the paper's figures from its inputs");
  v("left_out", r.left_out, "leave-one-out");
  v("warnings", r.warnings, "what to mind");
}

/// Reads the tables that the options name and computes. Throws UserError for what is wrong in them.
DensityResult density(const DensityOptions& options);
/// The same for tables that are read already.
DensityResult density(const std::vector<ModelRow>& models, const ModelTable& reference, const DensityOptions& options);

/// "2.39 to 4.14", "up to 3", "2 or more", or "" when nothing is known.
std::string interval_text(const Interval& interval);

/// A page for people of what density() found.
Report density_page(const DensityResult& result);

}  // namespace tessera::plan
