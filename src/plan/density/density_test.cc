// The densing law on made-up worlds whose constants are known, and on tables that are wrong.
#include "plan/density/density.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "core/json.h"
#include "plan/density/measure.h"
#include "plan/density/reference.h"

namespace tessera::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A world with known constants.
ReferenceCurve world() {
  return {{.log_a = std::log(40.0), .alpha = 0.22, .log_b = std::log(90.0), .beta = 0.25},
          {.c = 0.66, .gamma = -4.2, .l = 1.05, .d = 0.26}};
}

/// The paper's sizes, each at six numbers of tokens (section 4.1), on the curve exactly.
ReferencePoints exact_points(const ReferenceCurve& curve, bool with_loss) {
  ReferencePoints points{.task = "made_up"};
  for (const double n : {5.2e6, 31.5e6, 106e6, 245e6, 477e6, 828e6}) {
    for (const double per_parameter : {10, 15, 20, 30, 40, 60}) {
      const double d = n * per_parameter;
      points.models.push_back({"m", n, d, with_loss ? curve.loss.at(n, d) : kMissing, curve.at(n, d)});
    }
  }
  return points;
}

const char* const kFamily =
    "name,family,n_params,tokens,released,mmlu\n"
    "A-1B,A,1e9,1e12,2023-01-10,0.31\nA-3B,A,3e9,1e12,2023-01-10,0.39\nA-7B,A,7e9,1e12,2023-01-10,0.46\n"
    "A-30B,A,3e10,1.4e12,2023-01-10,0.58\nA-70B,A,7e10,1.4e12,2023-01-10,0.64\n";

const char* const kModels =
    "name,n_params,released,mmlu\n"
    "old,7e9,2023-02-24,0.40\nmid,7e9,2023-09-01,0.50\nnew,7e9,2024-03,0.58\nlate,4e9,2024-09-19,0.60\nweak,7e9,2024-"
    "09-20,0.35\n";

DensityResult densities_of(const std::string& models, const std::string& reference, DensityOptions options = {}) {
  options.draws = 60;
  return density(parse_models(models, "models.csv").models, parse_models(reference, "reference.csv"), options);
}

std::string fault_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no error";
}

std::string fault_in(const std::string& text) {
  return fault_of([&] { parse_models(text, "t.csv"); });
}

TEST(DensityTable, ANumberThatPythonWritesAndJsonLacksIsNamed) {
  EXPECT_THAT(fault_of([] { parse_models("[{\"name\": \"mine\", \"n_params\": 1.2e9,\n \"mmlu\": NaN}]", "m.json"); }),
              HasSubstr("m.json line 2: not valid JSON: NaN is no number that JSON has, want a number or null"));
}

TEST(ReferenceCurve, EffectiveSizeInvertsTheCurve) {
  const ReferenceCurve curve = world();
  for (double n = 1e6; n < 1e12; n *= 7) {
    for (const double d : {1e10, 1e12, 2e13}) {
      const EffectiveSize size = curve.effective_size(curve.at(n, d), d);
      ASSERT_TRUE(size);
      EXPECT_NEAR(std::exp(size.log_size) / n, 1, 1e-9);
    }
  }
}

TEST(ReferenceCurve, ScoresOffTheCurveHaveNoSizeButAReason) {
  const ReferenceCurve curve = world();
  const double endless = curve.score.at(curve.loss.data_term(1e12));
  EXPECT_EQ(curve.effective_size(0.26, 1e12).off, OffCurve::below_floor);
  EXPECT_EQ(curve.effective_size(0.92, 1e12).off, OffCurve::above_ceiling);
  EXPECT_EQ(curve.effective_size((endless + 0.92) / 2, 1e12).off, OffCurve::above_all_sizes);
  EXPECT_TRUE(curve.effective_size(endless - 1e-6, 1e12));
  EXPECT_THAT(off_curve_text(OffCurve::below_floor, curve, 1e12), HasSubstr("floor of 0.260"));
}

TEST(FitReference, ExactLossesAndScoresGiveConstantsAndEffectiveSizesBack) {
  const ReferenceFit fit = fit_reference(exact_points(world(), true), {.draws = 20});
  EXPECT_EQ(fit.figures.method, "two steps");
  EXPECT_NEAR(fit.curve.loss.alpha, 0.22, 1e-6);
  EXPECT_NEAR(fit.curve.loss.beta, 0.25, 1e-6);
  EXPECT_NEAR(fit.figures.a / 40, 1, 1e-6);
  EXPECT_NEAR(fit.figures.b / 90, 1, 1e-6);
  EXPECT_NEAR(fit.figures.gamma, -4.2, 1e-6);
  for (const double n : {1e9, 7e9, 7e10}) {
    const double score = world().at(n, 1e12);
    EXPECT_NEAR(std::exp(fit.curve.effective_size(score, 1e12).log_size) / n, 1, 1e-6);
    for (const auto& draw : fit.draws) EXPECT_NEAR(draw.effective_size(score, 1e12).log_size, std::log(n), 1e-3);
  }
}

TEST(FitReference, ExactScoresGiveEffectiveSizesBack) {
  const ReferenceFit fit = fit_reference(exact_points(world(), false), {.score_noise = 1e-9, .draws = 20});
  EXPECT_EQ(fit.figures.method, "scores only");
  for (const double n : {1e9, 7e9, 3e10}) {
    EXPECT_NEAR(std::exp(fit.curve.effective_size(world().at(n, 1e12), 1e12).log_size) / n, 1, 1e-6);
  }
}

TEST(FitReference, TheConstantOfTheLossIsFittedOnRequest) {
  ReferenceCurve curve = world();
  curve.loss.e = 0.3;
  const ReferenceFit with = fit_reference(exact_points(curve, true), {.loss_constant = true, .draws = 20});
  EXPECT_NEAR(with.curve.loss.e, 0.3, 1e-6);
  const ReferenceFit without = fit_reference(exact_points(curve, true), {.draws = 20});
  EXPECT_EQ(without.curve.loss.e, 0);
  EXPECT_GT(*without.figures.loss_rms, 100 * *without.figures.loss_rms_with_constant);
}

TEST(FitReference, EqualTokensForAllSizesWarnThatThePriorDecides) {
  ReferencePoints points = exact_points(world(), true);
  points.models.erase(
      std::remove_if(points.models.begin(), points.models.end(), [](const auto& m) { return m.d != 20 * m.n; }),
      points.models.end());
  for (auto& model : points.models) {
    model.d = 1e11;
    model.loss = world().loss.at(model.n, 1e11);
  }
  const ReferenceFit fit = fit_reference(points, {.draws = 20});
  EXPECT_THAT(fit.figures.warnings, ElementsAre(HasSubstr("rest on the prior")));
  EXPECT_TRUE(std::isfinite(fit.curve.effective_size(0.5, 1e12).log_size));
}

TEST(Density, AModelOnTheCurveHasDensityOneAndOneOfTwiceItsSizeHalfOfThat) {
  const ReferenceFit fit = fit_reference(exact_points(world(), true), {.draws = 20});
  ModelRow row{.name = "x", .n = 7e9, .tokens = 3e11, .scores = {{"made_up", world().at(7e9, 3e11)}}};
  const Measured one = measure(row, {fit}, parse_d0("own"), {});
  EXPECT_NEAR(*one.density.density, 1, 1e-6);
  row.n = 14e9;
  EXPECT_NEAR(*measure(row, {fit}, parse_d0("own"), {}).density.density, 0.5, 1e-6);
  EXPECT_NEAR(*measure(row, {fit}, parse_d0("0.3T"), {}).density.density, 0.5, 1e-6);
}

TEST(Density, TheOrderOfRowsDoesNotMatter) {
  const DensityResult straight = densities_of(kModels, kFamily);
  const DensityResult turned =
      densities_of("name,n_params,released,mmlu\nlate,4e9,2024-09-19,0.60\nold,7e9,2023-02-24,0.40\n",
                   "name,family,n_params,tokens,released,mmlu\n"
                   "A-70B,A,7e10,1.4e12,2023-01-10,0.64\nA-3B,A,3e9,1e12,2023-01-10,0.39\n"
                   "A-1B,A,1e9,1e12,2023-01-10,0.31\nA-30B,A,3e10,1.4e12,2023-01-10,0.58\n"
                   "A-7B,A,7e9,1e12,2023-01-10,0.46\n");
  EXPECT_NEAR(*straight.models[0].density, *turned.models[1].density, 1e-6);
  EXPECT_NEAR(*straight.models[3].density, *turned.models[0].density, 1e-6);
}

TEST(Density, IntervalsContainTheirDensityAndDependOnTheSeedAlone) {
  const DensityResult result = densities_of(kModels, kFamily, {.trend = true});
  for (const auto& model : result.models) {
    ASSERT_TRUE(model.density && model.interval.low) << model.name;
    EXPECT_LE(*model.interval.low, *model.density);
    EXPECT_GE(model.interval.high.value_or(1e9), *model.density);
  }
  EXPECT_EQ(result, densities_of(kModels, kFamily, {.trend = true}));
  EXPECT_NE(result, densities_of(kModels, kFamily, {.trend = true, .seed = 1}));
}

TEST(Density, AScoreOffTheCurveIsReportedPerModelAndIsNullInJson) {
  const DensityResult result =
      densities_of("name,n_params,mmlu\nbelow,1e9,0.2\nabove,1e9,0.999\nfine,1e9,0.4\n", kFamily);
  EXPECT_FALSE(result.models[0].density);
  EXPECT_THAT(result.models[0].note, HasSubstr("mmlu of 0.200 is at or below the curve's floor"));
  EXPECT_THAT(result.models[1].note, HasSubstr("mmlu of 0.999 is at or above the curve's ceiling"));
  EXPECT_TRUE(result.models[2].density);
  const Json json = to_json(result);
  EXPECT_TRUE(json["models"][0]["density"].is_null());
  EXPECT_EQ(json.dump().find("nan"), std::string::npos);
}

TEST(Density, TheTrendIsReportedWithEnvelopeFamiliesAndReach) {
  const DensityResult result = densities_of(kModels, kFamily, {.trend = true});
  ASSERT_TRUE(result.trend);
  EXPECT_EQ(result.trend->envelope, 4u);
  EXPECT_FALSE(result.models[4].on_envelope);
  EXPECT_GT(result.trend->slope_per_day, 0);
  EXPECT_NEAR(*result.trend->doubling_days, std::log(2.0) / result.trend->slope_per_day, 1e-9);
  EXPECT_EQ(result.families.size(), 1u);
  EXPECT_EQ(result.reaches.size(), 5u);
  EXPECT_EQ(result.models[2].released, "2024-03-15");
}

TEST(Density, LeaveOneOutPlacesEachReferenceModelOnACurveThatHasNotSeenIt) {
  const DensityResult result = densities_of(kModels, kFamily, {.leave_one_out = true});
  ASSERT_EQ(result.left_out.size(), 5u);
  for (const auto& left : result.left_out) EXPECT_TRUE(left.covers_one) << left.name;
}

TEST(Density, OptionsOutOfRangeAreRefused) {
  const auto with = [](DensityOptions options) {
    return fault_of([&] { density(parse_models(kModels, "m").models, parse_models(kFamily, "r"), options); });
  };
  EXPECT_EQ(with({.family = "B"}), "[plan] no family 'B' among the reference models; did you mean 'A'?");
  EXPECT_EQ(with({.tasks = {"mmul"}}), "[plan] r has no score 'mmul'; did you mean 'mmlu'?");
  EXPECT_THAT(with({.d0 = "1 T"}), HasSubstr("--d0 is '1 T', want a number of tokens such as 1e12 or 1T, or own"));
  EXPECT_THAT(with({.d0 = "-1"}), HasSubstr("--d0 is '-1'"));
  EXPECT_THAT(with({.d0 = "12"}), HasSubstr("--d0: got 12, want the full number of tokens"));
  EXPECT_THAT(with({.coverage = 80}), HasSubstr("coverage: got 80, want a share above 0 and at most 0.999"));
  EXPECT_THAT(with({.draws = 0}), HasSubstr("--draws is 0"));
  EXPECT_THAT(with({.reach = 0.5}), HasSubstr("--reach is 0.5"));
  EXPECT_THAT(with({.price_from = "20"}), HasSubstr("--price-from is '20', want a price above 0 and its time"));
  EXPECT_THAT(with({.price_from = "0.01@2022-12"}), HasSubstr("the price did not fall"));
}

TEST(Density, ReferencesThatDetermineNoCurveAreRefused) {
  const auto with = [](const std::string& reference) {
    return fault_of([&] { densities_of("name,n_params,mmlu\nx,1e9,0.4\n", reference); });
  };
  const std::string head = "name,n_params,tokens,mmlu\n";
  EXPECT_THAT(with(head + "a,1e9,1e12,0.4\nb,2e9,1e12,0.5\n"), HasSubstr("too few reference models"));
  EXPECT_THAT(with(head + "a,1e9,1e12,0.4\nb,1e9,1e12,0.5\nc,1e9,1e12,0.5\nd,1e9,1e12,0.6\n"),
              HasSubstr("column 'n_params' is constant"));
  EXPECT_THAT(with(head + "a,1e9,1e12,0.4\nb,2e9,1e12,0.4\nc,3e9,1e12,0.4\nd,4e9,1e12,0.4\n"),
              HasSubstr("the scores of 'mmlu' are constant: all 4 reference models have 0.4"));
  EXPECT_THAT(with(head + "a,1e9,,0.4\n"), HasSubstr("reference.csv line 2, column 'tokens': is empty"));
  EXPECT_THAT(with("name,n_params,tokens,bbh\na,1e9,1e12,0.3\nb,2e9,1e12,0.4\nc,3e9,1e12,0.5\nd,4e9,1e12,0.6\n"),
              HasSubstr("share no score"));
  EXPECT_THAT(with("name,n_params,tokens,mmlu,mmlu_loss\na,1e9,1e12,0.3,2\nb,2e9,1e12,0.4,2\nc,3e9,1e12,0.5,2\n"
                   "d,4e9,1e12,0.6,2\ne,5e9,1e12,0.62,2\n"),
              HasSubstr("the losses of 'mmlu' are constant"));
}

TEST(ReferencePoints, SparseCheckpointsOfALadderStandForThemselves) {
  std::string text = "run,role,n_params,tokens,mmlu_bpb,mmlu_acc\n";
  for (int run = 1; run <= 5; ++run) {
    for (int i = 1; i <= 4; ++i) {
      text += fmt::format("r{},train,{}e8,{}e9,{},{}\n", run, run, i * 25, 2.0 - 0.1 * i, 0.3 + 0.05 * i);
    }
  }
  const ModelTable table = parse_models(text, "ladder.csv");
  const ReferencePoints points = reference_points(families_of(table)[0], table, "mmlu");
  ASSERT_EQ(points.checkpoints.size(), 15u);  // without the first of each run
  for (size_t i = 0; i < 15; ++i) {           // the end of each run first
    EXPECT_NEAR(points.checkpoints[i].score, 0.5 - 0.05 * static_cast<double>(i % 3), 1e-12);
    EXPECT_NEAR(points.checkpoints[i].loss, 1.6 + 0.1 * static_cast<double>(i % 3), 1e-12);
  }
}

TEST(ModelTable, ErrorsInATableAreReportedWithLineAndColumn) {
  EXPECT_THAT(fault_in("nam,n_params,mmlu\nx,1e9,0.4\n"), HasSubstr("no column 'name'; the nearest is 'nam'"));
  EXPECT_THAT(fault_in("name,nparams,mmlu\nx,1e9,0.4\n"), HasSubstr("no column 'n_params'; the nearest is 'nparams'"));
  EXPECT_THAT(fault_in("name,n_params,relased,mmlu\nx,1e9,2023-01-01,0.4\n"),
              HasSubstr("no column 'released' but one named 'relased'"));
  EXPECT_THAT(fault_in("name,n_params,mmul\nx,1e9,0.4\n"), HasSubstr("no column 'mmlu' but one named 'mmul'"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,big,0.4\n"),
              HasSubstr("t.csv line 2, column 'n_params': got 'big', want a number"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,1e9,high\n"),
              HasSubstr("line 2, column 'mmlu': got 'high', want a number"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,-1,0.4\n"), HasSubstr("got -1, want a number above 0"));
  EXPECT_THAT(fault_in("name,n_params,tokens,mmlu\nx,1e9,0,0.4\n"), HasSubstr("column 'tokens': got 0"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,7,0.4\n"), HasSubstr("want the full number of parameters"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,1e30,0.4\n"), HasSubstr("got 1e+30, want at most 1e+18"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,1e9,40.2\n"), HasSubstr("percentages, divide by 100"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,1e9,-0.2\n"), HasSubstr("got -0.2, want a fraction in [0, 1]"));
  EXPECT_THAT(fault_in("name,n_params,mmlu,mmlu_loss\nx,1e9,0.4,-2\n"), HasSubstr("want a loss above 0"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\nx,1e9,0.4\nX,2e9,0.5\n"),
              HasSubstr("t.csv line 2 and t.csv line 3 are the same model"));
  EXPECT_THAT(fault_in("name,n_params,released,mmlu\nx,1e9,2023-02-30,0.4\n"),
              HasSubstr("got '2023-02-30', want a date"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\n"), HasSubstr("no rows"));
  EXPECT_THAT(fault_in("name,n_params\nx,1e9\n"), HasSubstr("has no score"));
  EXPECT_THAT(fault_in(""), HasSubstr("is empty"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\n\xff,1e9,0.4\n"), HasSubstr("line 2 is not UTF-8 text"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\n\x1b[2J,1e9,0.4\n"), HasSubstr("line 2 holds a control character"));
  EXPECT_THAT(fault_in("name,n_params,mmlu\n\"a\nb\",1e9,0.4\n"), HasSubstr("holds a line end"));
}

TEST(ModelTable, ByteOrderMarksMixedLineEndsAndRemarksAreRead) {
  const ModelTable table = parse_models(
      "\xEF\xBB\xBFname,n_params,mmlu,notes,colour\r\nx,1e9,0.4,\"a, b\",red\r\ny,2e9,,,\nz,3e9,0.5,,blue\r", "t");
  ASSERT_EQ(table.models.size(), 3u);
  EXPECT_TRUE(table.models[1].scores.empty());
  EXPECT_THAT(table.notes, ElementsAre(HasSubstr("'colour' holds text")));
  EXPECT_THAT(table.tasks, ElementsAre("mmlu"));
}

TEST(ModelTable, JsonOfEvalIsAModelWithItsResults) {
  const ModelTable table = parse_models(R"([{"name": "mine", "n_params": 1.2e9, "released": "2025-01-02", "mmlu": 0.41,
    "results": [{"task": "ARC-challenge", "accuracy": 0.5, "bits_per_byte": 0.75, "seed": 1}]}, {"model": "other",
    "n_params": 2000000000, "task": "mmlu", "accuracy": 0.3}, {"model": "other", "task": "bbh", "accuracy": 0.2}])",
                                        "t");
  ASSERT_EQ(table.models.size(), 2u);
  EXPECT_EQ(table.models[0].scores.at("arc_challenge"), 0.5);
  EXPECT_EQ(table.models[0].losses.at("arc_challenge"), 0.75);
  EXPECT_EQ(table.models[0].scores.at("mmlu"), 0.41);
  EXPECT_EQ(table.models[1].scores.size(), 2u);
  const ModelTable lines = parse_models(
      "{\"name\":\"a\",\"n_params\":1e9,\"mmlu\":0.4}\n{\"name\":\"b\",\"n_params\":1e9,\"mmlu\":0.5}\n", "t");
  EXPECT_EQ(lines.models.size(), 2u);
}

TEST(ModelTable, ErrorsInJsonAreReportedWithTheirPosition) {
  EXPECT_THAT(fault_in("{\"name\": \"x\", \"mmlu\": 0.4}"), HasSubstr("'x' has no n_params"));
  EXPECT_THAT(fault_in("{\"n_params\": 1e9, \"mmlu\": 0.4}"), HasSubstr("'name': is missing"));
  EXPECT_THAT(fault_in("{\"name\": \"x\", \"n_params\": 1e9}"), HasSubstr("has no score"));
  EXPECT_THAT(fault_in("{\"name\": \"x\", \"n_params\": \"1e9\", \"mmlu\": 0.4}"),
              HasSubstr("'n_params': got \"1e9\", want a number"));
  EXPECT_THAT(fault_in("{\"name\": \"x\", \"n_params\": 1e9, \"mmlu\": 41}"), HasSubstr("percentages"));
  EXPECT_THAT(fault_in("{\"name\": \"x\", \"n_params\": 1e9, \"results\": {}}"), HasSubstr("want a list"));
  EXPECT_THAT(fault_in("[3]"), HasSubstr("want an object"));
  EXPECT_THAT(fault_in("[]"), HasSubstr("holds no model"));
  EXPECT_THAT(fault_in("{\"name\": \"x\","), HasSubstr("t"));
}

TEST(ModelTable, ALadderTableIsReadAsItsRuns) {
  std::string text = "run,role,n_params,tokens,mmlu_bpb,mmlu_acc\n";
  for (int i = 1; i <= 9; ++i) text += fmt::format("r,train,1e8,{}e9,{},0.3\n", 100 + i, 2.0 - 0.1 * i);
  const ModelTable table = parse_models(text + "big,target,7e9,4e12,0.7,0.5\n", "ladder.csv");
  ASSERT_EQ(table.models.size(), 2u);
  EXPECT_EQ(table.models[0].tokens, 109e9);
  EXPECT_NEAR(table.models[0].losses.at("mmlu"), 1.3, 1e-12);  // the last five: 1.5 to 1.1
  EXPECT_EQ(families_of(table).size(), 1u);
  EXPECT_EQ(families_of(table)[0].models.size(), 1u);
}

}  // namespace
}  // namespace tessera::plan
