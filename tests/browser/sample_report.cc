// Writes a report with every kind of mark and axis from made-up runs, for report.mjs and for eyes.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "core/rng.h"
#include "plan/curves/curves.h"
#include "plan/report/report.h"

namespace {

using namespace tessera::plan;
using Kind = Series::Kind;

struct Size {
  const char* name;
  double params;
};
constexpr Size kSizes[] = {{"190M", 190e6}, {"370M", 371e6}, {"760M", 758e6}, {"1B", 1.28e9}};
const LossLaw kLaw{.log_a = 5.3, .alpha = 0.27, .log_b = 6.1, .beta = 0.3, .e = 1.8};
const Sigmoid kSigmoid{.a = -0.72, .l0 = 0.78, .k = 7.5, .b = 0.98};

double noise(tessera::Rng& rng, double size) { return size * (rng.uniform() + rng.uniform() + rng.uniform() - 1.5); }

Figure loss_figure() {
  Figure figure{.title = "Language-model loss and tokens",
                .caption =
                    "Each point is the end of a run; lines are the fitted law L(N, D). The last two points of the "
                    "1B runs were held out.",
                .x = {.label = "training tokens", .scale = Scale::log},
                .y = {.label = "loss (nats per token)", .scale = Scale::log}};
  tessera::Rng rng(7);
  for (int i = 0; i < 4; ++i) {
    const auto [name, params] = kSizes[i];
    Series points{.name = name, .colour = i}, line{.kind = Kind::line, .name = name, .colour = i};
    for (double d = 20 * params; d < 600 * params; d *= 1.7) {
      points.x.push_back(d);
      points.y.push_back(kLaw.at(params, d) * std::exp(noise(rng, 0.008)));
      points.tips.push_back(fmt::format("{} after {} tokens\nloss {:.3f}", name, short_number(d), points.y.back()));
    }
    for (double d = 2e9; d < 2e12; d *= 1.2) {
      line.x.push_back(d);
      line.y.push_back(kLaw.at(params, d));
    }
    figure.series.push_back(line);
    figure.series.push_back(points);
  }
  figure.rules = {{.vertical = true, .at = 4e12, .label = "target: 4T"}, {.at = kLaw.e, .label = "E = 1.80"}};
  return figure;
}

Figure task_figure(const std::string& task, uint64_t seed, double chance) {
  Figure figure{
      .title = task, .x = {.label = "bits per byte of the answer"}, .y = {.label = "accuracy", .percent = true}};
  tessera::Rng rng(seed);
  Series band{.kind = Kind::band, .name = "95% band", .colour = 0};
  Series curve{.kind = Kind::line, .name = "sigmoid", .colour = 0}, held{.name = "target", .colour = 1};
  Series points{.name = "checkpoints", .colour = Series::kNeutral};
  const Sigmoid law{.a = chance - 1, .l0 = 0.6 + 0.05 * static_cast<double>(seed % 5), .k = kSigmoid.k, .b = 0.99};
  for (double loss = 0.35; loss < 1.3; loss += 0.02) {
    const double at = law.at(loss);
    curve.x.push_back(loss);
    curve.y.push_back(at);
    band.x.push_back(loss);
    band.low.push_back(at - 0.03);
    band.high.push_back(at + 0.03);
    if (loss > 0.6) {
      points.x.push_back(loss);
      points.y.push_back(at + noise(rng, 0.03));
    }
  }
  held.x = {0.5};
  held.y = {law.at(0.5) + 0.01};
  held.tips = {"13B, 5T tokens <b>&\"quoted\"</b>"};
  figure.series = {band, curve, points, held};
  figure.rules = {{.at = chance, .label = "chance"}};
  return figure;
}

Figure prediction_figure() {
  Figure figure{.title = "Predicted and measured accuracy",
                .caption = "Bars are 80% intervals; on the dashed line a prediction is exact.",
                .x = {.label = "measured", .percent = true},
                .y = {.label = "predicted", .percent = true}};
  tessera::Rng rng(11);
  for (int size = 0; size < 2; ++size) {
    Series series{.kind = Kind::interval, .name = size == 0 ? "7B, 4T tokens" : "13B, 5T tokens", .colour = size};
    for (int task = 0; task < 8; ++task) {
      const double truth = 0.45 + 0.055 * task + 0.02 * size, error = noise(rng, 0.04);
      series.x.push_back(truth);
      series.y.push_back(truth + error);
      series.low.push_back(truth + error - 0.03);
      series.high.push_back(truth + error + 0.035);
    }
    figure.series.push_back(series);
  }
  figure.series.push_back({.kind = Kind::dashed, .colour = Series::kNeutral, .x = {0.42, 0.92}, .y = {0.42, 0.92}});
  return figure;
}

Figure trend_figure() {
  Figure figure{.title = "Capacity density over time",
                .caption = "Density is effective size over actual size; it doubles about every 3.4 months.",
                .x = {.label = "release", .scale = Scale::time},
                .y = {.label = "density", .scale = Scale::log}};
  tessera::Rng rng(5);
  Series models{.name = "open models", .colour = 0}, line{.kind = Kind::dashed, .name = "trend", .colour = 1};
  for (double day = 19400; day < 20150; day += 4 + 30 * rng.uniform()) {
    models.x.push_back(day);
    models.y.push_back(0.12 * std::exp(0.0067 * (day - 19400) + noise(rng, 0.9)));
    models.tips.push_back(fmt::format("model {}\ndensity {:.2f}", models.x.size(), models.y.back()));
  }
  line.x = {19400, 20200};
  line.y = {0.12, 0.12 * std::exp(0.0067 * 800)};
  models.x.push_back(19500);
  models.y.push_back(std::nan(""));
  models.tips.push_back("left out");
  figure.series = {models, line};
  figure.rules = {{.at = 1, .label = "reference model"}, {.vertical = true, .at = 19691.5, .label = "December 2023"}};
  return figure;
}

Report sample() {
  Report report("Ladder: a 13B model predicted from four small ones",
                "16 runs of 190M to 1.3B parameters; target 13B parameters, 5T tokens");
  report.facts({{"predicted mean accuracy", "71.4%"},
                {"80% interval", "69.8 – 73.1%"},
                {"mean error on held-out runs", "1.9 points"},
                {"compute of the ladder", "1.0% of the target"}});
  report.note(
      "2 of 8 tasks <BoolQ & \"Winogrande\"> are too noisy to predict at this size and were left out of the mean.");
  report.section("Step 1: from size and tokens to loss");
  report.paragraph(
      "The law L(N, D) = A / N^alpha + B / D^beta + E is fitted to the ends of the runs by a Huber loss on "
      "logarithms. Points on the lines mean that the law holds inside the ladder; the target lies far outside.");
  report.figures({loss_figure()});
  report.section("Step 2: from loss to accuracy");
  report.figures({task_figure("HellaSwag", 1, 0.25), task_figure("ARC-Challenge", 2, 0.25), task_figure("PIQA", 3, 0.5),
                  task_figure("CommonsenseQA", 4, 0.2), task_figure("MMLU", 5, 0.25),
                  task_figure("OpenBookQA", 6, 0.25)});
  report.section("Predictions");
  report.figures({prediction_figure(), trend_figure()});
  report.table({.header = {"task", "predicted", "interval", "measured", "error", "relative error"},
                .rows = {{"HellaSwag", "82.1%", "80.9 – 83.0%", "82.4%", "−0.3", "0.4%"},
                         {"ARC-Challenge", "61.0%", "57.2 – 64.4%", "58.9%", "2.1", "3.6%"},
                         {"PIQA <physical & \"social\">", "81.9%", "81.1 – 82.6%", "81.6%", "0.3", "0.4%"},
                         {"CommonsenseQA", "74.5%", "70.3 – 78.0%", "75.8%", "−1.3", "1.7%"},
                         {"MMLU", "49.7%", "46.8 – 53.1%", "51.5%", "−1.8", "3.5%"},
                         {"OpenBookQA", "47.2%", "44.0 – 50.1%", "49.8%", "−2.6", "5.2%"}},
                .numeric = {false, true, true, true, true, true},
                .caption = "Predictions and what the target reached"});
  return report;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return std::fputs("usage: tessera_sample_report PAGE.html\n", stderr), 2;
  write_report(sample(), words[1]);
  return 0;
}
