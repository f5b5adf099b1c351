// AutoAWQ's layout as another program packs it (tools/golden/awq_twin.py).
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/packed/awq_layout.h"
#include "tests/golden/fixture.h"

namespace tessera::nn {
namespace {

TEST(AwqGolden, UnpacksToTheSameWeightsAndPacksToTheSameWords) {
  const golden::Fixture fixture("awq");
  for (const auto& [name, group] : {std::pair{"small", 8}, {"wide", 128}, {"tall", 64}}) {
    const auto part = [&](const char* which) { return fixture[std::string(name) + "." + which]; };
    const Int4Weight weight = from_awq({part("qweight"), part("qzeros"), part("scales")}, group);
    EXPECT_TRUE(at::equal(weight.unpack(), part("weight"))) << name;
    const AwqTensors again = to_awq(weight);
    EXPECT_TRUE(at::equal(again.qweight, part("qweight"))) << name;
    EXPECT_TRUE(at::equal(again.qzeros, part("qzeros"))) << name;
    EXPECT_TRUE(at::equal(again.scales, part("scales"))) << name;
  }
}

}  // namespace
}  // namespace tessera::nn
