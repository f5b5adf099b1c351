// The curve around the optimum, the optimum's tasks, and the ladders that would have done.
#include "plan/ladder/ladder_report.h"

#include <fmt/format.h>

#include "plan/quantity.h"

namespace tessera::plan {

namespace {

Figure curve_figure(const Budget& budget) {
  Figure figure{
      .title = "Accuracy against size on this budget",
      .caption =
          "Every point spends the whole budget: a smaller model sees more tokens. Flat is good news: size can "
          "be chosen for other reasons.",
      .x = {.label = "non-embedding parameters", .scale = Scale::log},
      .y = {.label = "mean predicted accuracy", .percent = true}};
  Series line{.kind = Series::Kind::line, .name = "predicted"};
  for (const BudgetPoint& point : budget.curve) {
    line.x.push_back(point.params);
    line.y.push_back(point.accuracy);
  }
  Series best{.kind = Series::Kind::points, .name = "best", .colour = 1};
  best.x = {budget.best.params};
  best.y = {budget.best.accuracy};
  best.tips = {fmt::format("{} parameters, {} tokens: {}", short_number(budget.best.params),
                           short_number(budget.best.tokens), percent(budget.best.accuracy))};
  figure.series = {line, best};
  figure.rules = {{true, budget.smallest_as_good.params, "smallest as good"},
                  {true, budget.largest_as_good.params, "largest as good"}};
  return figure;
}

Figure ladder_figure(const BudgetOptions& options, const Budget& budget) {
  Figure figure{.title = "How small a ladder would have said the same",
                .caption =
                    "Each point is the part of the ladder up to a size and a length of training; deviation is from the "
                    "whole ladder's prediction, mean over the tasks.",
                .x = {.label = "cost, share of the training compute", .scale = Scale::log, .percent = true},
                .y = {.label = "deviation, points"}};
  Series points{.kind = Series::Kind::points, .name = "parts of the ladder"};
  for (const SubLadder& part : budget.ladders) {
    points.x.push_back(part.share);
    points.y.push_back(100 * part.deviation);
    points.tips.push_back(
        fmt::format("{} rungs up to {}, {} tokens per parameter: {:.2g}% of the compute, {:.2f} points", part.rungs,
                    short_number(part.max_params), short_number(part.max_tokens_per_param), 100 * part.share,
                    100 * part.deviation));
  }
  figure.series = {points};
  figure.rules = {{false, 100 * options.tolerance, "as good"}};
  return figure;
}

Table task_table(const Budget& budget, double coverage) {
  Table table{.header = {"task", "predicted", level_text(coverage) + " interval"}, .numeric = {false, true, true}};
  const auto interval = [](const auto& each) {
    return each.low ? percent(*each.low) + " – " + percent(*each.high) : std::string();
  };
  for (const LadderPrediction& each : budget.forecast.predictions) {
    table.rows.push_back({each.task, percent(each.predicted), interval(each)});
  }
  const LadderMean& mean = budget.forecast.means.front();
  table.rows.push_back({"mean", percent(mean.predicted), interval(mean)});
  return table;
}

}  // namespace

Report budget_report(const BudgetOptions& options, const Budget& budget) {
  Report report("What to train",
                fmt::format("A budget of {} FLOPs{}", short_number(options.flops),
                            options.inference_tokens > 0
                                ? fmt::format(", serving {} tokens included", short_number(options.inference_tokens))
                                : ""));
  report.facts({{"parameters", short_number(budget.best.params)},
                {"tokens", short_number(budget.best.tokens)},
                {"tokens per parameter", short_number(budget.best.tokens / budget.best.params)},
                {"mean accuracy", percent(budget.best.accuracy)}});
  for (const std::string& warning : budget.forecast.warnings) report.note(warning);
  report.section("The curve around the optimum");
  report.figures({curve_figure(budget)});
  report.section("Task by task at the optimum");
  report.table(task_table(budget, options.ladder.coverage));
  if (!budget.ladders.empty()) {
    report.section("The ladder's own cost");
    report.figures({ladder_figure(options, budget)});
  }
  return report;
}

}  // namespace tessera::plan
