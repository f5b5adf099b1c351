// Rung sizes take colours from the first on, targets from the fifth. Coordinates are rounded: they are only looked at.
#include "plan/ladder/ladder_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "plan/quantity.h"

namespace tessera::plan {

namespace {

using Kind = Series::Kind;

constexpr int kFirstTargetColour = 4;
constexpr size_t kMostCheckpoints = 300, kMostOfPage = 3600;  // of a figure, of all of them
constexpr int kCurveSteps = 48;

int target_colour(size_t target) { return kFirstTargetColour + static_cast<int>(target); }

double rounded(double value) { return std::isfinite(value) ? std::stod(fmt::format("{:.5g}", value)) : value; }

void add(Series& series, double x, double y, std::string tip = "") {
  series.x.push_back(rounded(x));
  series.y.push_back(rounded(y));
  if (!tip.empty()) series.tips.push_back(std::move(tip));
}

/// A curve between two points: `x_at(share)` for shares from 0 to 1.
template <class Place, class Value> void add_curve(Series& series, const Place& x_at, const Value& y_at) {
  for (int i = 0; i <= kCurveSteps; ++i) {
    const double x = x_at(static_cast<double>(i) / kCurveSteps);
    add(series, x, y_at(x));
  }
}

/// Rungs of one size share a colour and an entry of the legend.
struct SizeGroup {
  std::string name;
  double params = 0;
  Rungs rungs;
};

std::vector<SizeGroup> size_groups(const Rungs& rungs) {
  std::map<double, SizeGroup> groups;
  for (const LadderRun* run : rungs) {
    SizeGroup& group = groups[run->params];
    group.name = run->size.empty() ? short_number(run->params) : run->size;
    group.params = run->params;
    group.rungs.push_back(run);
  }
  std::vector<SizeGroup> sorted;
  for (auto& [params, group] : groups) sorted.push_back(std::move(group));
  return sorted;
}

const TaskCurve* curve_of(const TaskEnsemble& ensemble, Feature feature) {
  const auto same = [&](const TaskCurve& curve) { return !curve.direct && curve.form.feature == feature; };
  const auto found = std::find_if(ensemble.curves.begin(), ensemble.curves.end(), same);
  return found == ensemble.curves.end() ? nullptr : &*found;
}

double measured_loss(const LadderPage& page, size_t target, size_t task, Feature feature) {
  const LadderRun* run = page.target_runs[target];
  return run ? final_loss(*run, task, feature) : kMissing;
}

std::string predicted_name(const LadderTarget& target) { return target.name + ", predicted"; }
std::string measured_name(const LadderTarget& target) { return target.name + ", measured"; }

/// One law against tokens, or against FLOPs when it is a law of compute alone.
class LossFigure {
 public:
  LossFigure(const LadderPage& page, const TaskEnsemble& ensemble, const TaskCurve& curve)
      : page_(page), ensemble_(ensemble), curve_(curve), by_flops_(curve.form.feature == Feature::flops) {
    figure_.x = {.label = by_flops_ ? "training FLOPs" : "training tokens", .scale = Scale::log};
    figure_.y = {.label = std::string(feature_title(curve.form.feature))};
  }

  Figure drawn() {
    const std::vector<SizeGroup> groups = size_groups(page_.rungs);
    for (size_t g = 0; g < groups.size(); ++g) add_size(groups[g], static_cast<int>(g));
    for (size_t t = 0; t < page_.forecast.targets.size(); ++t) add_target(t);
    return std::move(figure_);
  }

 private:
  double x_of(const RunScale& at) const { return by_flops_ ? at.flops : at.tokens; }

  /// The law of one size between two points of a logarithmic axis.
  void add_law(Series& series, double params, double from, double to) {
    const auto x_at = [&](double share) { return from * std::pow(to / from, share); };
    add_curve(series, x_at, [&](double x) { return curve_.loss_at({params, x, x}); });
  }

  void add_size(const SizeGroup& group, int colour) {
    Series law{.kind = Kind::line, .name = group.name, .colour = colour}, points{.name = group.name, .colour = colour};
    double from = INFINITY, to = 0;
    for (const LadderRun* run : group.rungs) {
      const double loss = final_loss(*run, ensemble_.task.index, curve_.form.feature);
      if (std::isnan(loss)) continue;
      const RunScale at = final_scale(*run);
      add(points, x_of(at), loss,
          fmt::format("{}: {} tokens\nmeasured {:.4g}, law {:.4g}", run->name, short_number(at.tokens), loss,
                      curve_.loss_at(at)));
      from = std::min(from, x_of(at));
      to = std::max(to, x_of(at));
    }
    if (!points.x.empty()) add_law(law, group.params, from, to);
    figure_.series.push_back(std::move(law));
    figure_.series.push_back(std::move(points));
  }

  void add_target(size_t t) {
    const LadderTarget& target = page_.forecast.targets[t];
    const double predicted = curve_.loss_at(target.scale);
    const double measured = measured_loss(page_, t, ensemble_.task.index, curve_.form.feature);
    const std::string name = predicted_name(target);
    Series law{.kind = Kind::dashed, .name = name, .colour = target_colour(t)};
    Series point{.name = name, .colour = target_colour(t)};
    double from = x_of(target.scale);
    for (const LadderRun* run : page_.rungs) from = std::min(from, x_of(final_scale(*run)));
    if (by_flops_) from = std::sqrt(from * x_of(target.scale));
    add_law(law, target.scale.params, from, x_of(target.scale));
    add(point, x_of(target.scale), predicted, fmt::format("{}: predicted {:.4g}", target.name, predicted));
    figure_.series.push_back(std::move(law));
    figure_.series.push_back(std::move(point));
    if (!page_.target_runs[t]) return;
    Series ring{.kind = Kind::rings, .name = measured_name(target), .colour = target_colour(t)};
    if (!std::isnan(measured)) {
      add(ring, x_of(target.scale), measured,
          fmt::format("{}: measured {:.4g}\npredicted {:.4g} ({:+.1f}%)", target.name, measured, predicted,
                      100 * (predicted / measured - 1)));
    }
    figure_.series.push_back(std::move(ring));
  }

  const LadderPage& page_;
  const TaskEnsemble& ensemble_;
  const TaskCurve& curve_;
  bool by_flops_;
  Figure figure_;
};

Series checkpoints_of(const LadderPage& page, size_t task, const Form& form) {
  Series series{.name = "rungs' checkpoints", .colour = Series::kNeutral};
  std::vector<AccuracyPoint> all;
  for (const LadderRun* run : page.rungs) {
    const auto points = checkpoint_points(*run, task, form.feature, {.skip = form.skip});
    all.insert(all.end(), points.begin(), points.end());
  }
  size_t figures = 0;
  for (const TaskEnsemble& ensemble : page.forecast.curves) figures += ensemble.curves.size();
  const size_t most = std::clamp<size_t>(kMostOfPage / std::max<size_t>(1, figures), 20, kMostCheckpoints);
  const size_t every = std::max<size_t>(1, (all.size() + most - 1) / most);
  for (size_t i = every / 2; i < all.size(); i += every) add(series, all[i].loss, all[i].accuracy);
  return series;
}

Figure sigmoid_figure(const LadderPage& page, const TaskEnsemble& ensemble, const TaskCurve& curve) {
  Figure figure{.title = ensemble.task.name,
                .x = {.label = std::string(feature_title(curve.form.feature))},
                .y = {.label = "accuracy", .percent = true}};
  const auto& targets = page.forecast.targets;
  Series sigmoid{.kind = Kind::line, .name = "fitted sigmoid"};
  std::vector<Series> marks;
  for (size_t t = 0; t < targets.size(); ++t) {
    const double loss = curve.loss_at(targets[t].scale), accuracy = curve.sigmoid.at(loss);
    Series point{.name = predicted_name(targets[t]), .colour = target_colour(t)};
    add(point, loss, accuracy,
        fmt::format("{}: predicted\nloss {:.4g}, accuracy {}", targets[t].name, loss, percent(accuracy)));
    marks.push_back(std::move(point));
    if (!page.target_runs[t]) continue;
    Series ring{.kind = Kind::rings, .name = measured_name(targets[t]), .colour = target_colour(t)};
    const double measured = measured_loss(page, t, ensemble.task.index, curve.form.feature);
    const double reached = final_accuracy(*page.target_runs[t], ensemble.task.index);
    if (!std::isnan(measured) && !std::isnan(reached)) {
      add(ring, measured, reached,
          fmt::format("{}: measured\nloss {:.4g}, accuracy {}", targets[t].name, measured, percent(reached)));
    }
    marks.push_back(std::move(ring));
  }
  figure.series = {checkpoints_of(page, ensemble.task.index, curve.form), std::move(sigmoid)};
  figure.series.insert(figure.series.end(), marks.begin(), marks.end());
  double from = INFINITY, to = 0;
  for (const Series& series : figure.series) {
    for (const double x : series.x) {
      from = std::min(from, x);
      to = std::max(to, x);
    }
  }
  const double air = 0.03 * (to - from);
  add_curve(
      figure.series[1], [&](double share) { return from - air + share * (to - from + 2 * air); },
      [&](double loss) { return curve.sigmoid.at(loss); });
  return figure;
}

}  // namespace

WidenedHindcast widened(const Hindcast& hindcast, double widen) {
  WidenedHindcast result;
  result.low = std::max(0.0, hindcast.predicted - widen * (hindcast.predicted - hindcast.low));
  result.high = std::min(1.0, hindcast.predicted + widen * (hindcast.high - hindcast.predicted));
  result.holds = result.low <= hindcast.measured && hindcast.measured <= result.high;
  return result;
}

std::string_view feature_title(Feature feature) {
  switch (feature) {
    case Feature::loss:
      return "language-model loss (nats per token)";
    case Feature::ce:
      return "cross entropy over the choices (nats)";
    default:
      return "bits per byte of the right answer";
  }
}

Figure prediction_figure(const LadderPage& page) {
  const LadderForecast& forecast = page.forecast;
  Figure figure{.title = "Predicted accuracy", .x = {.label = "task"}, .y = {.label = "accuracy", .percent = true}};
  for (const size_t task : forecast.tasks) figure.x.names.push_back(page.table.tasks[task]);
  const auto count = static_cast<double>(forecast.targets.size());
  for (size_t t = 0; t < forecast.targets.size(); ++t) {
    const LadderTarget& target = forecast.targets[t];
    const double beside = std::min(0.3, 0.7 / count) * (static_cast<double>(t) - (count - 1) / 2);
    Series predicted{.name = predicted_name(target), .colour = target_colour(t)};
    Series measured{.kind = Kind::rings, .name = measured_name(target), .colour = target_colour(t)};
    double task = beside;
    for (const LadderPrediction& each : forecast.predictions) {
      if (each.target != target.name) continue;
      std::string tip = fmt::format("{}, {}\npredicted {}", each.task, each.target, percent(each.predicted));
      if (each.low) tip += fmt::format(" ({} to {})", percent(*each.low), percent(*each.high));
      if (each.low) {
        predicted.kind = Kind::interval;
        predicted.low.push_back(rounded(*each.low));
        predicted.high.push_back(rounded(*each.high));
      }
      add(predicted, task, each.predicted, std::move(tip));
      if (each.actual) {
        add(measured, task, *each.actual,
            fmt::format("{}, {}\nmeasured {}\npredicted {}", each.task, each.target, percent(*each.actual),
                        percent(each.predicted)));
      }
      ++task;
    }
    figure.series.push_back(std::move(predicted));
    if (!measured.x.empty()) figure.series.push_back(std::move(measured));
  }
  return figure;
}

std::vector<Feature> used_features(const LadderForecast& forecast) {
  std::vector<Feature> features;
  for (const TaskEnsemble& ensemble : forecast.curves) {
    for (const TaskCurve& curve : ensemble.curves) {
      if (!curve.direct && std::find(features.begin(), features.end(), curve.form.feature) == features.end()) {
        features.push_back(curve.form.feature);
      }
    }
  }
  return features;
}

std::vector<Figure> loss_figures(const LadderPage& page, Feature feature) {
  std::vector<Figure> figures;
  for (const TaskEnsemble& ensemble : page.forecast.curves) {
    const TaskCurve* curve = curve_of(ensemble, feature);
    if (!curve) continue;
    figures.push_back(LossFigure(page, ensemble, *curve).drawn());
    figures.back().title = feature == Feature::loss ? "Language-model loss" : ensemble.task.name;
    if (feature == Feature::loss) break;
  }
  return figures;
}

std::vector<Figure> sigmoid_figures(const LadderPage& page, Feature feature) {
  std::vector<Figure> figures;
  for (const TaskEnsemble& ensemble : page.forecast.curves) {
    if (const TaskCurve* curve = curve_of(ensemble, feature)) figures.push_back(sigmoid_figure(page, ensemble, *curve));
  }
  return figures;
}

Figure hindcast_figure(const LadderPage& page) {
  const LadderForecast& forecast = page.forecast;
  Figure figure{.title = "Hindcasts: predicted and measured accuracy",
                .x = {.label = "measured accuracy", .percent = true},
                .y = {.label = "predicted accuracy", .percent = true}};
  double from = 1, to = 0;
  for (size_t s = 0; s < forecast.splits.size(); ++s) {
    Series series{.kind = Kind::interval, .name = forecast.splits[s].name, .colour = static_cast<int>(s)};
    for (const Hindcast& each : forecast.hindcasts) {
      if (each.split != s) continue;
      const WidenedHindcast interval = widened(each, forecast.scale);
      series.low.push_back(rounded(interval.low));
      series.high.push_back(rounded(interval.high));
      add(series, each.measured, each.predicted,
          fmt::format("{} of {}, {}\npredicted {} ({} to {})\nmeasured {}", page.table.tasks[each.task], each.run->name,
                      forecast.splits[s].name, percent(each.predicted), percent(interval.low), percent(interval.high),
                      percent(each.measured)));
      from = std::min({from, each.measured, each.predicted});
      to = std::max({to, each.measured, each.predicted});
    }
    if (!series.x.empty()) figure.series.push_back(std::move(series));
  }
  figure.series.push_back({.kind = Kind::dashed,
                           .name = "exact",
                           .colour = Series::kNeutral,
                           .x = {rounded(from), rounded(to)},
                           .y = {rounded(from), rounded(to)}});
  return figure;
}

}  // namespace tessera::plan
