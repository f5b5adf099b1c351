// The codec against its Python twin (tools/golden/codec_twin.py): pictures, bits, sums, gradients and ten losses.
#include <gtest/gtest.h>

#include "codec/objective.h"
#include "tests/golden/fixture.h"

namespace tessera::codec {
namespace {

using golden::expect_close;
using golden::Fixture;

constexpr double tolerance = 1e-4;

struct Twin {
  Fixture fixture{"codec"};
  Codec codec{fixture.config<CodecConfig>("config")};
  Twin() { fixture.fill(named_tensors(codec)); }
};

TEST(CodecGolden, LatentsAndPicturesEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Twin twin;
  const Tensor pictures = pictures_to_tensor(golden::images(twin.fixture["pictures"]), at::kCPU);
  expect_close(twin.codec.encode(pictures), twin.fixture["latents"], tolerance, "latents");
  expect_close(twin.codec.decode(twin.fixture.list("sums").back()), twin.fixture["decoded"], tolerance,
               "decoded pictures");
}

TEST(CodecGolden, BitsAndSumsEqualTheTwins) {
  const Twin twin;
  const auto expect_codes = [&](const std::vector<Tensor>& flips, const std::string& prefix) {
    const ResidualCodes codes = quantise(twin.fixture["latents"], twin.codec.scales(), flips);
    const std::vector<Tensor> bits = twin.fixture.list(prefix + "bits"), sums = twin.fixture.list(prefix + "sums");
    ASSERT_EQ(codes.bits.size(), bits.size());
    for (size_t k = 0; k < bits.size(); ++k) {
      EXPECT_TRUE(codes.bits[k].equal(bits[k])) << prefix << "bits of scale " << k;
      expect_close(codes.sums[k], sums[k], 1e-6, prefix + "sum of scale " + std::to_string(k));
    }
  };
  expect_codes({}, "");
  expect_codes(twin.fixture.list("flips"), "flipped_");
}

TEST(CodecGolden, LossAndGradientsEqualTheTwins) {
  const Twin twin;
  CodecObjective objective(twin.codec, twin.fixture.config<CodecTraining>("training"), {}, at::kCPU);
  std::vector<train::Parameter> parameters = objective.parameters();
  for (train::Parameter& p : parameters) p.tensor.requires_grad_(true);
  const train::Loss loss = objective.loss(golden::samples(twin.fixture["pictures"]), {.rng = Rng(5, 0)});
  for (const char* term : {"l1", "mse", "commitment", "entropy"}) {
    EXPECT_NEAR(loss.metrics.at(term), twin.fixture[std::string("terms.") + term].item<double>(), tolerance) << term;
  }
  loss.value.backward();
  twin.fixture.expect_gradients(parameters, tolerance);
}

TEST(CodecGolden, TenTrainingLossesEqualTheTwins) {
  const Twin twin;
  CodecObjective objective(twin.codec, twin.fixture.config<CodecTraining>("training"), {}, at::kCPU);
  expect_close(golden::ten_losses(objective, golden::samples(twin.fixture["pictures"]), 5), twin.fixture["losses"],
               tolerance, "losses");
}

}  // namespace
}  // namespace tessera::codec
