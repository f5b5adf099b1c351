// The published sizes: parameters as printed, and every preset through JSON and back.
#include "models/infinity/config.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "models/infinity/module.h"
#include "tensor/build.h"

namespace tessera::infinity {
namespace {

TEST(InfinityPresets, HaveThePublishedNumberOfParameters) {
  const BuildDevice meta(at::kMeta);
  for (const Preset& p : presets()) {
    Infinity model(p.config);
    EXPECT_NEAR(static_cast<double>(count_parameters(model)), p.published_parameters, 0.005 * p.published_parameters)
        << p.name;
  }
}

TEST(InfinityPresets, CountEveryTensorOfThePaperOnce) {
  const BuildDevice meta(at::kMeta);
  Infinity model(preset("layer12"));
  const int64_t c = 768, blocks = 12, text = 2048;
  const int64_t block = 6 * c + (3 * c * c + 3 * c + 8 + c * c + c) + (c * c + c + 2 * c * c + 2 * c + c * c + c) +
                        (2 * 4 * c * c + 5 * c) + 2 * c;
  const int64_t around = 512 * text + c + text + (c + 2 * c * text + 2 * c + c * c + c) + (text * c + c + c * c + c) +
                         15 * c + (16 * c + c) + 6 * (c * c + c) + 2 * (c * c + c) + (32 * c + 32);
  EXPECT_EQ(count_parameters(model), blocks * block + around);
}

TEST(InfinityPresets, HaveThePublishedFeedForwardWidths) {
  const std::map<std::string, int64_t> widths{{"layer12", 3072},  {"layer16", 4608}, {"layer24", 6144},
                                              {"layer32", 8192},  {"2b", 8192},      {"layer40", 10752},
                                              {"layer48", 13312}, {"8b", 14336},     {"20b", 18432}};
  for (const auto& [name, width] : widths) EXPECT_EQ(preset(name).feed_forward_width(), width) << name;
}

TEST(InfinityPresets, RoundTripThroughJson) {
  for (const Preset& p : presets()) {
    InfinityConfig config = p.config, back;
    config.text_encoder = nn::ByteEncoderConfig{.width = 2048, .depth = 3};
    from_json(to_json(config), back, p.name);
    EXPECT_TRUE(back == config) << p.name;
    from_json(to_json(p.config), back, p.name);
    EXPECT_TRUE(back == p.config) << p.name;
  }
}

TEST(InfinityPresets, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_THAT([] { preset("layer13"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("did you mean 'layer12'")));
}

TEST(InfinityPresets, TheEightBillionModelUsesTwoByTwoPatches) {
  EXPECT_EQ(preset("8b").bits_per_token(), 56);
  EXPECT_EQ(preset("8b").head_outputs(), 112);
}

}  // namespace
}  // namespace tessera::infinity
