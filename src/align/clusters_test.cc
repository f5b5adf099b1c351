// k-means by laws: groups that are apart are found, every row has its nearest centre, and nothing depends on how rows are read.
#include "align/clusters.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

#include <set>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

class KMeans : public ::testing::Test {
 protected:
  FeatureFile file_of(const Tensor& rows, const std::string& name = "f") const {
    FeatureWriter writer(scratch_ / name, rows.size(1));
    writer.add(rows.slice(0, 0, rows.size(0) / 2));
    writer.add(rows.slice(0, rows.size(0) / 2));
    writer.finish();
    return FeatureFile(scratch_ / name);
  }
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(KMeans, GroupsThatAreFarApartAreFound) {
  at::manual_seed(1);
  const Tensor centres = at::randn({5, 8}) * 20;
  const Tensor rows = centres.repeat_interleave(40, 0) + at::randn({200, 8}) * 0.1;
  const FeatureFile file = file_of(rows);
  double best = 1e9;
  for (uint64_t seed = 1; seed <= 8; ++seed)
    best = std::min(best, k_means(file, {.clusters = 5, .iterations = 20, .seed = seed}).distance);
  EXPECT_NEAR(best, 8 * 0.01, 0.02);
}

TEST_F(KMeans, EveryRowHasItsNearestCentreWhateverThePieces) {
  at::manual_seed(2);
  const Tensor rows = at::randn({301, 6});
  const FeatureFile file = file_of(rows);
  const Clusters whole = k_means(file, {.clusters = 17, .iterations = 6, .piece = 1000});
  const Clusters pieces = k_means(file, {.clusters = 17, .iterations = 6, .piece = 7});
  EXPECT_TRUE(at::allclose(whole.centres, pieces.centres, 1e-4, 1e-5));
  const Tensor distances = (rows.unsqueeze(1) - whole.centres.unsqueeze(0)).square().sum(-1);
  const Tensor least = std::get<0>(distances.min(1));
  for (int64_t i = 0; i < 301; ++i)
    EXPECT_NEAR(distances[i][whole.cluster[static_cast<size_t>(i)]].item<float>(), least[i].item<float>(), 1e-4);
  EXPECT_EQ(std::set<int32_t>(whole.cluster.begin(), whole.cluster.end()).size(), 17u) << "no cluster is empty";
}

TEST_F(KMeans, DistanceNeverGrows) {
  at::manual_seed(3);
  const FeatureFile file = file_of(at::randn({400, 4}));
  double before = 1e9;
  k_means(file, {.clusters = 12, .iterations = 8, .on_iteration = [&](int64_t, double distance) {
                   EXPECT_LE(distance, before + 1e-6);
                   before = distance;
                 }});
}

TEST_F(KMeans, WhatIsNoFeatureFileIsRefused) {
  const FeatureFile file = file_of(at::ones({3, 2}));
  EXPECT_THROW(k_means(file, {.clusters = 4}), UserError);
  write_file_atomically(scratch_ / "x", "not features at all, but long enough");
  EXPECT_THROW(FeatureFile(scratch_ / "x"), UserError);
  write_file_atomically(scratch_ / "cut", read_file(scratch_ / "f").substr(0, 21));
  EXPECT_THROW(FeatureFile(scratch_ / "cut"), UserError);
  { FeatureWriter unfinished(scratch_ / "none", 2); }
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "none"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "none.partial"));
}

}  // namespace
}  // namespace tessera::align
