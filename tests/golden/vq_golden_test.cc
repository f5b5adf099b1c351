// The VQ codec against its Python twin (tools/golden/vq_twin.py), from a checkpoint in the released layout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "codec/vq/objective.h"
#include "core/error.h"
#include "tests/golden/fixture.h"
#include "tests/support/scratch.h"

namespace tessera::vq {
namespace {

using golden::expect_close;
using golden::Fixture;

const Path released = Path(TESSERA_SOURCE_DIR) / "tests/golden/data/vq";
constexpr double tolerance = 1e-4;

TEST(VqGolden, FeaturesCodesAndPicturesEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Fixture fixture("vq");
  const VqCodec codec = load_vq(released, at::kCPU);
  const Tensor pictures = pictures_to_tensor(golden::images(fixture["pictures"]), at::kCPU);
  expect_close(codec.features(pictures), fixture["features"], tolerance, "features");
  EXPECT_TRUE(at::equal(codec.encode(pictures), fixture["codes"]));
  EXPECT_TRUE(at::equal(
      nearest_codes(fixture["features"].permute({0, 2, 3, 1}).reshape({-1, codec.config.code_width}), codec.codebook),
      fixture["codes"].flatten()));
  const Tensor decoded = codec.decode(fixture["codes"]);
  expect_close(decoded, fixture["decoded"], tolerance, "decoded pictures");
  EXPECT_EQ(tensor_to_pictures(fixture["decoded"]), golden::images(fixture["written"]));
}

TEST(VqGolden, TenTrainingLossesEqualTheTwins) {
  const Fixture fixture("vq");
  VqObjective objective({.codec = load_vq(released, at::kCPU), .training = fixture.config<VqTraining>("training")});
  expect_close(golden::ten_losses(objective, golden::samples(fixture["pictures"]), 5), fixture["losses"], tolerance,
               "losses");
}

TEST(VqGolden, ACheckpointOfOtherSizesThanItsYamlIsRefusedByTensor) {
  const tessera::testing::ScratchFolder scratch;
  std::filesystem::copy(released / "vqgan.ckpt", scratch / "vqgan.ckpt");
  std::string yaml = read_file(released / "vqgan.yaml");
  yaml.replace(yaml.find("n_embed: 48"), 11, "n_embed: 64");
  std::ofstream(scratch / "vqgan.yaml") << yaml;
  EXPECT_THAT([&] { load_vq(scratch.path(), at::kCPU); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("quantize.embedding.weight")));
}

}  // namespace
}  // namespace tessera::vq
