// Which rungs are held out, and what their errors say.
#include "plan/curves/hindcast.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

constexpr size_t kFewestToLearn = 6, kFewestSizes = 2, kFewestLengths = 2;
constexpr double kTolerated = 1.25;      // of the best feature's error
constexpr double kClearlyBetter = 0.95;  // of the error of the form before
constexpr double kLeastWidening = 0.85, kMostWidening = 4, kBlindWidening = 1.5;

/// Tokens per parameter in steps of a tenth of the logarithm: 1x and 2x Chinchilla differ, 1.00x and 1.01x do not.
long length_of(const LadderRun& run) { return std::lround(10 * std::log(run.final_tokens() / run.params)); }

std::vector<double> sizes_of(const Rungs& rungs) {
  std::set<double> sizes;
  for (const LadderRun* run : rungs) sizes.insert(run->params);
  return {sizes.begin(), sizes.end()};
}

std::vector<long> lengths_of(const Rungs& rungs) {
  std::set<long> lengths;
  for (const LadderRun* run : rungs) lengths.insert(length_of(*run));
  return {lengths.begin(), lengths.end()};
}

template <class Keep> Rungs chosen(const Rungs& rungs, const Keep& keep) {
  Rungs kept;
  std::copy_if(rungs.begin(), rungs.end(), std::back_inserter(kept), keep);
  return kept;
}

bool can_learn(const Rungs& rungs) {
  return rungs.size() >= kFewestToLearn && sizes_of(rungs).size() >= kFewestSizes &&
         lengths_of(rungs).size() >= kFewestLengths;
}

/// The two longest runs of each size in `rungs`.
Rungs longest_two(const Rungs& rungs) {
  std::map<double, Rungs> by_size;
  for (const LadderRun* run : rungs) by_size[run->params].push_back(run);
  Rungs kept;
  for (auto& [size, runs] : by_size) {
    std::sort(runs.begin(), runs.end(), [](auto* a, auto* b) { return a->final_tokens() > b->final_tokens(); });
    kept.insert(kept.end(), runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(2, runs.size())));
  }
  return kept;
}

/// Expected distance of one measured accuracy from the recipe's average: checkpoints and runs scatter.
double measured_error(const TaskEnsemble& ensemble, const LadderRun& run) {
  double scatter = 0;
  for (const TaskCurve& curve : ensemble.curves) {
    scatter += curve.accuracy_scatter(final_scale(run)) / static_cast<double>(ensemble.curves.size());
  }
  return std::hypot(scatter, final_accuracy_error(run, ensemble.task));
}

/// Quantile of the rungs' training compute.
double compute_quantile(const Rungs& rungs, double share) {
  std::vector<double> flops;
  for (const LadderRun* run : rungs) flops.push_back(run->final_flops());
  return quantile(flops, share);
}

}  // namespace

std::vector<HindcastSplit> hindcast_splits(const Rungs& rungs) {
  std::vector<HindcastSplit> splits;
  const auto add = [&](const char* name, Rungs learn, Rungs predict) {
    if (can_learn(learn) && !predict.empty()) splits.push_back({name, std::move(learn), std::move(predict)});
  };
  const std::vector<double> sizes = sizes_of(rungs);
  const std::vector<long> lengths = lengths_of(rungs);
  if (sizes.size() < 2 || lengths.size() < 2) return splits;
  const double largest = sizes.back(), second = sizes[sizes.size() - 2];
  const long longest = lengths.back(), middle = lengths[(lengths.size() - 1) / 2];
  const auto is_below = [](double size) { return [size](const LadderRun* run) { return run->params < size; }; };
  const auto is_from = [](double size) { return [size](const LadderRun* run) { return run->params >= size; }; };
  add("without the largest size", chosen(rungs, is_below(largest)), longest_two(chosen(rungs, is_from(largest))));
  add("without the two largest sizes", chosen(rungs, is_below(second)), longest_two(chosen(rungs, is_from(second))));
  add("without the largest size and the longest runs",
      chosen(rungs, [&](const LadderRun* run) { return run->params < largest && length_of(*run) < longest; }),
      chosen(rungs, [&](const LadderRun* run) { return run->params == largest && length_of(*run) == longest; }));
  add("without long runs", chosen(rungs, [&](const LadderRun* run) { return length_of(*run) <= middle; }),
      chosen(rungs, [&](const LadderRun* run) { return run->params >= second && length_of(*run) == longest; }));
  const double cheap = compute_quantile(rungs, 0.5), dear = compute_quantile(rungs, 0.75);
  add("from the cheaper half", chosen(rungs, [&](const LadderRun* run) { return run->final_flops() < cheap; }),
      chosen(rungs, [&](const LadderRun* run) { return run->final_flops() > dear; }));
  return splits;
}

double hindcast_error(const std::vector<Hindcast>& hindcasts) {
  std::map<size_t, std::pair<double, double>> by_split;
  for (const Hindcast& each : hindcasts) {
    auto& [sum, count] = by_split[each.split];
    sum += std::abs(each.predicted - each.measured);
    ++count;
  }
  double total = 0;
  for (const auto& [split, sum] : by_split) total += sum.first / sum.second;
  return by_split.empty() ? std::numeric_limits<double>::quiet_NaN() : total / static_cast<double>(by_split.size());
}

std::vector<Hindcast> hindcast_form(const std::vector<HindcastSplit>& splits, size_t task, const std::string& name,
                                    const Form& form) {
  std::vector<Hindcast> all;
  for (size_t s = 0; s < splits.size(); ++s) {
    if (!has_feature(splits[s].learn, task, form.feature)) continue;
    const TaskCurve curve = fit_robust_curve(splits[s].learn, task, name, form);
    for (const LadderRun* run : splits[s].predict) {
      const double measured = final_accuracy(*run, task);
      if (!std::isnan(measured)) all.push_back({s, task, run, curve.accuracy_at(final_scale(*run)), measured});
    }
  }
  return all;
}

std::vector<Form> choose_forms(const std::vector<JudgedForm>& judged) {
  std::vector<JudgedForm> best;  // one per feature
  for (const JudgedForm& each : judged) {
    const auto same = [&](const JudgedForm& other) { return other.form.feature == each.form.feature; };
    const auto found = std::find_if(best.begin(), best.end(), same);
    if (found == best.end()) best.push_back(each);
    else if (each.error < kClearlyBetter * found->error) *found = each;
  }
  double least = std::numeric_limits<double>::infinity();
  for (const JudgedForm& each : best) {
    if (!std::isnan(each.error)) least = std::min(least, each.error);
  }
  std::vector<Form> kept;
  for (const JudgedForm& each : best) {
    const bool unjudged = std::isinf(least) && each.form.feature != Feature::ce;
    if (unjudged || each.error <= kTolerated * least) kept.push_back(each.form);
  }
  if (kept.empty() && !best.empty()) kept.push_back(best.front().form);
  return kept;
}

std::vector<Hindcast> hindcast_ensemble(const std::vector<HindcastSplit>& splits, size_t task, const std::string& name,
                                        const std::vector<Form>& forms, double coverage, size_t resamples, Rng rng) {
  std::vector<Hindcast> all;
  for (size_t s = 0; s < splits.size(); ++s) {
    const auto& [split_name, learn, predict] = splits[s];
    const Rungs& rungs = learn;
    const auto lacks = [&](const Form& form) { return !has_feature(rungs, task, form.feature); };
    if (std::any_of(forms.begin(), forms.end(), lacks)) continue;
    const TaskEnsemble ensemble = fit_ensemble(learn, task, name, forms);
    std::vector<RunScale> at;
    for (const LadderRun* run : predict) at.push_back(final_scale(*run));
    std::vector<std::vector<double>> samples(at.size());
    for (size_t i = 0; i < resamples; ++i) {
      const auto accuracies = resampled_accuracies(ensemble, learn, at, rng.split(s * resamples + i));
      for (size_t r = 0; r < at.size(); ++r) samples[r].push_back(accuracies[r]);
    }
    for (size_t r = 0; r < at.size(); ++r) {
      const double measured = final_accuracy(*predict[r], task);
      if (std::isnan(measured)) continue;
      const Spread spread = spread_of(std::move(samples[r]), ensemble.accuracy_at(at[r]), coverage);
      all.push_back({s, task, predict[r], spread.point, measured, spread.low, spread.high,
                     measured_error(ensemble, *predict[r])});
    }
  }
  return all;
}

double widening(const std::vector<Hindcast>& hindcasts, double coverage) {
  if (hindcasts.empty()) return kBlindWidening;
  const double tail = normal_tail(coverage);
  std::map<size_t, double> counts;
  for (const Hindcast& each : hindcasts) ++counts[each.split];
  std::vector<std::pair<double, double>> needed;  // stretch, weight
  for (const Hindcast& each : hindcasts) {
    const double away = each.measured - each.predicted;
    const double reach = away < 0 ? each.predicted - each.low : each.high - each.predicted;
    needed.push_back({std::abs(away) / std::max(std::hypot(reach, tail * each.noise), 1e-4),
                      1 / (counts[each.split] * static_cast<double>(counts.size()))});
  }
  std::sort(needed.begin(), needed.end());
  double covered = 0;
  for (const auto& [stretch, weight] : needed) {
    covered += weight;
    if (covered >= coverage) return std::clamp(stretch, kLeastWidening, kMostWidening);
  }
  return kMostWidening;
}

}  // namespace tessera::plan
