// The page's words and tables, from the answer down to the coefficients. Accuracies are percent with one decimal.
#include "plan/ladder/ladder_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "plan/ladder/ladder_figures.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

const std::string kNothing = "–";

std::string percent(const std::optional<double>& fraction) { return fraction ? plan::percent(*fraction) : kNothing; }
std::string times(double ratio) { return fmt::format("{:.{}f}×", ratio, ratio < 10 ? 1 : 0); }

std::string flops_text(double flops) { return short_number(std::stod(fmt::format("{:.2e}", flops))); }

std::string signed_points(double fraction) {
  return (fraction < 0 ? "−" : "+") + fmt::format("{:.1f}", 100 * std::abs(fraction));
}

/// Three decimals; of large ones, as A and B are, three digits.
std::string coefficient(double value) {
  if (!std::isfinite(value)) return kNothing;
  if (std::abs(value) < 10) return fmt::format("{:.3f}", value);
  const double rounded = std::stod(fmt::format("{:.2e}", value));
  return std::abs(value) < 1e6 ? fmt::format("{:g}", rounded) : short_number(rounded);
}

std::string size_and_tokens(const RunScale& at) {
  return fmt::format("{} parameters on {} tokens", short_number(at.params), short_number(at.tokens));
}

std::string listed(const std::vector<std::string>& names) {
  if (names.size() < 2) return names.empty() ? "" : names[0];
  return fmt::format("{} and {}", fmt::join(names.begin(), names.end() - 1, ", "), names.back());
}

std::string feature_words(Feature feature) {
  switch (feature) {
    case Feature::bpb:
      return "bits per byte of the right answer";
    case Feature::loss:
      return "language-model loss";
    case Feature::ce:
      return "cross entropy over the choices";
    case Feature::flops:
      return "loss from compute alone";
    case Feature::acc:
      return "accuracy itself, in one step";
  }
  return "";
}

/// Means over the tasks of one target, each weighing as in the forecast's mean.
struct Summary {
  size_t tasks = 0, measured = 0, covered = 0, intervals = 0;
  double error = 0, relative = 0, width = 0;
};

Summary summary_of(const LadderForecast& forecast, const LadderTarget& target) {
  Summary sum;
  double measured = 0;  // weight of the tasks that were
  for (const LadderPrediction& each : forecast.predictions) {
    if (each.target != target.name) continue;
    const double weight = forecast.weights[sum.tasks++];
    if (each.low) {
      ++sum.intervals;
      sum.width += weight * (*each.high - *each.low);
    }
    if (!each.actual) continue;
    ++sum.measured;
    measured += weight;
    sum.error += weight * *each.abs_error_points;
    sum.relative += weight * each.rel_error_percent.value_or(0);
    sum.covered += each.low && *each.low <= *each.actual && *each.actual <= *each.high;
  }
  if (sum.measured > 0) {
    sum.error /= measured;
    sum.relative /= measured;
  }
  return sum;
}

class Writer {
 public:
  explicit Writer(const LadderPage& page)
      : page_(page), forecast_(page.forecast), report_(title(page.forecast), subtitle(page)) {}

  Report written() {
    for (const LadderTarget& target : forecast_.targets) headline(target);
    method();
    for (const std::string& warning : forecast_.warnings) report_.note(warning);
    predictions();
    for (const Feature feature : used_features(forecast_)) losses(feature);
    for (const Feature feature : used_features(forecast_)) sigmoids(feature);
    hindcasts();
    rungs();
    coefficients();
    return std::move(report_);
  }

 private:
  static std::string title(const LadderForecast& forecast) {
    std::vector<std::string> names;
    for (const LadderTarget& target : forecast.targets) names.push_back(target.name);
    return fmt::format("Forecast for {}", listed(names));
  }

  static std::string subtitle(const LadderPage& page) {
    double spent = 0;
    for (const LadderRun* run : page.rungs) spent += run->final_flops();
    return fmt::format("{} accuracies, predicted from {} runs of up to {} parameters and {} FLOPs in all ({})",
                       page.forecast.tasks.size() * page.forecast.targets.size(), page.rungs.size(),
                       short_number((*std::max_element(page.rungs.begin(), page.rungs.end(),
                                                       [](auto* a, auto* b) { return a->params < b->params; }))
                                        ->params),
                       flops_text(spent), page.table.source);
  }

  const LadderMean& mean_of(const LadderTarget& target) const {
    return *std::find_if(forecast_.means.begin(), forecast_.means.end(),
                         [&](const LadderMean& mean) { return mean.target == target.name; });
  }

  void headline(const LadderTarget& target) {
    const Summary sum = summary_of(forecast_, target);
    report_.paragraph(
        fmt::format("{}: {}, {} FLOPs.", target.name, size_and_tokens(target.scale), flops_text(target.scale.flops)));
    std::vector<std::pair<std::string, std::string>> facts;
    const LadderMean& mean = mean_of(target);
    facts.push_back({fmt::format("mean accuracy of {} tasks, predicted", sum.tasks), percent(mean.predicted)});
    if (mean.low) {
      facts.push_back({fmt::format("its {} interval", level_text(page_.options.coverage)),
                       percent(mean.low) + " – " + percent(mean.high)});
    }
    if (sum.intervals > 0) {
      facts.push_back({fmt::format("mean width of the {} intervals", level_text(page_.options.coverage)),
                       fmt::format("{:.1f} points", 100 * sum.width)});
    }
    if (sum.measured > 0) {
      facts.push_back({"mean error, task by task", fmt::format("{:.1f} points", sum.error)});
      if (sum.intervals > 0) {
        facts.push_back({"intervals that hold what was measured", fmt::format("{} of {}", sum.covered, sum.measured)});
      }
    }
    facts.push_back(
        {"compute of the largest rung, times", times(target.scale.flops / largest_rung(page_.rungs).final_flops())});
    report_.facts(facts);
  }

  void method() {
    if (page_.options.method == LadderMethod::paper) {
      std::string text =
          page_.options.single_step
              ? "Each accuracy was fitted in one step as a function of model size and tokens, the ablation of the "
                "model ladder paper (arXiv 2412.04403)."
              : fmt::format(
                    "Each accuracy was predicted in two steps, as published in the model ladder paper (arXiv "
                    "2412.04403): a power law of {} gives the {}, and a sigmoid turns that into accuracy.",
                    uses(Feature::flops) ? "compute" : "model size and tokens",
                    feature_words(page_.options.feature.value_or(Feature::bpb)));
      report_.paragraph(text + " The published method has no intervals.");
      return;
    }
    report_.paragraph(fmt::format(
        "Each accuracy was predicted by several forms, most of them in two steps: power laws of model size and tokens "
        "give a loss, and a sigmoid turns the loss into accuracy. {} Mixed by {}: {}.",
        "The sigmoid's ceiling is believed to be 1 at no loss (the point (0, 1)), give or take a tenth, unless a "
        "ceiling was "
        "given; data near the ceiling may lower it.",
        forecast_.splits.empty() ? "equal shares, since the ladder is too small to be tested on itself"
                                 : "how well each predicted the ladder's own larger runs from its smaller ones",
        listed(form_words())));
    report_.paragraph(
        fmt::format("The intervals join what {} resamples of the runs say with the error of the form, which grows with "
                    "the way to the target, and the noise of measurement; they were scaled by {:.2f}{} and are meant "
                    "to hold {} of what will be measured.",
                    page_.options.resamples, forecast_.scale,
                    forecast_.splits.empty() ? " as a precaution" : " after what the hindcasts needed",
                    level_text(page_.options.coverage)));
  }

  bool uses(Feature feature) const {
    const auto used = used_features(forecast_);
    return std::find(used.begin(), used.end(), feature) != used.end();
  }

  static std::string described(const Form& form) {
    std::string words = feature_words(form.feature);
    if (form.tied) words += ", one exponent for size and tokens";
    if (form.emphasis > 0) words += ", larger rungs weighing more";
    if (form.feature != Feature::acc) words += fmt::format(", without the first {:.0f}% of each run", 100 * form.skip);
    return words;
  }

  std::vector<std::string> form_words() const {
    std::vector<std::string> words;
    for (const JudgedForm& each : forecast_.judged) {
      if (each.share >= 0.05) words.push_back(fmt::format("{} ({:.0f}%)", described(each.form), 100 * each.share));
    }
    return words;
  }

  void predictions() {
    report_.section("Predictions");
    Figure figure = prediction_figure(page_);
    const bool intervals = page_.options.method == LadderMethod::best;
    figure.caption =
        intervals ? fmt::format("Dots are predictions, bars their {} intervals", level_text(page_.options.coverage))
                  : "Dots are predictions";
    const bool measured = std::any_of(forecast_.predictions.begin(), forecast_.predictions.end(),
                                      [](const LadderPrediction& each) { return each.actual.has_value(); });
    figure.caption += measured ? "; rings are what the large run measured in the end, which no fit has seen." : ".";
    report_.figures({figure});
    for (const LadderTarget& target : forecast_.targets) report_.table(prediction_table(target, intervals));
  }

  Table prediction_table(const LadderTarget& target, bool intervals) const {
    const Summary sum = summary_of(forecast_, target);
    Table table{.header = {"task", "predicted"}, .numeric = {false, true, true, true, true, true}};
    if (intervals) table.header.push_back(level_text(page_.options.coverage) + " interval");
    if (sum.measured > 0) table.header.insert(table.header.end(), {"measured", "error, points", "relative error"});
    const auto add = [&](const std::string& name, double predicted, const std::string& interval,
                         const std::vector<std::string>& compared) {
      std::vector<std::string> row = {name, percent(predicted)};
      if (intervals) row.push_back(interval);
      if (sum.measured > 0) row.insert(row.end(), compared.begin(), compared.end());
      table.rows.push_back(std::move(row));
    };
    for (const LadderPrediction& each : forecast_.predictions) {
      if (each.target != target.name) continue;
      add(each.task, each.predicted, each.low ? percent(*each.low) + " – " + percent(*each.high) : kNothing,
          {percent(each.actual), each.actual ? signed_points(each.predicted - *each.actual) : kNothing,
           each.rel_error_percent ? fmt::format("{:.1f}%", *each.rel_error_percent) : kNothing});
    }
    const LadderMean& mean = mean_of(target);
    add("mean", mean.predicted, mean.low ? percent(mean.low) + " – " + percent(mean.high) : kNothing,
        {percent(mean.actual), fmt::format("{:.1f}", sum.error), fmt::format("{:.1f}%", sum.relative)});
    table.caption = fmt::format("{}, {}.", target.name, size_and_tokens(target.scale));
    if (sum.measured > 0) table.caption += " Errors are predicted less measured; their mean is taken without signs.";
    return table;
  }

  void losses(Feature feature) {
    std::vector<Figure> figures = loss_figures(page_, feature);
    report_.section(feature == Feature::loss    ? "Step 1: language-model loss"
                    : feature == Feature::flops ? "Step 1: from compute to loss"
                                                : "Step 1: from size and tokens to " + feature_words(feature));
    const std::string words =
        feature == Feature::flops
            ? "Dots are the ends of the rungs; one law of compute has to pass through all of them."
            : "Dots are the ends of the rungs, lines the fitted law at each size, dashed at the target's. Where dots "
              "leave their lines the law does not hold; the further a dashed line runs beyond them, the more is "
              "trusted to "
              "it.";
    if (figures.size() == 1) figures[0].caption = words;
    else report_.paragraph(words);
    report_.figures(figures);
  }

  void sigmoids(Feature feature) {
    std::vector<Figure> figures = sigmoid_figures(page_, feature);
    report_.section("Step 2: from " + feature_words(feature == Feature::flops ? Feature::bpb : feature) +
                    " to accuracy");
    report_.paragraph(
        "Grey dots are checkpoints of the rungs (smoothed and thinned), the line is the sigmoid through them. A "
        "target's dot lies on it at the loss that step 1 gives; accuracies far above the grey dots rest on the curve's "
        "shape "
        "alone.");
    report_.figures(figures);
  }

  void hindcasts() {
    if (forecast_.hindcasts.empty()) return;
    report_.section("Hindcasts: the ladder predicting itself");
    Figure figure = hindcast_figure(page_);
    figure.caption =
        "Each mark is one task of one run that was held back, with the interval that would have been told. On the "
        "dashed line a prediction is exact; above it, it promised too much.";
    report_.figures({figure});
    report_.table(split_table());
    report_.table(judged_table());
  }

  Table split_table() const {
    Table table{.header = {"ladder", "learned from", "predicted", "mean error, points", "inside the interval"},
                .numeric = {false, true, true, true, true},
                .caption =
                    "How well the chosen method did. An accuracy measured in a hindcast is uncertain itself; the "
                    "stretching of the intervals allows for that, this count does not."};
    for (size_t s = 0; s < forecast_.splits.size(); ++s) {
      double error = 0;
      size_t count = 0, inside = 0;
      for (const Hindcast& each : forecast_.hindcasts) {
        if (each.split != s) continue;
        ++count;
        error += std::abs(each.predicted - each.measured);
        inside += widened(each, forecast_.scale).holds;
      }
      if (count == 0) continue;
      const HindcastSplit& split = forecast_.splits[s];
      table.rows.push_back(
          {split.name, fmt::format("{} runs", split.learn.size()), fmt::format("{} runs", split.predict.size()),
           fmt::format("{:.1f}", 100 * error / static_cast<double>(count)), fmt::format("{} of {}", inside, count)});
    }
    return table;
  }

  Table judged_table() const {
    Table table{.header = {"form", "mean error, points", "share"},
                .numeric = {false, true, true},
                .caption = "What was tried alone in the hindcasts, and what it counts in the mean over the tasks.",
                .wrapped = true};
    for (const JudgedForm& each : forecast_.judged) {
      table.rows.push_back({described(each.form),
                            std::isnan(each.error) ? kNothing : fmt::format("{:.2f}", 100 * each.error),
                            each.share > 0 ? fmt::format("{:.0f}%", 100 * each.share) : kNothing});
    }
    return table;
  }

  void rungs() {
    report_.section("The ladder");
    Table table{
        .header = {"run", "parameters", "tokens", "FLOPs"},
        .numeric = {false, true, true, true},
        .caption = "The rungs that the fits learned from, and what each cost as a share of the target's compute."};
    if (page_.table.has_loss) table.header.push_back("final loss");
    for (const LadderTarget& target : forecast_.targets) table.header.push_back("share of " + target.name);
    table.numeric.resize(table.header.size(), true);
    double spent = 0;
    const auto add = [&](const std::string& name, const std::string& params, const std::string& tokens, double flops,
                         const std::string& loss) {
      std::vector<std::string> row = {name, params, tokens, flops_text(flops)};
      if (page_.table.has_loss) row.push_back(loss);
      for (const LadderTarget& target : forecast_.targets) {
        row.push_back(fmt::format("{:.2g}%", 100 * flops / target.scale.flops));
      }
      table.rows.push_back(std::move(row));
    };
    for (const LadderRun* run : page_.rungs) {
      const double loss = mean_at_end(run->tokens, run->loss);
      add(run->name, short_number(run->params), short_number(run->final_tokens()), run->final_flops(),
          std::isnan(loss) ? kNothing : fmt::format("{:.3f}", loss));
      spent += run->final_flops();
    }
    add("all", "", "", spent, "");
    report_.table(table);
  }

  void coefficients() {
    if (forecast_.curves.empty()) return;
    report_.section("Coefficients");
    Table table{.header = {"task", "loss", "A", "alpha", "B", "beta", "E", "a", "L0", "k", "b"},
                .numeric = {false, false, true, true, true, true, true, true, true, true, true},
                .caption =
                    "L(N, D) = A / N^alpha + B / D^beta + E (of compute alone: A / C^alpha + E), then acc(L) = a / "
                    "(1 + exp(-k (L - L0))) + b."};
    bool logarithmic = false;
    for (const TaskEnsemble& ensemble : forecast_.curves) {
      for (const TaskCurve& curve : ensemble.curves) {
        const auto& [law, sigmoid] = std::tie(curve.law, curve.sigmoid);
        const bool compute = curve.form.feature == Feature::flops;
        table.rows.push_back(
            {ensemble.task.name, std::string(feature_name(curve.form.feature)), coefficient(std::exp(law.log_a)),
             coefficient(law.alpha), compute ? kNothing : coefficient(std::exp(law.log_b)),
             compute ? kNothing : coefficient(law.beta), coefficient(law.e), coefficient(sigmoid.a),
             coefficient(sigmoid.l0), coefficient(sigmoid.k), sigmoid.logarithmic ? kNothing : coefficient(sigmoid.b)});
        logarithmic = logarithmic || sigmoid.logarithmic;
      }
    }
    if (logarithmic) table.caption += " Over the choices: acc(L) = 1 + a ln(1 + exp(k (L - L0))).";
    report_.table(table);
  }

  const LadderPage& page_;
  const LadderForecast& forecast_;
  Report report_;
};

}  // namespace

Report ladder_report(const LadderTable& table, const LadderOptions& options, const LadderForecast& forecast) {
  LadderPage page{table, options, forecast, chosen_rungs(table, options), {}};
  for (const LadderTarget& target : forecast.targets) {
    page.target_runs.push_back(table.find_target(target.scale.params, target.scale.tokens));
  }
  return Writer(page).written();
}

}  // namespace tessera::plan
