// The page of `tessera inspect RUN --report`: what was chosen as figures, the rest below, the recipe as a table.
#include <algorithm>

#include "apps/inspect.h"
#include "plan/report/report.h"

namespace tessera::apps {

namespace {

constexpr size_t most_points =
    500;  // of a curve on the page; more are averaged, and a band shows from where to where they went

plan::Figure figure_of(const MetricSeries& series) {
  using Kind = plan::Series::Kind;
  plan::Figure figure{.title = series.name, .x = {.label = "step"}, .y = {.label = series.name}};
  const ThinnedSeries thin = thinned(series, most_points);
  if (series.steps.size() > most_points) {
    figure.caption = fmt::format("The mean of about {} logged values each, and from the lowest to the highest of them.",
                                 (series.steps.size() + most_points / 2) / most_points);
    figure.series.push_back({.kind = Kind::band, .x = thin.steps, .low = thin.low, .high = thin.high});
  }
  figure.series.push_back({.kind = Kind::line, .x = thin.steps, .y = thin.mean});
  if (series.measured) figure.series.push_back({.kind = Kind::points, .x = thin.steps, .y = thin.mean});
  return figure;
}

std::vector<plan::Figure> figures_of(const std::vector<MetricSeries>& all) {
  std::vector<plan::Figure> figures;
  std::transform(all.begin(), all.end(), std::back_inserter(figures), figure_of);
  return figures;
}

plan::Table values_table(const std::vector<MetricSeries>& all) {
  plan::Table table{.header = {"metric", "last", "at step", "lowest", "at step", "highest", "at step"},
                    .numeric = {false, true, true, true, true, true, true}};
  for (const MetricSeries& series : all) {
    const auto [low, high] = std::minmax_element(series.values.begin(), series.values.end());
    std::vector<std::string> row = {series.name};
    for (const auto at : {series.values.end() - 1, low, high}) {
      row.push_back(fmt::format("{:.5g}", *at));
      row.push_back(fmt::format("{:.15g}", series.steps[static_cast<size_t>(at - series.values.begin())]));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

void add_settings(const Json& tree, const std::string& path, plan::Table& table) {
  for (const auto& [name, value] : tree.items()) {
    const std::string key = path.empty() ? name : path + "." + name;
    if (value.is_object()) add_settings(value, key, table);
    else table.rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
  }
}

}  // namespace

void write_run_report(const Json& report, const std::vector<MetricSeries>& chosen, const std::vector<MetricSeries>& all,
                      const Path& file) {
  const Json& checkpoints = report["checkpoints"];
  plan::Report page(report["path"].get<std::string>(), "A training run of Tessera");
  std::vector<std::pair<std::string, std::string>> facts = {
      {"steps logged", report["step"].dump()},
      {"last checkpoint", checkpoints.empty() ? "none" : checkpoints.back().dump()}};
  for (const MetricSeries& series : chosen) {
    if (facts.size() < 6) facts.emplace_back(series.name, fmt::format("{:.4g}", series.values.back()));
  }
  page.facts(facts);
  if (!chosen.empty()) page.figures({figure_of(chosen.front())});
  if (chosen.size() > 1) page.figures(figures_of({chosen.begin() + 1, chosen.end()}));

  std::vector<MetricSeries> others;
  std::copy_if(all.begin(), all.end(), std::back_inserter(others), [&](const MetricSeries& each) {
    return std::none_of(chosen.begin(), chosen.end(), [&](const auto& c) { return c.name == each.name; });
  });
  if (!others.empty()) {
    page.section("Logged beside it");
    page.figures(figures_of(others));
  }
  page.section("Values");
  page.table(values_table(all));
  plan::Table recipe{.header = {"setting", "value"}};
  add_settings(used_settings(report["recipe"]), "", recipe);
  if (!recipe.rows.empty()) {
    page.section("Recipe");
    page.table(recipe);
  }
  plan::write_report(page, file);
}

}  // namespace tessera::apps
