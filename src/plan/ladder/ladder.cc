// A forecast in three passes over the tasks: hindcasts of each feature, hindcasts of the chosen mean, the targets.
#include "plan/ladder/ladder.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/error.h"
#include "plan/ladder/ladder_setup.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

constexpr size_t kHindcastResamples = 40;
constexpr Feature kCandidates[] = {Feature::bpb, Feature::loss, Feature::ce, Feature::acc};
constexpr double kSkips[] = {0.1, 0.5}, kEmphases[] = {0, 0.3};
constexpr size_t kSkippable = 4;            // checkpoints of a run, of which half may be skipped
constexpr size_t kMostResamples = 100'000;  // more would only take memory

/// The work of one forecast; `step` reports progress from any thread.
class Forecaster {
 public:
  Forecaster(const LadderTable& table, const LadderOptions& options, const LadderProgress& progress)
      : table_(table), options_(options), progress_(progress), rungs_(chosen_rungs(table, options)) {
    result_.targets = chosen_targets(table, options);
    result_.tasks = chosen_tasks(table, options, result_.warnings);
    result_.weights = chosen_weights(table, options, result_.tasks);
    for (size_t t = 0; t < result_.tasks.size(); ++t) {
      for (const Feature feature : used_features(t)) require_variety(rungs_, result_.tasks[t], name_of(t), feature);
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

  /// What task `t` may be predicted from: the published choice is bits per byte, or else what there is.
  std::vector<Feature> used_features(size_t t) const {
    if (options_.feature) return {*options_.feature};
    if (options_.method == LadderMethod::best) return {std::begin(kCandidates), std::end(kCandidates)};
    for (const Feature feature : {Feature::bpb, Feature::loss}) {
      if (has_feature(rungs_, result_.tasks[t], feature)) return {feature};
    }
    return {has_feature(rungs_, result_.tasks[t], Feature::acc) ? Feature::acc : Feature::bpb};
  }

  void predict_as_published() {
    const size_t count = result_.tasks.size();
    std::vector<std::vector<double>> predicted(count);
    std::vector<TaskEnsemble> curves(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      const size_t task = result_.tasks[t];
      const Feature feature = used_features(t).front();
      if (options_.single_step) {
        const SingleStepLaw law = fit_paper_single_step(rungs_, task, name_of(t));
        for (const auto& target : result_.targets)
          predicted[t].push_back(law.at(target.scale.params, target.scale.tokens));
      } else {
        curves[t].task = {task, name_of(t), {}};
        curves[t].curves = {fit_paper_curve(rungs_, task, name_of(t), feature)};
        curves[t].shares = {1};
        for (const auto& target : result_.targets) predicted[t].push_back(curves[t].accuracy_at(target.scale));
      }
    });
    if (!options_.single_step) result_.curves = std::move(curves);
    const bool is_over_choices = options_.feature == Feature::ce && !options_.single_step;
    const size_t last = is_over_choices ? 1 : kLastCheckpoints;
    for (size_t i = 0; i < result_.targets.size(); ++i) {
      for (size_t t = 0; t < count; ++t) {
        LadderPrediction& each = result_.predictions.emplace_back();
        each.target = result_.targets[i].name;
        each.task = name_of(t);
        each.predicted = predicted[t][i];
        add_actual(table_, result_.targets[i], result_.tasks[t], last, each);
      }
      add_mean(i, {});
    }
  }

  void predict_with_intervals() {
    const size_t count = result_.tasks.size();
    result_.splits = hindcast_splits(rungs_);
    for (size_t t = 0; t < count; ++t) tasks_.push_back(described(t));
    judge_forms();
    total_ = count * ((options_.resamples > 0 ? kHindcastResamples * result_.splits.size() : 0) + options_.resamples);
    if (options_.resamples > 0) scale_by_hindcasts();
    predict_targets();
  }

  LadderTask described(size_t t) const {
    LadderTask task{result_.tasks[t], name_of(t), range_of(rungs_, result_.tasks[t], name_of(t))};
    if (const auto given = options_.chance.find(task.name); given != options_.chance.end()) {
      task.range.floor = given->second;
      task.range.floor_spread = 0;
    }
    if (const auto given = options_.ceiling.find(task.name); given != options_.ceiling.end()) {
      task.range.ceiling = given->second;
      task.range.ceiling_spread = 0;
    }
    return task;
  }

  /// The forms that the options and the table allow.
  std::vector<Form> candidate_forms() const {
    std::vector<Form> forms;
    for (const Feature feature : used_features(0)) {
      const bool one_law = feature == Feature::acc || feature == Feature::flops;
      const auto is_skippable = [&](const LadderRun* run) { return run->tokens.size() >= kSkippable; };
      const bool skips = feature != Feature::acc && std::any_of(rungs_.begin(), rungs_.end(), is_skippable);
      for (const double skip : kSkips) {
        if (skip != kSkips[0] && !skips) continue;
        for (const bool tied : {false, true}) {
          if (tied && one_law) continue;
          for (const double emphasis : kEmphases) forms.push_back({feature, skip, tied, emphasis});
        }
      }
    }
    return forms;
  }

  bool is_usable(const Form& form, size_t t) const { return has_feature(rungs_, result_.tasks[t], form.feature); }

  /// Every form predicts every split of every task; then each task's shares.
  void judge_forms() {
    const size_t count = tasks_.size();
    for (const Form& form : candidate_forms()) {
      const auto measured = [&](const LadderTask& task) { return has_feature(rungs_, task.index, form.feature); };
      if (std::any_of(tasks_.begin(), tasks_.end(), measured)) {
        result_.judged.push_back({.form = form, .hindcasts = std::vector<std::vector<Hindcast>>(count)});
      }
    }
    for_each_on_threads(count * result_.judged.size(), options_.threads, [&](size_t i) {
      JudgedForm& judged = result_.judged[i / count];
      if (is_usable(judged.form, i % count)) {
        judged.hindcasts[i % count] = hindcast_form(result_.splits, tasks_[i % count], judged.form);
      }
    });
    for (JudgedForm& judged : result_.judged) {
      std::vector<Hindcast> all;
      for (const auto& each : judged.hindcasts) all.insert(all.end(), each.begin(), each.end());
      judged.error = hindcast_error(all);
    }
    for (size_t t = 0; t < count; ++t) forms_.push_back(forms_of(t));
  }

  std::vector<SharedForm> forms_of(size_t t) {
    std::vector<bool> usable;
    for (const JudgedForm& judged : result_.judged) usable.push_back(is_usable(judged.form, t));
    std::vector<SharedForm> forms = weigh_forms(result_.judged, t, usable);
    if (forms.empty()) {
      const Feature feature = options_.feature.value_or(Feature::acc);
      throw UserError("[plan] too few rungs for {}: got {} runs with {}accuracy measured, want at least 4", name_of(t),
                      rungs_with(rungs_, result_.tasks[t], feature),
                      feature == Feature::acc ? "" : fmt::format("'{}' and ", feature_name(feature)));
    }
    for (const SharedForm& each : forms) {
      for (JudgedForm& judged : result_.judged) {
        if (judged.form == each.form) judged.share += each.share / static_cast<double>(tasks_.size());
      }
    }
    return forms;
  }

  void scale_by_hindcasts() {
    const size_t count = tasks_.size();
    std::vector<std::vector<Hindcast>> hindcasts(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      hindcasts[t] = hindcast_ensemble(result_.splits, tasks_[t], forms_[t], options_.coverage, kHindcastResamples,
                                       Rng(options_.seed, 0));
      advance(kHindcastResamples * result_.splits.size());
    });
    for (auto& each : hindcasts) result_.hindcasts.insert(result_.hindcasts.end(), each.begin(), each.end());
    result_.scale = interval_scale(result_.hindcasts, options_.coverage);
    result_.correlation = error_correlation(result_.hindcasts);
  }

  void predict_targets() {
    const std::vector<RunScale> candidates = next_candidates();
    std::vector<RunScale> at;
    for (const LadderTarget& target : result_.targets) at.push_back(target.scale);
    at.insert(at.end(), candidates.begin(), candidates.end());
    const size_t count = tasks_.size();
    std::vector<std::vector<std::vector<double>>> samples(count, std::vector<std::vector<double>>(at.size()));
    result_.curves.resize(count);
    for_each_on_threads(count, options_.threads, [&](size_t t) {
      result_.curves[t] = fit_ensemble(rungs_, tasks_[t], forms_[t]);
      const Rng rng(options_.seed, 1);  // the same for all tasks: they are resampled together
      for (size_t i = 0; i < options_.resamples; ++i) {
        const auto accuracies = resampled_accuracies(result_.curves[t], at, rng.split(i));
        for (size_t a = 0; a < at.size(); ++a) samples[t][a].push_back(accuracies[a]);
        advance(1);
      }
    });
    for (size_t t = 0; t < count; ++t) {
      result_.predictable.push_back(predictability(rungs_, tasks_[t], result_.curves[t].scatter, result_.hindcasts));
    }
    for (size_t i = 0; i < result_.targets.size(); ++i) {
      for (size_t t = 0; t < count; ++t) add_prediction(i, t, samples[t][i]);
      add_mean(i, samples);
    }
    choose_next(candidates, samples);
  }

  void add_prediction(size_t i, size_t t, const std::vector<double>& samples) {
    LadderPrediction& each = result_.predictions.emplace_back();
    const RunScale& at = result_.targets[i].scale;
    each.target = result_.targets[i].name;
    each.task = name_of(t);
    each.predicted = result_.curves[t].accuracy_at(at);
    if (!samples.empty()) {
      const ErrorSources sources = error_sources(result_.curves[t], at, each.predicted);
      const Spread spread = spread_of(samples, each.predicted, sources, options_.coverage, result_.scale);
      each.low = spread.low;
      each.high = spread.high;
    }
    add_actual(table_, result_.targets[i], result_.tasks[t], kLastCheckpoints, each);
  }

  /// The weighted mean over the tasks of target `i`, whose predictions were added last. Resamples are joint; the other
  /// errors have the correlation that the hindcasts show.
  void add_mean(size_t i, const std::vector<std::vector<std::vector<double>>>& samples) {
    const size_t count = result_.tasks.size(), first = result_.predictions.size() - count;
    LadderMean& mean = result_.means.emplace_back();
    mean.target = result_.targets[i].name;
    double actual = 0;
    ErrorSources sources;  // independent parts first
    double together_form = 0, together_noise = 0;
    std::vector<double> joint(options_.method == LadderMethod::best ? options_.resamples : 0);
    for (size_t t = 0; t < count; ++t) {
      const LadderPrediction& each = result_.predictions[first + t];
      const double weight = result_.weights[t];
      mean.predicted += weight * each.predicted;
      actual += weight * each.actual.value_or(kMissing);
      if (joint.empty()) continue;
      for (size_t s = 0; s < joint.size(); ++s) joint[s] += weight * samples[t][i][s];
      const ErrorSources own = error_sources(result_.curves[t], result_.targets[i].scale, each.predicted);
      sources.form += weight * weight * own.form * own.form;
      sources.noise += weight * weight * own.noise * own.noise;
      together_form += weight * own.form;
      together_noise += weight * own.noise;
    }
    if (!std::isnan(actual)) {
      mean.actual = actual;
      mean.abs_error_points = 100 * std::abs(mean.predicted - actual);
    }
    if (joint.empty()) return;
    const double rho = result_.correlation;
    sources.form = std::sqrt((1 - rho) * sources.form + rho * together_form * together_form);
    sources.noise = std::sqrt((1 - rho) * sources.noise + rho * together_noise * together_noise);
    const Spread spread = spread_of(std::move(joint), mean.predicted, sources, options_.coverage, result_.scale);
    mean.low = spread.low;
    mean.high = spread.high;
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
        const double noise = result_.curves[t].scatter;
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
  std::vector<LadderTask> tasks_;  // --method best only, as are their forms
  std::vector<std::vector<SharedForm>> forms_;
  size_t done_ = 0, total_ = 0;
  std::mutex guard_;
};

}  // namespace

double mean_accuracy(const LadderForecast& forecast, const RunScale& at) {
  double sum = 0;
  for (size_t t = 0; t < forecast.curves.size(); ++t) sum += forecast.weights[t] * forecast.curves[t].accuracy_at(at);
  return sum;
}

LadderForecast forecast_ladder(const LadderTable& table, const LadderOptions& options, const LadderProgress& progress) {
  check_ranges(table, options);
  if (options.single_step && options.method != LadderMethod::paper) {
    throw UserError("[plan] the single step is a variant of the paper's; want --method paper with it");
  }
  if (options.single_step && options.feature) {
    throw UserError("[plan] the single step goes straight to accuracy; got --feature {} with it, want none",
                    feature_name(*options.feature));
  }
  if (options.method == LadderMethod::paper && !(options.chance.empty() && options.ceiling.empty())) {
    throw UserError("[plan] the paper's fit takes no --chance and no --ceiling; want --method best with them");
  }
  check_coverage(options.coverage);
  if (options.resamples > kMostResamples) {
    throw UserError("[plan] resamples: got {}, want at most {}", options.resamples, kMostResamples);
  }
  return Forecaster(table, options, progress).run();
}

}  // namespace tessera::plan
