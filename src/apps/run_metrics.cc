// A line that says how many samples were seen was logged along the way; any other is an evaluation's.
#include "apps/run_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <sstream>

#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"

namespace tessera::apps {

namespace {

constexpr double largest_step = 1e15, largest_value = 1e300;  // beyond these nobody measured anything

bool counts_the_run(const std::string& name) { return name == "step" || name == "samples" || name == "seconds"; }

/// By steps; of several values at one step the last stays, as a run that was resumed writes them again.
void put_in_order(MetricSeries& series) {
  std::map<double, double> by_step;
  for (size_t i = 0; i < series.steps.size(); ++i) by_step[series.steps[i]] = series.values[i];
  series.steps.clear();
  series.values.clear();
  for (const auto& [step, value] : by_step) {
    series.steps.push_back(step);
    series.values.push_back(value);
  }
}

int rank(const MetricSeries& series) { return series.name == "loss" ? 0 : series.measured ? 1 : 2; }

}  // namespace

std::vector<MetricSeries> read_metrics(const Path& file) {
  std::vector<MetricSeries> all;
  std::map<std::string, size_t> places;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) continue;
    const auto step = entry.find("step");
    if (step == entry.end() || !step->is_number()) continue;
    const double at = step->get<double>();
    if (!(at >= 0 && at <= largest_step)) continue;
    for (const auto& [name, value] : entry.items()) {
      if (counts_the_run(name) || !value.is_number() || !(std::fabs(value.get<double>()) <= largest_value)) continue;
      const auto [place, is_new] = places.try_emplace(name, all.size());
      if (is_new) all.push_back({.name = name, .measured = !entry.contains("samples")});
      all[place->second].steps.push_back(at);
      all[place->second].values.push_back(value.get<double>());
    }
  }
  for (MetricSeries& series : all) put_in_order(series);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return all;
}

std::vector<MetricSeries> choose_metrics(const std::vector<MetricSeries>& all, const std::vector<std::string>& names) {
  std::vector<MetricSeries> chosen;
  if (names.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen), [](const auto& s) { return rank(s) < 2; });
    return chosen;
  }
  for (const std::string& name : names) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.name == name; });
    if (found == all.end()) {
      std::vector<std::string> known;
      for (const MetricSeries& series : all) known.push_back(series.name);
      throw UserError("[inspect] this run has no metric '{}'; did you mean '{}'?", name, nearest_word(name, known));
    }
    chosen.push_back(*found);
  }
  return chosen;
}

ThinnedSeries thinned(const MetricSeries& series, size_t most) {
  ThinnedSeries thin;
  const size_t count = series.steps.size(), parts = std::min(std::max<size_t>(most, 1), count);
  for (size_t part = 0; part < parts; ++part) {
    const auto begin = static_cast<std::ptrdiff_t>(part * count / parts);
    const auto end = static_cast<std::ptrdiff_t>((part + 1) * count / parts);
    const auto mean_of = [&](const std::vector<double>& list) {
      return std::accumulate(list.begin() + begin, list.begin() + end, 0.0) / static_cast<double>(end - begin);
    };
    const auto [low, high] = std::minmax_element(series.values.begin() + begin, series.values.begin() + end);
    thin.steps.push_back(mean_of(series.steps));
    thin.mean.push_back(mean_of(series.values));
    thin.low.push_back(*low);
    thin.high.push_back(*high);
  }
  return thin;
}

}  // namespace tessera::apps
