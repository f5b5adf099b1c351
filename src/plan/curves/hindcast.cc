// Which rungs are held out, and what their errors say.
#include "plan/curves/hindcast.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>

#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

constexpr size_t kFewestToLearn = 6, kFewestSizes = 2, kFewestLengths = 2;
constexpr double kLeastError = 0.003;  // below it errors say nothing of a form
constexpr double kLeastShare = 0.125;  // of the best form's
constexpr size_t kMostForms = 4;
constexpr double kLeastScale = 0.25, kMostScale = 3, kBlindScale = 1.4;
constexpr double kLeastRise = 3, kLeastSkill = 0.2;        // of a task that can be predicted
constexpr double kSplitsBelieved = 1;                      // of a ladder's scale being 1
constexpr double kCorrelation = 0.3, kGroupsBelieved = 6;  // of the errors of two tasks, on other ladders

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

namespace {

double baseline_of(const HindcastSplit& split, size_t task) {
  const LadderRun* largest = nullptr;
  for (const LadderRun* run : split.learn) {
    if (std::isnan(final_accuracy(*run, task))) continue;
    if (!largest || run->final_flops() > largest->final_flops()) largest = run;
  }
  return largest ? final_accuracy(*largest, task) : std::numeric_limits<double>::quiet_NaN();
}

/// Mean over splits of the mean squared error in each.
double mean_square(const std::vector<Hindcast>& hindcasts) {
  std::map<size_t, std::pair<double, double>> by_split;
  for (const Hindcast& each : hindcasts) {
    auto& [sum, count] = by_split[each.split];
    sum += (each.predicted - each.measured) * (each.predicted - each.measured);
    ++count;
  }
  double total = 0;
  for (const auto& [split, sum] : by_split) total += sum.first / sum.second / static_cast<double>(by_split.size());
  return by_split.empty() ? std::numeric_limits<double>::quiet_NaN() : total;
}

bool is_plain(const Form& form) { return !form.tied && form.emphasis == 0 && form.skip < 0.2; }

void normalise(std::vector<SharedForm>& forms) {
  double sum = 0;
  for (const SharedForm& each : forms) sum += each.share;
  for (SharedForm& each : forms) each.share /= sum;
}

}  // namespace

std::vector<Hindcast> hindcast_form(const std::vector<HindcastSplit>& splits, const LadderTask& task,
                                    const Form& form) {
  std::vector<Hindcast> all;
  for (size_t s = 0; s < splits.size(); ++s) {
    if (!has_feature(splits[s].learn, task.index, form.feature)) continue;
    const TaskEnsemble ensemble = fit_ensemble(splits[s].learn, task, {{form}});
    const double baseline = baseline_of(splits[s], task.index);
    for (const LadderRun* run : splits[s].predict) {
      const double measured = final_accuracy(*run, task.index);
      if (std::isnan(measured)) continue;
      all.push_back({s, task.index, run, ensemble.accuracy_at(final_scale(*run)), measured, baseline});
    }
  }
  return all;
}

std::vector<SharedForm> weigh_forms(const std::vector<JudgedForm>& judged, size_t task,
                                    const std::vector<bool>& usable) {
  std::vector<SharedForm> forms;
  for (size_t f = 0; f < judged.size(); ++f) {
    const double own = mean_square(judged[f].hindcasts[task]);
    if (!usable[f] || std::isnan(own)) continue;
    double all = 0, count = 0;
    for (const auto& each : judged[f].hindcasts) {
      const double square = mean_square(each);
      if (std::isnan(square)) continue;
      all += square;
      ++count;
    }
    const double error = (own + all / count) / 2 + kLeastError * kLeastError;
    forms.push_back({judged[f].form, 1 / (error * error)});
  }
  if (forms.empty()) {  // nothing to judge by
    const auto add = [&](const auto& wanted) {
      for (size_t f = 0; f < judged.size(); ++f) {
        if (usable[f] && is_plain(judged[f].form) && wanted(judged[f].form.feature)) forms.push_back({judged[f].form});
      }
    };
    add([](Feature feature) { return feature != Feature::ce && feature != Feature::acc; });
    if (forms.empty()) add([](Feature) { return true; });
    if (!forms.empty()) normalise(forms);
    return forms;
  }
  const auto is_better = [](const SharedForm& a, const SharedForm& b) { return a.share > b.share; };
  std::stable_sort(forms.begin(), forms.end(), is_better);
  const double least = kLeastShare * forms.front().share;
  std::erase_if(forms, [&](const SharedForm& each) { return each.share < least; });
  if (forms.size() > kMostForms) forms.resize(kMostForms);
  normalise(forms);
  return forms;
}

std::vector<Hindcast> hindcast_ensemble(const std::vector<HindcastSplit>& splits, const LadderTask& task,
                                        const std::vector<SharedForm>& forms, double coverage, size_t resamples,
                                        Rng rng) {
  std::vector<Hindcast> all;
  for (size_t s = 0; s < splits.size(); ++s) {
    const auto& predict = splits[s].predict;
    std::vector<SharedForm> measured_forms;
    for (const SharedForm& each : forms) {
      if (has_feature(splits[s].learn, task.index, each.form.feature)) measured_forms.push_back(each);
    }
    if (measured_forms.empty()) continue;
    normalise(measured_forms);
    const TaskEnsemble ensemble = fit_ensemble(splits[s].learn, task, measured_forms);
    std::vector<RunScale> at;
    for (const LadderRun* run : predict) at.push_back(final_scale(*run));
    std::vector<std::vector<double>> samples(at.size());
    for (size_t i = 0; i < resamples; ++i) {
      const auto accuracies = resampled_accuracies(ensemble, at, rng.split(s * resamples + i));
      for (size_t r = 0; r < at.size(); ++r) samples[r].push_back(accuracies[r]);
    }
    const double baseline = baseline_of(splits[s], task.index);
    for (size_t r = 0; r < at.size(); ++r) {
      const double measured = final_accuracy(*predict[r], task.index), point = ensemble.accuracy_at(at[r]);
      if (std::isnan(measured)) continue;
      const Spread spread = spread_of(std::move(samples[r]), point, error_sources(ensemble, at[r], point), coverage);
      all.push_back({s, task.index, predict[r], spread.point, measured, baseline, spread.low, spread.high});
    }
  }
  return all;
}

namespace {

/// The error in units of the half width on its side.
double standardised(const Hindcast& each) {
  const double away = each.measured - each.predicted;
  return away / std::max(away < 0 ? each.predicted - each.low : each.high - each.predicted, 1e-4);
}

}  // namespace

Predictability predictability(const Rungs& rungs, const LadderTask& task, double scatter,
                              const std::vector<Hindcast>& hindcasts) {
  std::vector<std::pair<double, double>> by_cost;
  for (const LadderRun* run : rungs) {
    const double accuracy = final_accuracy(*run, task.index);
    if (!std::isnan(accuracy)) by_cost.push_back({run->final_flops(), accuracy});
  }
  std::sort(by_cost.begin(), by_cost.end());
  const size_t third = std::max<size_t>(1, by_cost.size() / 3);
  double low = 0, high = 0;
  for (size_t i = 0; i < third && third <= by_cost.size(); ++i) {
    low += by_cost[i].second / static_cast<double>(third);
    high += by_cost[by_cost.size() - 1 - i].second / static_cast<double>(third);
  }
  Predictability result{.skill = std::numeric_limits<double>::quiet_NaN()};
  result.rise = (high - low) / (scatter * std::sqrt(2 / static_cast<double>(third)));
  double error = 0, still = 0;
  for (const Hindcast& each : hindcasts) {
    if (each.task != task.index || std::isnan(each.baseline)) continue;
    error += (each.predicted - each.measured) * (each.predicted - each.measured);
    still += (each.baseline - each.measured) * (each.baseline - each.measured);
  }
  if (still > 0) result.skill = 1 - error / still;
  if (result.rise < kLeastRise) {
    result.why = fmt::format("the dearest rungs are {:.1f} points {} the cheapest, which scatter by {:.1f}",
                             100 * std::abs(high - low), high < low ? "below" : "above", 100 * scatter);
  } else if (result.skill < kLeastSkill) {
    result.why = fmt::format("in hindcasts the forecast did {} than \"as the largest rung\" (skill {:.2f})",
                             result.skill < 0 ? "worse" : "hardly better", result.skill);
  }
  result.is_predictable = result.why.empty();
  return result;
}

double interval_scale(const std::vector<Hindcast>& hindcasts, double coverage) {
  if (hindcasts.empty()) return kBlindScale;
  std::map<size_t, double> counts;
  for (const Hindcast& each : hindcasts) ++counts[each.split];
  std::vector<std::pair<double, double>> needed;  // scale, weight
  for (const Hindcast& each : hindcasts) {
    needed.push_back({std::abs(standardised(each)), 1 / (counts[each.split] * static_cast<double>(counts.size()))});
  }
  std::sort(needed.begin(), needed.end());
  double covered = 0, scale = needed.back().first;
  for (const auto& [each, weight] : needed) {
    covered += weight;
    if (covered < coverage) continue;
    scale = each;
    break;
  }
  const auto splits = static_cast<double>(counts.size());
  const double trust = splits / (splits + kSplitsBelieved);
  return std::clamp(std::pow(std::max(scale, 1e-3), trust), kLeastScale, kMostScale);
}

double error_correlation(const std::vector<Hindcast>& hindcasts) {
  std::map<std::pair<size_t, const LadderRun*>, std::vector<double>> groups;
  double square = 0;
  for (const Hindcast& each : hindcasts) {
    const double error = std::clamp(standardised(each), -3.0, 3.0);
    groups[{each.split, each.run}].push_back(error);
    square += error * error / static_cast<double>(hindcasts.size());
  }
  double sum = 0, pairs = 0, seen = 0;
  for (const auto& [group, errors] : groups) {
    for (size_t i = 0; i < errors.size(); ++i) {
      for (size_t j = 0; j < i; ++j, ++pairs) sum += errors[i] * errors[j];
    }
    seen += errors.size() > 1;
  }
  const double found = pairs > 0 && square > 0 ? sum / pairs / square : 0;
  return std::clamp((seen * found + kGroupsBelieved * kCorrelation) / (seen + kGroupsBelieved), 0.0, 0.95);
}

}  // namespace tessera::plan
