// Weights through files: formats, names and shapes; and malformed safetensors files.
#include "tensor/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/ones.h>
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

TEST(Weights, ComeBackRoundedToTheFormatTheyAreStoredIn) {
  const std::vector<NamedTensor> tensors{{"a", at::randn({3, 4})}, {"b.c", at::randn({5})}};
  for (const auto& [stored, type] :
       {std::pair{StoredAs::f32, at::kFloat}, {StoredAs::f16, at::kHalf}, {StoredAs::bf16, at::kBFloat16}}) {
    const Path path = file_in_scratch("formats");
    save_tensors(path, tensors, disk(), {.stored_as = stored});
    const std::vector<NamedTensor> target{{"a", at::zeros({3, 4})}, {"b.c", at::zeros({5})}};
    load_into(target, path, "test");
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(at::equal(target[i].tensor, tensors[i].tensor.to(type).to(at::kFloat))) << at::toString(type);
    }
  }
}

TEST(Weights, MissingUnexpectedAndMisshapenTensorsAreNamedAndNothingIsLoaded) {
  const Path path = file_in_scratch("misfit");
  save_tensors(path, {{"fits", at::ones({2})}, {"bent", at::ones({3})}, {"extra", at::ones({2})}});
  const Tensor fits = at::zeros({2}), bent = at::zeros({4}), absent = at::zeros({1});
  const std::string message = error_of([&] {
    load_into({{"fits", fits}, {"bent", bent}, {"absent", absent}}, path, "test");
  });
  EXPECT_EQ(message, "[test] " + path.string() +
                         " does not fit this model; tensors: 1 missing (absent); 1 unexpected (extra); "
                         "1 of another shape (bent: got [3], want [4])");
  EXPECT_EQ(fits.abs().sum().item<double>(), 0) << "a tensor that fits is loaded only when all fit";
}

TEST(Safetensors, MalformedFilesAreRefusedInOneLine) {
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
