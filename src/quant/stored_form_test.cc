// Packed layers through files, and what is refused on the way. The layout against an independent program: tests/golden.
#include "quant/stored_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "core/error.h"
#include "quant/rounding.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera::quant {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Pair {
  nn::Linear first{64, 16}, second{16, 8, false};
};
template <class V> void tensors(V& v, Pair& m) { v("first", m.first), v("second", m.second); }

Pair packed_pair() {
  at::manual_seed(9);
  Pair pair;
  for (nn::Linear* layer : {&pair.first, &pair.second}) layer->weight.copy_(at::randn_like(layer->weight));
  pair.first.int4 = round_int4(pair.first.weight, 32, full_ranges(pair.first.weight, 32));
  pair.second.int8 = round_int8(pair.second.weight);
  pair.first.weight = Tensor(), pair.second.weight = Tensor();
  return pair;
}

TEST(StoredForm, WhatIsSavedIsLoadedAgain) {
  const tessera::testing::ScratchFolder scratch;
  Pair saved = packed_pair(), loaded;
  const Path file = scratch / "model.safetensors";
  save_tensors(file, saving_form(saved), disk(), {.stored_as = StoredAs::unchanged});
  const auto stored = load_tensors(file);
  EXPECT_EQ(stored.at("first.qweight").sizes(), (std::vector<int64_t>{64, 2}));
  EXPECT_EQ(stored.at("first.qzeros").sizes(), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(stored.at("first.scales").scalar_type(), at::kHalf);
  EXPECT_EQ(stored.at("second.weight_scale").sizes(), (std::vector<int64_t>{8, 1}));
  EXPECT_EQ(stored.size(), 6u);

  const auto opened = std::make_shared<const StoredTensors>(file);
  const PackedLinears packed(named_linears(loaded), Int4Format{32}, opened, file);
  std::vector<std::string> rest;
  for (const auto& [name, tensor] : named_tensors(loaded)) rest.push_back(name);
  EXPECT_EQ(rest, std::vector<std::string>{"first.bias"});
  for (const auto& [name, item] : opened->items()) EXPECT_EQ(packed.takes(name), name != "first.bias") << name;
  packed.load();
  loaded.first.bias.copy_(stored.at("first.bias"));
  EXPECT_TRUE(at::equal(loaded.first.int4->packed, saved.first.int4->packed));
  EXPECT_TRUE(at::equal(loaded.first.int4->scales, saved.first.int4->scales));
  EXPECT_TRUE(at::equal(loaded.first.int4->zeros, saved.first.int4->zeros));
  EXPECT_TRUE(at::equal(loaded.first.bias, saved.first.bias));
  EXPECT_TRUE(at::equal(loaded.second.int8->values, saved.second.int8->values));
  EXPECT_TRUE(at::equal(loaded.second.int8->scales, saved.second.int8->scales));
}

/// Opens what `form` is saved as and gives the layers of a new pair their packed weights.
void load_pair(const std::vector<NamedTensor>& form, std::optional<Int4Format> format) {
  const tessera::testing::ScratchFolder scratch;
  save_tensors(scratch / "m.safetensors", form, disk(), {.stored_as = StoredAs::unchanged});
  Pair pair;
  const PackedLinears packed(named_linears(pair), format,
                             std::make_shared<const StoredTensors>(scratch / "m.safetensors"), "m");
  packed.load();
  EXPECT_TRUE(pair.first.int4.has_value() && !pair.first.weight.defined());
}

TEST(StoredForm, PartsThatAreMissingOrOfAnotherShapeAreRefusedByName) {
  Pair pair = packed_pair();
  const auto form = saving_form(pair);
  EXPECT_NO_THROW(load_pair(form, Int4Format{32}));
  const auto refused = [&](std::vector<NamedTensor> changed, std::optional<Int4Format> format, const char* why) {
    EXPECT_THAT([&] { load_pair(changed, format); }, ThrowsMessage<UserError>(HasSubstr(why)));
  };
  refused(form, std::nullopt, "config.json has no quantization_config");
  refused(form, Int4Format{48}, "layer first is [16, 64], want inputs in groups of 48");
  refused(form, Int4Format{16}, "first.qzeros is I32 [2, 2], want I32 [4, 2]");
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i].name == "first.bias" || form[i].name == "first.qweight" || form[i].name == "second.weight_scale")
      continue;
    auto changed = form;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    refused(changed, Int4Format{32}, (form[i].name + " is missing").c_str());
  }
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i].name == "first.bias") continue;
    auto changed = form;
    changed[i].tensor = form[i].tensor.slice(0, 0, 1).to(at::kDouble);
    refused(changed, Int4Format{32}, (form[i].name + " is F64").c_str());
  }
}

TEST(StoredForm, ScalesThatAreNoNumbersAreRefused) {
  Pair pair = packed_pair();
  pair.first.int4->scales[3][1] = std::nan("");
  EXPECT_THAT([&] { load_pair(saving_form(pair), Int4Format{32}); },
              ThrowsMessage<UserError>(HasSubstr("first.scales holds NaN")));
}

TEST(StoredForm, LayersThatAreNotStoredPackedStayAsTheyAre) {
  const tessera::testing::ScratchFolder scratch;
  Pair pair, other = packed_pair();
  auto form = saving_form(other);
  std::erase_if(form, [](const NamedTensor& item) { return item.name.starts_with("second"); });
  save_tensors(scratch / "m.safetensors", form, disk(), {.stored_as = StoredAs::unchanged});
  const PackedLinears packed(named_linears(pair), Int4Format{32},
                             std::make_shared<const StoredTensors>(scratch / "m.safetensors"), "m");
  EXPECT_FALSE(packed.empty());
  EXPECT_TRUE(!pair.first.weight.defined() && pair.second.weight.defined());
}

TEST(Int4Format, ReadsWhatItWritesAndWhatAutoAwqWrites) {
  const Json config = {{"quantization_config", int4_format_json({64}, {"lm_head"})}};
  EXPECT_EQ(read_int4_format(config, "c")->group, 64);
  EXPECT_EQ(read_int4_format(Json::parse(R"({"quantization_config": {"bits": 4, "group_size": 128,
      "modules_to_not_convert": null, "quant_method": "awq", "version": "gemm", "zero_point": true}})"),
                             "c")
                ->group,
            128);
  EXPECT_FALSE(read_int4_format(Json::object(), "c"));
  EXPECT_FALSE(read_int4_format({{"quantization_config", nullptr}}, "c"));
}

TEST(Int4Format, OtherFormatsAndNonsenseAreRefusedByName) {
  for (const char* text :
       {R"({"quant_method": "gptq", "bits": 4})", R"({"quant_method": "awq", "bits": 8})", R"([1])", R"("awq")", "7",
        R"({"quant_method": "awq", "version": "gemv"})", R"({"quant_method": "awq", "zero_point": false})", "{}",
        R"({"quant_method": "awq", "bits": "four"})", R"({"quant_method": ["awq"]})", R"({"quant_method": 4})",
        R"({"quant_method": "awq", "group_size": 0})", R"({"quant_method": "awq", "group_size": -1})",
        R"({"quant_method": "awq", "group_size": 33})", R"({"quant_method": "awq", "group_size": 1e300})",
        R"({"quant_method": "awq", "bits": {}})", R"({"quant_method": "awq", "zero_point": "yes"})"}) {
    EXPECT_THAT(
        [&] {
          read_int4_format({{"quantization_config", Json::parse(text)}}, "dir/config.json");
        },
        ThrowsMessage<UserError>(HasSubstr("[quant]")))
        << text;
  }
}

}  // namespace
}  // namespace tessera::quant
