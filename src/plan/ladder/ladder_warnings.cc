// Warnings about a ladder, one line each.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/ranges.h>

#include "plan/ladder/ladder.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

constexpr double kFar = 10;           // times the compute or the length of the rungs
constexpr double kOffInScatters = 5;  // of the other rungs
constexpr double kLeastOff = 0.02;    // of the loss
constexpr double kNoisyShare = 0.1;   // scatter of the last checkpoints over the range that the ladder spans
constexpr double kWide = 0.08;        // a wider interval of accuracy is not robust yet
constexpr size_t kLastForNoise = 10;
constexpr size_t kMostLines = 25;      // then tasks that cannot be predicted are named in one line
constexpr double kNearCeiling = 0.75;  // an accuracy from which on the ceiling matters
constexpr double kOutside = 0.02;      // of a given range, which noise alone does not explain

using Warnings = std::vector<std::string>;

/// Rungs whose losses are far from the law in at least half of the tasks.
void warn_of_bad_rungs(const Rungs& rungs, const LadderForecast& forecast, Warnings& warnings) {
  std::map<const LadderRun*, std::pair<size_t, double>> off;  // tasks, largest deviation
  for (const TaskEnsemble& ensemble : forecast.curves) {
    const TaskCurve& curve = ensemble.curves.front();
    if (curve.form.feature == Feature::flops || curve.direct) continue;  // compute alone leaves every rung off
    for (const LadderRun* run : rungs) {
      const double loss = final_loss(*run, ensemble.task.index, curve.form.feature);
      const double away = std::isnan(loss) ? 0 : loss / curve.loss_at(final_scale(*run)) - 1;
      if (std::abs(away) < std::max(kLeastOff, kOffInScatters * curve.scatter)) continue;
      auto& [tasks, most] = off[run];
      ++tasks;
      if (std::abs(away) > std::abs(most)) most = away;
    }
  }
  for (const LadderRun* run : rungs) {
    const auto found = off.find(run);
    if (found == off.end() || 2 * found->second.first < forecast.curves.size()) continue;
    warnings.push_back(
        fmt::format("rung '{}' is off: up to {:+.1f}% from the law of the others, in {} of {} tasks; check it "
                    "or leave it out",
                    run->name, 100 * found->second.second, found->second.first, forecast.curves.size()));
  }
}

/// Size and tokens must vary apart from each other, or their exponents cannot be separated.
void warn_of_design(const Rungs& rungs, Warnings& warnings) {
  std::set<long> sizes, tokens, lengths;
  const auto step = [](double value) { return std::lround(10 * std::log(value)); };
  for (const LadderRun* run : rungs) {
    sizes.insert(step(run->params));
    tokens.insert(step(run->final_tokens()));
    lengths.insert(step(run->final_tokens() / run->params));
  }
  const char* why = nullptr;
  if (sizes.size() == 1) why = "all rungs have one size, so the effect of size is unknown";
  else if (tokens.size() == 1) why = "all rungs share one number of tokens, so the effect of tokens is unknown";
  else if (lengths.size() == 1)
    why = "tokens grow in step with size in all rungs, so their effects cannot be separated";
  if (why) warnings.push_back(fmt::format("N and D are not separable: {}; add rungs of other lengths and sizes", why));
}

/// What the rungs span, of compute or of tokens per parameter.
struct Span {
  double least = INFINITY, most = 0;

  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

void warn_of_distance(const Rungs& rungs, const LadderForecast& forecast, Warnings& warnings) {
  Span flops, lengths;
  for (const LadderRun* run : rungs) {
    flops.add(run->final_flops());
    lengths.add(run->final_tokens() / run->params);
  }
  for (const LadderTarget& target : forecast.targets) {
    const double more = target.scale.flops / flops.most, less = target.scale.flops / flops.least;
    if (more > kFar) {
      warnings.push_back(fmt::format("target {} is far away: {:.3g} times the compute of the largest rung (beyond {}x)",
                                     target.name, more, kFar));
    } else if (less < 1 / kFar) {
      warnings.push_back(fmt::format(
          "target {} is far below the ladder: {:.3g} times the compute of the smallest rung (less than 1/{})",
          target.name, less, kFar));
    }
    const double length = target.scale.tokens / target.scale.params;
    if (length <= kFar * lengths.most && length >= lengths.least / kFar) continue;
    warnings.push_back(fmt::format(
        "target {} has {:.3g} tokens per parameter, the rungs have {:.3g} to {:.3g}: what so {} a training is worth is "
        "the law's form and not the data's",
        target.name, length, lengths.least, lengths.most, length > lengths.most ? "long" : "short"));
  }
}

void warn_of_bounds(const LadderForecast& forecast, Warnings& warnings) {
  for (const TaskEnsemble& ensemble : forecast.curves) {
    for (const TaskCurve& curve : ensemble.curves) {
      std::vector<std::string> names = curve.on_bound;
      std::erase(names, "b");  // the ceiling of one is where many tasks belong
      if (names.empty()) continue;
      std::string text = fmt::format("{}: the fit on {} ended on a bound ({}); the data do not determine it",
                                     ensemble.task.name, feature_name(curve.form.feature), fmt::join(names, ", "));
      if (warnings.empty() || warnings.back() != text) warnings.push_back(std::move(text));  // forms of one feature
    }
  }
}

/// Tasks of which hindcasts or the rungs' own rise say that a forecast is worth little.
void warn_of_unpredictable(const LadderTable& table, const LadderForecast& forecast, Warnings& warnings) {
  std::vector<std::string> more;
  for (size_t t = 0; t < forecast.predictable.size(); ++t) {
    const Predictability& each = forecast.predictable[t];
    if (each.is_predictable) continue;
    const std::string& name = table.tasks[forecast.tasks[t]];
    if (warnings.size() < kMostLines) {
      warnings.push_back(fmt::format("{}: not predictable from this ladder: {}", name, each.why));
    } else {
      more.push_back(name);
    }
  }
  if (!more.empty()) {
    warnings.push_back(fmt::format("not predictable from this ladder either: {}", fmt::join(more, ", ")));
  }
}

/// Where evaluations are few, final values are single measurements; where a run's end was not evaluated, it has none.
void warn_of_sparse_evaluations(const Rungs& rungs, const LadderForecast& forecast, Warnings& warnings) {
  size_t single = 0, several = 0, no_end = 0;
  std::string example;
  for (const LadderRun* run : rungs) {
    size_t near_end = 0, measured = 0;
    for (const size_t task : forecast.tasks) {
      size_t own = 0, all = 0;
      for (size_t i = 0; i < run->tokens.size(); ++i) {
        if (std::isnan(run->tasks[task].acc[i])) continue;
        ++all;
        own += run->tokens[i] > (1 - kReach) * run->final_tokens();
      }
      near_end = std::max(near_end, own);
      measured = std::max(measured, all);
    }
    several += measured > 1;
    single += measured > 1 && near_end == 1;
    if (measured == 0 || near_end > 0) continue;
    if (no_end++ == 0) example = run->name;
  }
  if (single > 0) {
    warnings.push_back(
        fmt::format("{} of {} runs have one evaluation in the last tenth of their tokens: their final "
                    "accuracies are single measurements, not averages",
                    single, std::max(single, several)));
  }
  if (no_end > 0) {
    warnings.push_back(
        fmt::format("{} runs have no evaluation in the last tenth of their tokens and no final accuracy, "
                    "'{}' among them",
                    no_end, example));
  }
}

/// The rungs' final accuracies of a task.
Span accuracies_of(const Rungs& rungs, size_t task) {
  Span accuracies;
  for (const LadderRun* run : rungs) {
    const double accuracy = final_accuracy(*run, task);
    if (!std::isnan(accuracy)) accuracies.add(accuracy);
  }
  return accuracies;
}

/// A chance level or a ceiling that a rung leaves by more than its noise was given by mistake.
void warn_of_given_ranges(const Rungs& rungs, const LadderOptions& options, const LadderForecast& forecast,
                          Warnings& warnings) {
  for (const TaskEnsemble& ensemble : forecast.curves) {
    const auto& name = ensemble.task.name;
    const Span reached = accuracies_of(rungs, ensemble.task.index);
    const auto ceiling = options.ceiling.find(name), chance = options.chance.find(name);
    if (ceiling != options.ceiling.end() && reached.most > ceiling->second + kOutside) {
      warnings.push_back(fmt::format("a rung scores {:.1f} on {}, above its given ceiling of {:.1f}",
                                     100 * reached.most, name, 100 * ceiling->second));
    }
    if (chance != options.chance.end() && reached.least < chance->second - kOutside) {
      warnings.push_back(fmt::format("a rung scores {:.1f} on {}, below its given chance level of {:.1f}",
                                     100 * reached.least, name, 100 * chance->second));
    }
  }
}

/// The ceiling is an assumption where no rung comes near it and the forecast does.
void warn_of_ceiling(const Rungs& rungs, const LadderOptions& options, const LadderForecast& forecast,
                     Warnings& warnings) {
  std::set<std::string> names;
  for (const TaskEnsemble& ensemble : forecast.curves) {
    if (options.method == LadderMethod::paper || options.ceiling.count(ensemble.task.name)) continue;
    const double reached = accuracies_of(rungs, ensemble.task.index).most;
    for (const LadderPrediction& each : forecast.predictions) {
      if (each.task == ensemble.task.name && each.predicted > kNearCeiling && reached < kNearCeiling)
        names.insert(each.task);
    }
  }
  if (names.empty()) return;
  warnings.push_back(
      fmt::format("no rung shows the ceiling of {}: it is taken to be 1 at no loss, give or take a tenth; "
                  "--ceiling says it where it is known",
                  fmt::join(names, ", ")));
}

void warn_of_noise(const LadderTable& table, const Rungs& rungs, const LadderForecast& forecast, Warnings& warnings) {
  const LadderRun& largest = largest_rung(rungs);
  for (const size_t task : forecast.tasks) {
    double mean = 0, square = 0, count = 0;
    const Span reached = accuracies_of(rungs, task);
    const double spanned = std::max(0.0, reached.most - reached.least);
    const auto& series = largest.tasks[task].acc;
    const double near_end = (1 - kReach) * largest.final_tokens();  // before it accuracies rise, which is no noise
    for (size_t i = series.size(); i-- > 0 && count < kLastForNoise && largest.tokens[i] > near_end;) {
      if (!std::isnan(series[i])) {
        mean += series[i];
        square += series[i] * series[i];
        ++count;
      }
    }
    if (count < 3) continue;
    mean /= count;
    const double scatter = std::sqrt(std::max(0.0, square / count - mean * mean) * count / (count - 1));
    if (scatter < kNoisyShare * std::max(spanned, 1e-9)) continue;
    warnings.push_back(
        fmt::format("{} is noisy: over its last {} checkpoints the largest rung scatters by {:.1f} points, "
                    "the whole ladder spans {:.1f}",
                    table.tasks[task], count, 100 * scatter, 100 * spanned));
  }
}

void warn_of_width(const LadderOptions& options, const LadderForecast& forecast, Warnings& warnings) {
  for (const LadderTarget& target : forecast.targets) {
    size_t wide = 0, tasks = 0;
    double mean = 0;
    for (const LadderPrediction& each : forecast.predictions) {
      if (each.target != target.name || !each.low) continue;
      ++tasks;
      mean += *each.high - *each.low;
      wide += *each.high - *each.low > kWide;
    }
    if (tasks == 0 || wide == 0) continue;
    std::string text = fmt::format(
        "not robust yet: {} intervals of {} are {:.1f} points wide on average, wider than "
        "{:.0f} in {} of {} tasks",
        level_text(options.coverage), target.name, 100 * mean / static_cast<double>(tasks), 100 * kWide, wide, tasks);
    if (&target == &forecast.targets.front() && forecast.next) {
      const RunScale& next = forecast.next->scale;
      text += fmt::format(
          "; most would be gained by a rung of {} parameters on {} tokens ({:.2g} FLOPs, {:.2g}% of the "
          "target): intervals about {:.0f}% narrower",
          short_number(next.params), short_number(next.tokens), next.flops, 100 * next.flops / target.scale.flops,
          100 * forecast.next->narrowing);
    }
    warnings.push_back(text);
  }
}

}  // namespace

std::vector<std::string> ladder_warnings(const LadderTable& table, const Rungs& rungs, const LadderOptions& options,
                                         const LadderForecast& forecast) {
  Warnings warnings = table.notes;
  warn_of_design(rungs, warnings);
  warn_of_bad_rungs(rungs, forecast, warnings);
  warn_of_distance(rungs, forecast, warnings);
  warn_of_bounds(forecast, warnings);
  warn_of_sparse_evaluations(rungs, forecast, warnings);
  warn_of_ceiling(rungs, options, forecast, warnings);
  warn_of_given_ranges(rungs, options, forecast, warnings);
  warn_of_noise(table, rungs, forecast, warnings);
  warn_of_unpredictable(table, forecast, warnings);
  warn_of_width(options, forecast, warnings);
  return warnings;
}

}  // namespace tessera::plan
