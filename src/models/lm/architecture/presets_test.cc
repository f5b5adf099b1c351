// Released sizes: parameters to the last one, and every preset through config.json and back.
#include "models/lm/architecture/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/lm/architecture/module.h"
#include "tensor/build.h"

namespace tessera::lm {
namespace {

TEST(LmPresets, HaveTheReleasedNumberOfParameters) {
  const BuildDevice meta(at::kMeta);
  for (const Preset& p : presets()) {
    DecoderLm model(p.config);
    EXPECT_EQ(count_parameters(model), p.parameters) << p.name;
  }
}

TEST(LmPresets, SurviveTheRoundTripThroughConfigJsonAndFields) {
  for (const Preset& p : presets()) {
    EXPECT_TRUE(config_from_json(config_json(p.config), p.name) == p.config) << p.name;
    LmConfig back;
    from_json(to_json(p.config), back, p.name);
    EXPECT_TRUE(back == p.config) << p.name;
  }
}

TEST(LmPresets, AnUnknownNameIsRefusedWithTheNearest) {
  EXPECT_THAT([] { preset("llama-3.1-7b"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("did you mean 'llama-3.1-8b'")));
}

}  // namespace
}  // namespace tessera::lm
