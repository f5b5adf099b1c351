// The Fréchet distance against what is known in closed form.
#include "eval/frechet.h"

#include <gtest/gtest.h>

#include <ATen/ops/diag.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/rng.h"
#include "media/compose.h"
#include "models/nvila/model_files.h"
#include "models/nvila/testing.h"
#include "tests/support/scratch.h"

namespace tessera::eval {
namespace {

Tensor noise(int64_t rows, int64_t columns, uint64_t seed) {
  Tensor all = at::zeros({rows, columns}, at::kDouble);
  Rng rng(seed);
  for (int64_t i = 0; i < all.numel(); ++i) all.mutable_data_ptr<double>()[i] = rng.uniform(-1, 1);
  return all;
}

TEST(Frechet, OfASetToItselfIsZero) {
  const Gaussian some = gaussian_of(noise(50, 8, 1));
  EXPECT_NEAR(frechet_distance(some, some), 0, 1e-9);
  const Gaussian flat = gaussian_of(noise(4, 8, 2));  // fewer rows than columns: the covariance is singular
  EXPECT_NEAR(frechet_distance(flat, flat), 0, 1e-7);
}

TEST(Frechet, OfGaussiansThatShareTheirAxesIsTheClosedForm) {
  // with C = R diag(s^2) R^T: |m1 - m2|^2 + sum (s1 - s2)^2
  const Tensor turn = std::get<0>(at::linalg_qr(noise(4, 4, 3)));
  const Tensor a = at::tensor({1.0, 2.0, 0.5, 3.0}), b = at::tensor({2.0, 2.0, 0.0, 1.0});
  const Tensor mean = at::tensor({1.0, 0.0, -2.0, 0.0});
  const Gaussian first{mean, turn.matmul(at::diag(a.square())).matmul(turn.t()), 10};
  const Gaussian second{at::zeros({4}, at::kDouble), turn.matmul(at::diag(b.square())).matmul(turn.t()), 10};
  const double want = 5 + (a - b).square().sum().item<double>();
  EXPECT_NEAR(frechet_distance(first, second), want, 1e-9);
  EXPECT_NEAR(frechet_distance(second, first), want, 1e-9);
}

TEST(Frechet, IsSymmetricAndDoesNotDependOnTheAxes) {
  const Tensor x = noise(60, 6, 4), y = noise(40, 6, 5) * 2 + 1;
  const double there = frechet_distance(gaussian_of(x), gaussian_of(y));
  EXPECT_NEAR(frechet_distance(gaussian_of(y), gaussian_of(x)), there, 1e-9 * there);
  const Tensor turn = std::get<0>(at::linalg_qr(noise(6, 6, 6)));
  EXPECT_NEAR(frechet_distance(gaussian_of(x.matmul(turn)), gaussian_of(y.matmul(turn))), there, 1e-9 * there);
}

TEST(Frechet, MeanAndCovarianceAreThoseOfTheRows) {
  const Gaussian g = gaussian_of(at::tensor({1.0, 2.0, 3.0, 6.0}).view({2, 2}));
  EXPECT_TRUE(g.mean.equal(at::tensor({2.0, 4.0}, at::kDouble)));
  EXPECT_TRUE(g.covariance.equal(at::tensor({2.0, 4.0, 4.0, 8.0}, at::kDouble).view({2, 2})));
  EXPECT_THROW(gaussian_of(at::ones({1, 3})), UserError);
  EXPECT_THROW(gaussian_of(at::full({2, 2}, std::numeric_limits<double>::quiet_NaN())), UserError);
}

TEST(Frechet, FeaturesComeInBatchesAndInOrder) {
  std::vector<int64_t> sizes;
  const Features widths = [&](const std::vector<Image>& pictures) {
    sizes.push_back(std::ssize(pictures));
    std::vector<double> rows;
    for (const Image& picture : pictures) rows.push_back(static_cast<double>(picture.width));
    return at::tensor(rows).unsqueeze(1);
  };
  const Tensor all = features_of(
      5, [](int64_t i) { return Image(i + 1, 1, 3); }, widths, 2);
  EXPECT_EQ(sizes, (std::vector<int64_t>{2, 2, 1}));
  EXPECT_TRUE(all.squeeze(1).to(at::kLong).equal(at::tensor({1, 2, 3, 4, 5}, at::kLong)));
}

TEST(Frechet, ATowersFeaturesAreMeansOverPlacesOfPicturesOnWhite) {
  const tessera::testing::ScratchFolder folder;
  const nvila::NvilaModel model = nvila::tiny_nvila();
  nvila::save_model(model, StoredAs::f32, folder / "tower", Path(TESSERA_SOURCE_DIR) / "tests/golden/data/nvila-flat");
  const Features features = model_features(folder / "tower", at::kCPU);
  const Image picture = nvila::noise_picture(1), wide = nvila::noise_picture(2, 50, 20, 4);
  const Tensor got = features({picture, wide});
  const Image sized = media::resize_bicubic(media::over(wide, media::white), 24, 24);
  const Tensor want = model.vision_tower.forward(nvila::normalised({picture, sized})).mean(1);
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LT((got - want).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace tessera::eval
