// Names of devices, and what the processor says of itself.
#include "tensor/device.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/files.h"

namespace tessera {
namespace {

TEST(Device, AnUnknownNameIsTheCallersMistake) {
  EXPECT_TRUE(parse_device("cpu").is_cpu());
  EXPECT_THAT([] { parse_device("gpu"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("want auto, cpu, cuda or cuda:N")));
}

TEST(Device, HasBfloat16ProductsWhenTheSystemSaysSo) {
  EXPECT_TRUE(multiplies_bfloat16(at::Device("cuda")));
  if (!std::filesystem::exists("/proc/cpuinfo")) GTEST_SKIP() << "no /proc/cpuinfo here";
  EXPECT_EQ(multiplies_bfloat16(at::kCPU), read_file("/proc/cpuinfo").find("avx512_bf16") != std::string::npos);
}

}  // namespace
}  // namespace tessera
