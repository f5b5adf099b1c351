// Envelope, line and doubling times; the paper's figures from the paper's inputs; dates.
#include "plan/density/trend.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"

namespace tessera::plan {
namespace {

using ::testing::ElementsAre;

TEST(Envelope, ContainsModelsThatWereDenserThanAllBefore) {
  const std::vector<TimedDensity> models = {{30, 1.0}, {0, 0.0}, {10, -1.0}, {20, 0.5}, {40, 1.0}, {50, 2.0}};
  EXPECT_THAT(upper_envelope(models), ElementsAre(1u, 3u, 0u, 5u));
}

TEST(Envelope, OnlyTheDensestModelOfADayCounts) {
  EXPECT_THAT(upper_envelope({{5, 1}, {5, 3}, {5, 2}}), ElementsAre(1u));
  EXPECT_TRUE(upper_envelope({}).empty());
}

TEST(Envelope, AModelBelowTheEnvelopeDoesNotChangeIt) {
  std::vector<TimedDensity> models = {{0, 0}, {100, 0.7}, {200, 1.4}};
  const TrendLine before = *fit_trend(models);
  models.push_back({150, 0.1});
  EXPECT_EQ(fit_trend(models)->slope, before.slope);
}

TEST(Trend, AnExactExponentialIsRecoveredInAnyOrderOfPoints) {
  std::vector<TimedDensity> models;
  for (const double t : {400.0, 0.0, 250.0, 730.0, 90.0}) models.push_back({t, 0.0073 * t - 2});
  const TrendLine line = *fit_trend(models);
  EXPECT_NEAR(line.slope, 0.0073, 1e-12);
  EXPECT_NEAR(line.intercept, -2, 1e-9);
  EXPECT_NEAR(line.r2, 1, 1e-12);
  EXPECT_NEAR(line.doubling_days(), 94.95, 0.01);
}

TEST(Trend, TooFewRecordsGiveNoTrend) {
  EXPECT_FALSE(fit_trend({{0, 0}, {1, 1}}));
  EXPECT_FALSE(fit_trend({{0, 0}, {1, -1}, {2, -2}, {3, -3}}));
}

TEST(QuantileTrend, TheRequestedShareOfModelsLiesBelow) {
  std::vector<TimedDensity> models;
  for (int i = 0; i < 100; ++i) models.push_back({10.0 * i, 0.004 * 10 * i + 0.01 * ((37 * i) % 100)});
  for (const double quantile : {0.5, 0.8, 0.9}) {
    const TrendLine line = *fit_quantile_trend(models, quantile);
    size_t below = 0;
    for (const TimedDensity& each : models) {
      below += each.log_density <= line.slope * each.day + line.intercept + 1e-12;
    }
    EXPECT_NEAR(static_cast<double>(below), 100 * quantile, 4);
    EXPECT_NEAR(line.slope, 0.004, 0.0003);
  }
}

TEST(QuantileTrend, AnOutlierAboveDoesNotMoveTheFrontierAsItMovesTheRecords) {
  std::vector<TimedDensity> models;
  for (int i = 0; i < 60; ++i) models.push_back({10.0 * i, 0.02 * i + 0.01 * (i % 7)});
  const double before = fit_quantile_trend(models, 0.8)->slope;
  models[58].log_density += 5;
  EXPECT_NEAR(fit_quantile_trend(models, 0.8)->slope, before, 0.1 * before);
  EXPECT_FALSE(fit_quantile_trend({{0, 0}, {1, 1}}, 0.9));
  EXPECT_FALSE(fit_quantile_trend(std::vector<TimedDensity>(20, {5, 1}), 0.9));
}

TEST(QuantileTrend, LaterModelsAreJudgedByLinesThatHaveNotSeenThem) {
  std::vector<TimedDensity> steady, faster;
  for (int i = 0; i < 80; ++i) {
    steady.push_back({10.0 * i, 0.02 * i + 0.01 * ((37 * i) % 80)});
    faster.push_back({10.0 * i, i < 40 ? 0.02 * i : 0.8 + 0.1 * (i - 39)});
  }
  const LaterCoverage held = later_coverage(steady, 0.8), broken = later_coverage(faster, 0.8);
  EXPECT_EQ(held.models, 40u);
  EXPECT_NEAR(static_cast<double>(held.below) / 40, 0.8, 0.12);
  EXPECT_LT(broken.below, 12u);
}

TEST(Prices, PricesOfThePaperGiveItsHalvingTime) {
  const PriceTrend trend = price_halving(parse_price("20@2022-12", "f"), parse_price("0.075@2024-08", "t"));
  EXPECT_NEAR(trend.factor, 266.7, 0.05);
  EXPECT_EQ(trend.days, 639);  // all of December 2022 to all of August 2024
  EXPECT_NEAR(trend.halving_months, 2.6, 0.01);
}

TEST(Prices, DensityAndChipsTogetherDoubleInThePapersEightyEightDays) {
  EXPECT_NEAR(combined_doubling(std::log(2.0) / 0.007, 2.1 * 365.25), 88, 0.5);
  EXPECT_NEAR(combined_doubling(100, 100), 50, 1e-12);
}

TEST(Prices, InvalidOrRisingPricesAreUserErrors) {
  for (const char* text :
       {"", "20", "20@", "@2022-12", "x@2022-12", "0@2022-12", "-1@2022-12", "20@2022-13", "inf@2022-12"})
    EXPECT_THROW(parse_price(text, "price-from"), UserError) << text;
  EXPECT_THROW(price_halving(parse_price("1@2022-12", "f"), parse_price("2@2023-12", "t")), UserError);
  EXPECT_THROW(price_halving(parse_price("2@2023-12-01", "f"), parse_price("1@2022-12-01", "t")), UserError);
}

TEST(Dates, AMonthMeansAllOfItsDays) {
  EXPECT_EQ(format_date(parse_date("2023-02-24")->first), "2023-02-24");
  const DateSpan month = *parse_date("2024-02");
  EXPECT_EQ(format_date(month.first), "2024-02-01");
  EXPECT_EQ(format_date(month.last), "2024-02-29");
  EXPECT_EQ(format_date(month.middle()), "2024-02-15");
  EXPECT_EQ(parse_date("1990-01-01")->first, 7305);
}

TEST(Dates, DatesThatDoNotExistAreRefused) {
  for (const char* text : {"", "2023", "2023-2-4", "24-02-2023", "2023/02/24", "2023-02-30", "2023-13", "2023-00-01",
                           "2023-01-00", "1889-01-01", "2023-02-24T00", "٢٠٢٣-٠٢"})
    EXPECT_FALSE(parse_date(text)) << text;
}

}  // namespace
}  // namespace tessera::plan
