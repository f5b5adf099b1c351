// Names of devices, and the features that the processor reports.
#include "tensor/device.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <string>

#include "core/error.h"

namespace tessera {
namespace {

TEST(Device, AnUnknownNameIsAUserError) {
  EXPECT_TRUE(parse_device("cpu").is_cpu());
  EXPECT_THAT([] { parse_device("gpu"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("want auto, cpu, cuda or cuda:N")));
}

TEST(Device, HasBfloat16ProductsWhenTheSystemReportsThem) {
  EXPECT_TRUE(multiplies_bfloat16(at::Device("cuda")));
  std::ifstream file("/proc/cpuinfo");  // as a stream: it says that it has no bytes, so that mapping it shows none
  if (!file) GTEST_SKIP() << "no /proc/cpuinfo here";
  const std::string said{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(multiplies_bfloat16(at::kCPU), said.find("avx512_bf16") != std::string::npos);
}

}  // namespace
}  // namespace tessera
