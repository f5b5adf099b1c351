// Packed layers through files, and what is refused on the way. The layout against an independent program: tests/golden.
#include "quant/stored_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/packed/int4_weight.h"
#include "nn/packed/int8_weight.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera::quant {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Pair {
  nn::Linear first{64, 16}, second{16, 8, false};
};
template <class V> void tensors(V& v, Pair& m) {
  v("first", m.first);
  v("second", m.second);
}

Pair packed_pair() {
  at::manual_seed(9);
  Pair pair;
  for (nn::Linear* layer : {&pair.first, &pair.second}) layer->weight.copy_(at::randn_like(layer->weight));
  const nn::Ranges ranges = nn::full_ranges(pair.first.weight, 32);
  pair.first.pack(std::make_shared<nn::Int4Weight>(nn::round_int4(pair.first.weight, 32, ranges)));
  pair.second.pack(std::make_shared<nn::Int8Weight>(nn::round_int8(pair.second.weight)));
  return pair;
}

/// Everything that files hold of `pair`.
std::vector<NamedTensor> form_of(Pair pair) {
  SavingForm form = saving_form(pair);
  form.plain.insert(form.plain.end(), form.packed.begin(), form.packed.end());
  return form.plain;
}

Json groups_of(int64_t group) { return int4_format_json({group}, {}); }

TEST(StoredForm, WhatIsSavedIsLoadedAgain) {
  const tessera::testing::ScratchFolder scratch;
  Pair saved = packed_pair(), loaded;
  const Path file = scratch / "model.safetensors";
  save_tensors(file, form_of(saved), disk(), {.stored_as = StoredAs::unchanged});
  const auto stored = load_tensors(file);
  EXPECT_EQ(stored.at("first.qweight").sizes(), (std::vector<int64_t>{64, 2}));
  EXPECT_EQ(stored.at("first.qzeros").sizes(), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(stored.at("first.scales").scalar_type(), at::kHalf);
  EXPECT_EQ(stored.at("second.weight_scale").sizes(), (std::vector<int64_t>{8, 1}));
  EXPECT_EQ(stored.size(), 6u);

  const WeightSource opened(file);
  const PackedLinears packed(nn::named_linears(loaded), groups_of(32), opened);
  std::vector<std::string> rest;
  for (const auto& [name, tensor] : named_tensors(loaded)) rest.push_back(name);
  EXPECT_EQ(rest, std::vector<std::string>{"first.bias"});
  EXPECT_EQ(packed.rest().tensors().size(), 1u);
  EXPECT_NE(packed.rest().find("first.bias"), nullptr);
  packed.load();
  loaded.first.bias.copy_(stored.at("first.bias"));
  const auto mine = named_tensors(saved), theirs = named_tensors(loaded);
  ASSERT_EQ(mine.size(), 6u);
  for (size_t i = 0; i < mine.size(); ++i) {
    EXPECT_EQ(mine[i].name, theirs[i].name);
    EXPECT_TRUE(at::equal(mine[i].tensor, theirs[i].tensor)) << mine[i].name;
  }
}

TEST(StoredForm, EightBitsAreViewsOfTheFileThatOutliveItsOwner) {
  const tessera::testing::ScratchFolder scratch;
  Pair saved = packed_pair(), loaded;
  save_tensors(scratch / "m.safetensors", form_of(saved), disk(), {.stored_as = StoredAs::unchanged});
  const void* in_file = nullptr;
  {
    const WeightSource opened(scratch / "m.safetensors");
    in_file = opened.find("second.weight")->bytes.data();
    PackedLinears(nn::named_linears(loaded), groups_of(32), opened).load();
  }
  const auto& weight = dynamic_cast<const nn::Int8Weight&>(*loaded.second.packed);
  EXPECT_EQ(weight.values.const_data_ptr(), in_file);
  EXPECT_TRUE(weight.unpack().equal(saved.second.packed->unpack()));
}

/// Opens what `form` is saved as and gives the layers of a new pair their packed weights.
void load_pair(const std::vector<NamedTensor>& form, const Json& settings) {
  const tessera::testing::ScratchFolder scratch;
  save_tensors(scratch / "m.safetensors", form, disk(), {.stored_as = StoredAs::unchanged});
  Pair pair;
  const PackedLinears packed(nn::named_linears(pair), settings, WeightSource(scratch / "m.safetensors"));
  packed.load();
  EXPECT_TRUE(pair.first.packed && !pair.first.weight.defined());
}

TEST(StoredForm, PartsThatAreMissingOrOfAnotherShapeAreRefusedByName) {
  const auto form = form_of(packed_pair());
  EXPECT_NO_THROW(load_pair(form, groups_of(32)));
  const auto refused = [&](std::vector<NamedTensor> changed, const Json& settings, const char* why) {
    EXPECT_THAT([&] { load_pair(changed, settings); }, ThrowsMessage<UserError>(HasSubstr(why)));
  };
  refused(form, {}, "config.json has no quantization_config");
  refused(form, groups_of(48), "layer first is [16, 64], want inputs in groups of 48");
  refused(form, groups_of(16), "first.qzeros is I32 [2, 2], want I32 [4, 2]");
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i].name == "first.bias" || form[i].name == "first.qweight" || form[i].name == "second.weight_scale")
      continue;
    auto changed = form;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    refused(changed, groups_of(32), (form[i].name + " is missing").c_str());
  }
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i].name == "first.bias") continue;
    auto changed = form;
    changed[i].tensor = form[i].tensor.slice(0, 0, 1).to(at::kDouble);
    refused(changed, groups_of(32), (form[i].name + " is F64").c_str());
  }
}

TEST(StoredForm, ScalesThatAreNoNumbersAreRefused) {
  auto form = form_of(packed_pair());
  for (NamedTensor& item : form) {
    if (item.name == "first.scales") item.tensor[1][3] = std::nan("");
  }
  EXPECT_THAT([&] { load_pair(form, groups_of(32)); }, ThrowsMessage<UserError>(HasSubstr("first.scales holds NaN")));
}

TEST(StoredForm, LayersThatAreNotStoredPackedStayAsTheyAre) {
  const tessera::testing::ScratchFolder scratch;
  Pair pair, other = packed_pair();
  auto form = form_of(other);
  std::erase_if(form, [](const NamedTensor& item) { return item.name.starts_with("second"); });
  save_tensors(scratch / "m.safetensors", form, disk(), {.stored_as = StoredAs::unchanged});
  const PackedLinears packed(nn::named_linears(pair), groups_of(32), WeightSource(scratch / "m.safetensors"));
  EXPECT_FALSE(packed.empty());
  EXPECT_TRUE(!pair.first.weight.defined() && pair.second.weight.defined());
}

TEST(PackingSettings, ReadsWhatItWritesAndWhatAutoAwqWrites) {
  const Json written = {{"quantization_config", int4_format_json({64}, {"lm_head"})}};
  EXPECT_EQ(nn::packing_settings(written, "c")["group_size"], 64);
  EXPECT_EQ(nn::packing_settings(Json::parse(R"({"quantization_config": {"bits": 4, "group_size": 128,
      "modules_to_not_convert": null, "quant_method": "awq", "version": "gemm", "zero_point": true}})"),
                                 "c")["group_size"],
            128);
  for (const char* version : {"GEMM", "Gemm"})
    EXPECT_NO_THROW(nn::packing_settings(
        {{"quantization_config", {{"quant_method", "awq"}, {"bits", 4}, {"version", version}}}}, "c"));
  EXPECT_TRUE(nn::packing_settings(Json::object(), "c").is_null());
  EXPECT_TRUE(nn::packing_settings({{"quantization_config", nullptr}}, "c").is_null());
}

TEST(PackingSettings, OtherFormatsAndNonsenseAreRefusedByName) {
  for (const char* text :
       {R"({"quant_method": "gptq", "bits": 4})", R"({"quant_method": "awq", "bits": 8})", R"([1])", R"("awq")", "7",
        R"({"quant_method": "awq", "version": "gemv"})", R"({"quant_method": "awq", "zero_point": false})", "{}",
        R"({"quant_method": "awq", "bits": "four"})", R"({"quant_method": ["awq"]})", R"({"quant_method": 4})",
        R"({"quant_method": "awq", "group_size": 0})", R"({"quant_method": "awq", "group_size": -1})",
        R"({"quant_method": "awq", "group_size": 33})", R"({"quant_method": "awq", "group_size": 1e300})",
        R"({"quant_method": "awq", "bits": {}})", R"({"quant_method": "awq", "zero_point": "yes"})"}) {
    EXPECT_THAT(
        [&] {
          nn::packing_settings({{"quantization_config", Json::parse(text)}}, "dir/config.json");
        },
        ThrowsMessage<UserError>(HasSubstr("[quant]")))
        << text;
  }
}

TEST(PackedDirectory, HasTheSourcesSmallFilesAndItsOwnWeightsAndConfig) {
  const tessera::testing::ScratchFolder scratch;
  const Path source = scratch / "source", out = scratch / "a/b";
  std::filesystem::create_directories(source / "folder");
  for (const char* name : {"tokenizer.json", "README.md", "config.json", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", "pytorch_model.bin", ".lock"}) {
    write_file_atomically(source / name, std::string("of the source: ") + name);
  }
  const Tensor large = at::full({2}, 1e6), small = at::full({2}, 0.1), scale = at::full({2, 1}, 1e-9);
  write_packed_directory(source, out,
                         {.plain = {{"large", large}, {"small", small}},
                          .packed = {{"q.weight_scale", scale}, {"q.weight", at::ones({2, 4}, at::kChar)}}},
                         {{"model_type", "qwen2"}});
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(out)) names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"README.md", "config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_EQ(read_file(out / "tokenizer.json"), "of the source: tokenizer.json");
  EXPECT_EQ(read_json_file(out / "config.json"), (Json{{"model_type", "qwen2"}}));
  const auto stored = load_tensors(out);
  EXPECT_EQ(stored.at("large").scalar_type(), at::kBFloat16);
  EXPECT_EQ(stored.at("small").scalar_type(), at::kHalf);
  EXPECT_TRUE(at::equal(stored.at("q.weight_scale"), scale));
  EXPECT_EQ(stored.at("q.weight").scalar_type(), at::kChar);
}

}  // namespace
}  // namespace tessera::quant
