// Weights through files: formats, names and shapes; and safetensors files that are not sound.
#include "tensor/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "tensor/safetensors.h"

namespace tessera {
namespace {

Path file_in_scratch(const std::string& name) { return Path(::testing::TempDir()) / ("weights_test_" + name); }

template <class F> std::string error_of(F action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

/// Opens a file made of a header text and `bytes` of data.
std::string error_of_header(const std::string& header, size_t bytes) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(header.size() >> (8 * i));
  const Path path = file_in_scratch("header");
  write_file_atomically(path, text + header + std::string(bytes, 'x'));
  return error_of([&] { SafetensorsFile file(path); });
}

TEST(Weights, ComeBackAsTheyWereInFullPrecisionAndRoundedInHalf) {
  const std::vector<NamedTensor> tensors{{"a", at::randn({3, 4})}, {"b.c", at::randn({5})}};
  for (const auto& [stored, tolerance] :
       {std::pair{StoredAs::f32, 0.0}, {StoredAs::f16, 2e-3}, {StoredAs::bf16, 2e-2}}) {
    const Path path = file_in_scratch("formats");
    save_tensors(path, tensors, disk(), {.stored_as = stored});
    const std::vector<NamedTensor> target{{"a", at::zeros({3, 4})}, {"b.c", at::zeros({5})}};
    load_into(target, path, "test");
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_LE((target[i].tensor - tensors[i].tensor).abs().max().item<double>(), tolerance * 4);
    }
  }
}

TEST(Weights, MissingUnexpectedAndMisshapenTensorsAreNamedAndNothingIsLoaded) {
  const Path path = file_in_scratch("misfit");
  save_tensors(path, {{"a", at::randn({3})}, {"extra", at::randn({2})}});
  const Tensor a = at::zeros({4}), absent = at::zeros({1});
  const std::string message = error_of([&] { load_into({{"a", a}, {"absent", absent}}, path, "test"); });
  EXPECT_THAT(message, ::testing::AllOf(::testing::HasSubstr("absent"), ::testing::HasSubstr("extra"),
                                        ::testing::HasSubstr("a")));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(a.abs().sum().item<double>(), 0);
}

TEST(Safetensors, UnsoundFilesAreRefusedInOneLine) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(error_of_header(good, 8), "accepted");
  EXPECT_NE(error_of_header(good, 7), "accepted") << "truncated";
  EXPECT_NE(error_of_header(good, 9), "accepted") << "bytes that belong to no tensor";
  for (
      const char* bad :
      {R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})",
       R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}})",
       R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
       R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
       R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       "[]", "{", ""}) {
    const std::string message = error_of_header(bad, 8);
    EXPECT_THAT(message, ::testing::HasSubstr("[safetensors]")) << bad;
    EXPECT_EQ(message.find('\n'), std::string::npos) << bad;
  }
  const Path path = file_in_scratch("oversized");
  write_file_atomically(path, std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 8) + "{}");
  EXPECT_NE(error_of([&] { SafetensorsFile file(path); }), "accepted") << "a header larger than the file";
}

}  // namespace
}  // namespace tessera
