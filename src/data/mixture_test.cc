// The promise of a mixture: each row of a part exactly once a pass, shares that come out right, and a schedule that can start anywhere.
#include "data/mixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/rng.h"

namespace tessera::data {
namespace {

/// `rows` rows, in a file's order; sample i of part "a" has the caption "a3" and the picture_id 3 when row 3 is shown.
class Rows final : public SampleSource {
 public:
  Rows(std::string name, uint64_t rows) : name_(std::move(name)), rows_(rows) {}
  Sample at(uint64_t index) const override {
    return {.caption = name_ + std::to_string(index % rows_), .picture_id = index % rows_};
  }
  std::optional<uint64_t> pass_length() const override { return rows_; }

 private:
  std::string name_;
  uint64_t rows_;
};

Mixture mixture(const std::vector<double>& weights, uint64_t rows = 97) {
  std::vector<WeightedSource> parts;
  for (const double weight : weights) {
    parts.push_back({weight, std::make_unique<Rows>(std::string(1, static_cast<char>('a' + parts.size())), rows)});
  }
  return Mixture(std::move(parts));
}

const std::vector<std::vector<double>> two_and_three = {
    {1, 1}, {3, 1}, {0.37, 0.63}, {1e-3, 7}, {1, 1, 1}, {0.5, 0.42, 0.08}, {5, 1, 3}, {2.718, 3.142, 0.577}};

TEST(Mixture, EachPassOfAPartShowsEachOfItsRowsOnce) {
  constexpr uint64_t rows = 97, samples = 5000;
  for (const auto& weights : two_and_three) {
    const Mixture mixed = mixture(weights, rows);
    std::vector<std::vector<std::string>> shown(weights.size());
    for (uint64_t i = 0; i < samples; ++i) {
      const std::string caption = mixed.at(i).caption;
      shown[static_cast<size_t>(caption[0] - 'a')].push_back(caption);
    }
    for (size_t part = 0; part < weights.size(); ++part) {
      for (size_t i = 0; i < shown[part].size(); ++i) {
        EXPECT_EQ(shown[part][i], std::string(1, static_cast<char>('a' + part)) + std::to_string(i % rows))
            << ::testing::PrintToString(weights);
      }
    }
  }
}

TEST(Mixture, SharesComeOutRightToWithinOneSampleAtAnyTime) {
  for (const auto& weights : two_and_three) {
    const Mixture mixed = mixture(weights);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<double> counts(weights.size());
    for (uint64_t i = 0; i < 5000; ++i) {
      ++counts[mixed.place_of(i).part];
      for (size_t part = 0; part < weights.size(); ++part) {
        EXPECT_LE(std::abs(counts[part] - static_cast<double>(i + 1) * weights[part] / total), 1)
            << ::testing::PrintToString(weights) << " after " << i + 1;
      }
    }
  }
}

TEST(Mixture, OfAnyNumberOfPartsEachIsCountedInOrderAndNeverTwoSamplesOff) {
  Rng rng(3);
  for (int trial = 0; trial < 30; ++trial) {
    std::vector<double> weights(1 + rng.below(9));
    for (double& weight : weights) weight = std::exp(rng.uniform(-3, 3));
    const Mixture mixed = mixture(weights);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<uint64_t> counts(weights.size());
    for (uint64_t i = 0; i < 2000; ++i) {
      const Mixture::Place place = mixed.place_of(i);
      ASSERT_EQ(place.index, counts[place.part]++);
      for (size_t part = 0; part < weights.size(); ++part) {
        const double want = static_cast<double>(i + 1) * weights[part] / total;
        ASSERT_LT(std::abs(static_cast<double>(counts[part]) - want), 2);
      }
    }
  }
}

TEST(Mixture, ARunResumesAtAnySampleAndFarOut) {
  for (const auto& weights : two_and_three) {
    const Mixture begun = mixture(weights), resumed = mixture(weights);
    for (uint64_t i = 0; i < 600; ++i) begun.at(i);
    for (const uint64_t i : {uint64_t{1}, uint64_t{599}, uint64_t{17}, uint64_t{0}})
      EXPECT_EQ(resumed.at(i).caption, begun.at(i).caption);
    const uint64_t far = 100'000'000'000;  // more samples than any run sees
    for (uint64_t i = far; i < far + 50; ++i) {
      const Mixture::Place place = begun.place_of(i), next = begun.place_of(i + 1);
      EXPECT_TRUE(next.part != place.part || next.index == place.index + 1);
    }
  }
}

TEST(Mixture, PicturesOfTwoPartsAreNeverTakenForOneAnother) {
  const Mixture mixed = mixture({1, 1});
  std::set<uint64_t> ids;
  for (uint64_t i = 0; i < 2 * 97; ++i) ids.insert(mixed.at(i).picture_id.value());
  EXPECT_EQ(ids.size(), 2u * 97);
}

TEST(Mixture, WeightsThatAreNoSharesAreRefused) {
  EXPECT_THROW(mixture({}), UserError);
  for (const double weight : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THROW(mixture({1, weight}), UserError) << weight;
}

}  // namespace
}  // namespace tessera::data
