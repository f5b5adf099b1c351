// A forecast in three passes over the tasks: hindcasts of each feature, hindcasts of the chosen mean, the targets.
#include "plan/ladder/ladder.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/error.h"
#include "core/fields.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

constexpr size_t kHindcastResamples = 60;
constexpr Feature kCandidates[] = {Feature::bpb, Feature::loss, Feature::ce};
constexpr double kSkips[] = {0.1, 0.5};
constexpr size_t kMostResamples = 100'000;  // more would only take memory
constexpr double kLargest = 1e18;           // parameters or tokens of a target

std::vector<size_t> chosen_tasks(const LadderTable& table, const LadderOptions& options,
                                 std::vector<std::string>& notes) {
  if (options.tasks.empty()) {
    std::vector<size_t> tasks = default_tasks(table, notes);
    if (tasks.empty()) throw UserError("[plan] {} has no task with both bits per byte and accuracy", table.source);
    return tasks;
  }
  std::vector<size_t> tasks;
  for (const std::string& name : options.tasks) {
    const auto task = table.find_task(name);
    if (!task) {
      throw UserError("[plan] {} has no task '{}'; the nearest is '{}'", table.source, name,
                      nearest_word(name, table.tasks));
    }
    if (std::find(tasks.begin(), tasks.end(), *task) == tasks.end()) tasks.push_back(*task);
  }
  return tasks;
}

std::vector<LadderTarget> chosen_targets(const LadderTable& table, const LadderOptions& options) {
  std::vector<LadderTarget> targets = options.targets;
  if (targets.empty()) {
    for (const LadderRun& run : table.targets) targets.push_back({run.name, final_scale(run)});
  }
  if (targets.empty()) {
    throw UserError("[plan] nothing to predict: give --target NAME=N:D, or rows with role 'target' in {}",
                    table.source);
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (targets[i].name == targets[j].name) throw UserError("[plan] two targets are named '{}'", targets[i].name);
    }
    const LadderRun* run = table.find_target(targets[i].scale.params, targets[i].scale.tokens);
    if (run) targets[i].scale.flops = run->flops_per_token * targets[i].scale.tokens;
  }
  return targets;
}

/// What the table measured of a target; the paper's variant over choices compares with the last checkpoint alone.
void add_actual(const LadderTable& table, const LadderTarget& target, size_t task, size_t last, LadderPrediction& to) {
  const LadderRun* run = table.find_target(target.scale.params, target.scale.tokens);
  const double actual = run ? mean_of_last(run->tasks[task].acc, last) : kMissing;
  if (std::isnan(actual)) return;
  to.actual = actual;
  to.abs_error_points = 100 * std::abs(to.predicted - actual);
  if (actual > 0) to.rel_error_percent = *to.abs_error_points / actual;
}

/// The work of one forecast; `step` reports progress from any thread.
class Forecaster {
 public:
  Forecaster(const LadderTable& table, const LadderOptions& options, const LadderProgress& progress)
      : table_(table), options_(options), progress_(progress), rungs_(chosen_rungs(table, options)) {
    result_.targets = chosen_targets(table, options);
    result_.tasks = chosen_tasks(table, options, result_.warnings);
    for (size_t t = 0; t < result_.tasks.size(); ++t) {
      for (const Feature feature : used_features()) require_variety(rungs_, result_.tasks[t], name_of(t), feature);
    }
  }

  LadderForecast run() {
    if (options_.method == LadderMethod::paper) predict_as_published();
    else predict_with_intervals();
    const auto found = ladder_warnings(table_, rungs_, options_, result_);
    result_.warnings.insert(result_.warnings.end(), found.begin(), found.end());
    return std::move(result_);
  }

 private:
  const std::string& name_of(size_t t) const { return table_.tasks[result_.tasks[t]]; }

  std::vector<Feature> used_features() const {
    if (options_.feature) return {*options_.feature};
    if (options_.method == LadderMethod::paper) return {Feature::bpb};
    return {std::begin(kCandidates), std::end(kCandidates)};
  }

  void predict_as_published() {
    const Feature feature = options_.feature.value_or(Feature::bpb);
    const size_t count = result_.tasks.size();
    std::vector<std::vector<double>> predicted(count);
    std::vector<TaskEnsemble> curves(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      const size_t task = result_.tasks[t];
      if (options_.single_step) {
        const SingleStepLaw law = fit_paper_single_step(rungs_, task, name_of(t));
        for (const auto& target : result_.targets)
          predicted[t].push_back(law.at(target.scale.params, target.scale.tokens));
      } else {
        curves[t] = {task, name_of(t), {fit_paper_curve(rungs_, task, name_of(t), feature)}, {}};
        for (const auto& target : result_.targets) predicted[t].push_back(curves[t].accuracy_at(target.scale));
      }
    });
    if (!options_.single_step) result_.curves = std::move(curves);
    const size_t last = feature == Feature::ce && !options_.single_step ? 1 : kLastCheckpoints;
    for (size_t i = 0; i < result_.targets.size(); ++i) {
      for (size_t t = 0; t < count; ++t) {
        LadderPrediction& each = result_.predictions.emplace_back();
        each.target = result_.targets[i].name;
        each.task = name_of(t);
        each.predicted = predicted[t][i];
        add_actual(table_, result_.targets[i], result_.tasks[t], last, each);
      }
    }
  }

  void predict_with_intervals() {
    const size_t count = result_.tasks.size();
    result_.splits = hindcast_splits(rungs_);
    total_ = count * (kHindcastResamples * result_.splits.size() + options_.resamples);
    choose();
    if (options_.resamples > 0) widen_by_hindcasts();
    predict_targets();
  }

  void widen_by_hindcasts() {
    const size_t count = result_.tasks.size();
    std::vector<std::vector<Hindcast>> hindcasts(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      hindcasts[t] = hindcast_ensemble(result_.splits, result_.tasks[t], name_of(t), forms_of(t), options_.coverage,
                                       kHindcastResamples, Rng(options_.seed, 2 * t));
      advance(kHindcastResamples * result_.splits.size());
    });
    for (auto& each : hindcasts) result_.hindcasts.insert(result_.hindcasts.end(), each.begin(), each.end());
    result_.widen = widening(result_.hindcasts, options_.coverage);
  }

  /// The chosen forms whose feature the table measured for task `t`; else any that it did measure.
  std::vector<Form> forms_of(size_t t) const {
    std::vector<Form> kept, measured;
    const auto has = [&](Feature feature) { return has_feature(rungs_, result_.tasks[t], feature); };
    for (const Form& form : result_.forms) {
      if (has(form.feature)) kept.push_back(form);
    }
    for (const Feature feature : kCandidates) {
      if (has(feature)) measured.push_back({feature});
    }
    if (kept.empty() && !options_.feature) kept = measured;
    if (kept.empty()) {
      throw UserError("[plan] too few rungs for {}: want at least 4 runs with '{}' and accuracy measured", name_of(t),
                      feature_name(options_.feature.value_or(Feature::bpb)));
    }
    return kept;
  }

  double judge(const Form& form) const {
    std::vector<std::vector<Hindcast>> found(result_.tasks.size());
    for_each_on_threads(found.size(), options_.threads, [&](size_t t) {
      found[t] = hindcast_form(result_.splits, result_.tasks[t], name_of(t), form);
    });
    std::vector<Hindcast> all;
    for (const auto& each : found) all.insert(all.end(), each.begin(), each.end());
    return hindcast_error(all);
  }

  void choose() {
    for (const Feature feature : {Feature::bpb, Feature::loss, Feature::ce, Feature::flops}) {
      const auto measured = [&](size_t task) { return has_feature(rungs_, task, feature); };
      const bool wanted = options_.feature ? *options_.feature == feature : feature != Feature::flops;
      if (!wanted || !std::any_of(result_.tasks.begin(), result_.tasks.end(), measured)) continue;
      for (const double skip : kSkips) result_.judged.push_back({{feature, skip}, judge({feature, skip})});
    }
    result_.forms = choose_forms(result_.judged);
  }

  void predict_targets() {
    const std::vector<RunScale> candidates = next_candidates();
    std::vector<RunScale> at;
    for (const LadderTarget& target : result_.targets) at.push_back(target.scale);
    at.insert(at.end(), candidates.begin(), candidates.end());
    const size_t count = result_.tasks.size();
    std::vector<std::vector<std::vector<double>>> samples(count, std::vector<std::vector<double>>(at.size()));
    result_.curves.resize(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      result_.curves[t] = fit_ensemble(rungs_, result_.tasks[t], name_of(t), forms_of(t));
      const Rng rng(options_.seed, 2 * t + 1);
      for (size_t i = 0; i < options_.resamples; ++i) {
        const auto accuracies = resampled_accuracies(result_.curves[t], rungs_, at, rng.split(i));
        for (size_t a = 0; a < at.size(); ++a) samples[t][a].push_back(accuracies[a]);
        advance(1);
      }
    });
    for (size_t i = 0; i < result_.targets.size(); ++i) {
      for (size_t t = 0; t < count; ++t) add_prediction(i, t, samples[t][i]);
    }
    choose_next(candidates, samples);
  }

  void add_prediction(size_t i, size_t t, const std::vector<double>& samples) {
    LadderPrediction& each = result_.predictions.emplace_back();
    each.target = result_.targets[i].name;
    each.task = name_of(t);
    each.predicted = result_.curves[t].accuracy_at(result_.targets[i].scale);
    if (!samples.empty()) {
      const Spread spread = spread_of(samples, each.predicted, options_.coverage, result_.widen);
      each.low = spread.low;
      each.high = spread.high;
    }
    add_actual(table_, result_.targets[i], result_.tasks[t], kLastCheckpoints, each);
  }

  /// Runs that a person might add: the largest size and twice it, at the shortest and longest length and twice that.
  std::vector<RunScale> next_candidates() const {
    double size = 0, shortest = INFINITY, longest = 0;
    for (const LadderRun* run : rungs_) {
      size = std::max(size, run->params);
      shortest = std::min(shortest, run->final_tokens() / run->params);
      longest = std::max(longest, run->final_tokens() / run->params);
    }
    std::vector<RunScale> candidates;
    for (const double n : {size, 2 * size}) {
      for (const double length : {shortest, longest, 2 * longest}) {
        if (n == size && length != 2 * longest) continue;  // such runs are there
        candidates.push_back({n, n * length, flops_per_token_of(n) * n * length});
      }
    }
    return candidates;
  }

  /// The candidate whose measurement would narrow the intervals of the first target most: accuracies there and here vary
  /// together over the resamples, and what one explains is removed.
  void choose_next(const std::vector<RunScale>& candidates,
                   const std::vector<std::vector<std::vector<double>>>& samples) {
    if (options_.resamples < 30) return;
    for (size_t c = 0; c < candidates.size(); ++c) {
      if (candidates[c].flops > result_.targets[0].scale.flops / 4) continue;
      double narrowing = 0;
      for (size_t t = 0; t < samples.size(); ++t) {
        const double noise = result_.curves[t].curves[0].accuracy_scatter(candidates[c]);
        narrowing += explained_width(samples[t][0], samples[t][result_.targets.size() + c], noise);
      }
      narrowing /= static_cast<double>(samples.size());
      if (!result_.next || narrowing > result_.next->narrowing) result_.next = NextRung{candidates[c], narrowing};
    }
  }

  /// Share by which the spread of `y` shrinks when `x` is measured with an error of `noise`.
  static double explained_width(const std::vector<double>& y, const std::vector<double>& x, double noise) {
    double mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    const auto n = static_cast<double>(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      mean_x += x[i] / n;
      mean_y += y[i] / n;
    }
    for (size_t i = 0; i < x.size(); ++i) {
      xx += (x[i] - mean_x) * (x[i] - mean_x) / n;
      yy += (y[i] - mean_y) * (y[i] - mean_y) / n;
      xy += (x[i] - mean_x) * (y[i] - mean_y) / n;
    }
    if (!(yy > 0)) return 0;
    return 1 - std::sqrt(std::max(0.0, 1 - xy * xy / ((xx + noise * noise) * yy)));
  }

  void advance(size_t work) {
    if (!progress_) return;
    const std::lock_guard lock(guard_);
    progress_(done_ += work, total_);
  }

  const LadderTable& table_;
  const LadderOptions& options_;
  const LadderProgress& progress_;
  Rungs rungs_;
  LadderForecast result_;
  size_t done_ = 0, total_ = 0;
  std::mutex guard_;
};

}  // namespace

LadderTarget parse_target(const std::string& text) {
  const size_t equals = text.find('='), colon = text.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || colon == std::string::npos || equals == 0) {
    throw UserError("[plan] target: got '{}', want NAME=N:D, for example 7B=6.9B:3.9T", text);
  }
  LadderTarget target{text.substr(0, equals), {}};
  target.scale.params =
      parse_quantity(text.substr(equals + 1, colon - equals - 1), "parameters of target " + target.name);
  target.scale.tokens = parse_quantity(text.substr(colon + 1), "tokens of target " + target.name);
  if (std::max(target.scale.params, target.scale.tokens) > kLargest) {
    throw UserError("[plan] target '{}' is beyond all sizes; want at most {:g} parameters and tokens", text, kLargest);
  }
  target.scale.flops = flops_per_token_of(target.scale.params) * target.scale.tokens;
  return target;
}

Rungs chosen_rungs(const LadderTable& table, const LadderOptions& options) {
  Rungs rungs = all_rungs(table);
  if (options.max_rung_params > 0) {
    std::erase_if(rungs, [&](const LadderRun* run) { return run->params > options.max_rung_params; });
    if (rungs.empty())
      throw UserError("[plan] no rung has at most {} parameters", short_number(options.max_rung_params));
  }
  return rungs;
}

LadderForecast forecast_ladder(const LadderTable& table, const LadderOptions& options, const LadderProgress& progress) {
  if (options.single_step && options.method != LadderMethod::paper) {
    throw UserError("[plan] the single step is a variant of the paper's; want --method paper with it");
  }
  if (!(options.coverage > 0 && options.coverage < 1)) {
    throw UserError("[plan] coverage: got {}, want a share between 0 and 1", options.coverage);
  }
  if (options.resamples > kMostResamples) {
    throw UserError("[plan] resamples: got {}, want at most {}", options.resamples, kMostResamples);
  }
  return Forecaster(table, options, progress).run();
}

}  // namespace tessera::plan
