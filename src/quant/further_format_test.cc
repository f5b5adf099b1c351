// A format that nothing else knows of, written here from one class and one entry in the list: it multiplies, carries gradients
// to adapters, is saved and loaded.
#include "nn/packed/packed_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "core/error.h"
#include "nn/layers/adapters.h"
#include "quant/stored_form.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera::quant {
namespace {

using nn::Linear;
using nn::NamedLinear;
using nn::PackedWeight;

/// Signs and one scale per row: W[o, i] = sign[o, i] * scale[o].
class SignWeight final : public PackedWeight {
 public:
  SignWeight(Tensor signs, Tensor scales) : signs_(std::move(signs)), scales_(std::move(scales)) {}

  std::string_view format() const override { return "sign"; }
  int64_t out() const override { return signs_.size(0); }
  int64_t in() const override { return signs_.size(1); }
  Tensor product(const Tensor& x) const override { return at::linear(x, unpack().to(x.scalar_type())); }
  Tensor rows(int64_t first, int64_t count) const override {
    return signs_.narrow(0, first, count).to(at::kFloat) * scales_.narrow(0, first, count);
  }
  std::vector<NamedTensor> parts() const override { return {{"signs", signs_}, {"scales", scales_}}; }
  std::vector<NamedTensor> stored() const override { return {{".signs", signs_}, {".sign_scale", scales_}}; }
  std::shared_ptr<const PackedWeight> to(at::Device device) const override {
    return std::make_shared<SignWeight>(signs_.to(device), scales_.to(device));
  }
  const Tensor& signs() const { return signs_; }

 private:
  Tensor signs_, scales_;  // [out, in] int8, [out, 1] fp32
};

class SignFormat final : public nn::PackedFormat {
 public:
  bool holds(const nn::StoredLayer& layer) const override { return layer.find(".signs") != nullptr; }
  std::vector<nn::StoredPart> parts(const nn::StoredLayer& layer) const override {
    return {{".signs", {layer.out, layer.in}, {Dtype::i8}}, {".sign_scale", {layer.out, 1}, {Dtype::f32}}};
  }
  std::shared_ptr<const PackedWeight> load(const nn::StoredLayer& layer) const override {
    nn::require_finite(layer, ".sign_scale");
    return std::make_shared<SignWeight>(nn::stored_tensor(layer, ".signs"), nn::stored_tensor(layer, ".sign_scale"));
  }
};

std::shared_ptr<const PackedWeight> rounded_to_signs(const Tensor& weight) {
  return std::make_shared<SignWeight>(weight.sign().to(at::kChar), weight.abs().mean(1, true));
}

struct FormatNet {
  Linear up{8, 12}, down{12, 8, false};
  Tensor forward(const Tensor& x) const { return down.forward(at::relu(up.forward(x))); }
};
template <class V> void tensors(V& v, FormatNet& m) {
  v("up", m.up);
  v("down", m.down);
}

FormatNet packed_net() {
  FormatNet net;
  for (size_t i = 0; const NamedTensor& t : named_tensors(net)) fill_uniform(t.tensor, 1, Rng(3).split(i++));
  for (const NamedLinear& l : nn::named_linears(net)) l.linear->pack(rounded_to_signs(l.linear->weight));
  return net;
}

/// The same layers with plain weights.
FormatNet unpacked(FormatNet net) {
  for (const NamedLinear& l : nn::named_linears(net)) {
    l.linear->weight = l.linear->packed->unpack();
    l.linear->packed.reset();
  }
  return net;
}

class FurtherFormat : public ::testing::Test {
 protected:
  FurtherFormat() { nn::packed_formats().push_back(&format_); }
  ~FurtherFormat() override { nn::packed_formats().pop_back(); }

 private:
  SignFormat format_;
};

TEST_F(FurtherFormat, MultipliesAndIsCountedByItsOwnTensors) {
  FormatNet net = packed_net(), plain = unpacked(net);
  const Tensor x = at::randn({5, 8});
  EXPECT_TRUE(at::allclose(net.forward(x), plain.forward(x), 1e-5, 1e-6));
  EXPECT_EQ(count_parameters(net), 12 * 8 + 12 + 12 + 8 * 12 + 8);
}

TEST_F(FurtherFormat, AdaptersOnItTrainAsOnThePlainWeight) {
  const Tensor x = at::randn({5, 8});
  const auto gradients = [&](FormatNet net) {
    nn::attach_adapters(nn::named_linears(net), {.rank = 2});
    std::vector<Tensor> all;
    for (const NamedLinear& l : nn::named_linears(net)) {
      fill_uniform(l.linear->lora->b, 1, Rng(hash_text(l.name)));
      for (const Tensor& t : {l.linear->lora->a, l.linear->lora->b}) all.push_back(t.requires_grad_(true));
    }
    net.forward(x).square().sum().backward();
    for (Tensor& t : all) t = t.grad();
    return all;
  };
  const auto of_packed = gradients(packed_net()), of_plain = gradients(unpacked(packed_net()));
  for (size_t i = 0; i < of_plain.size(); ++i)
    EXPECT_TRUE(at::allclose(of_packed[i], of_plain[i], 1e-4, 1e-5)) << "A and B of each layer: " << i;
}

TEST_F(FurtherFormat, IsSavedAndLoadedAsAViewOfTheFile) {
  const tessera::testing::ScratchFolder scratch;
  FormatNet saved = packed_net(), loaded;
  write_packed_directory(scratch.path(), scratch / "out", saving_form(saved), Json::object());
  const WeightSource source(scratch / "out");
  EXPECT_NE(source.find("up.signs"), nullptr);
  const PackedLinears packed(nn::named_linears(loaded), {}, source);
  packed.load();
  const Tensor x = at::randn({5, 8});
  EXPECT_TRUE(loaded.down.forward(at::ones({1, 12})).equal(saved.down.forward(at::ones({1, 12}))));
  const auto& up = dynamic_cast<const SignWeight&>(*loaded.up.packed);
  EXPECT_EQ(up.signs().const_data_ptr(), static_cast<const void*>(source.find("up.signs")->bytes.data()));
}

TEST_F(FurtherFormat, WhatIsStoredWrongIsNamed) {
  const tessera::testing::ScratchFolder scratch;
  FormatNet net = packed_net(), loaded;
  auto form = saving_form(net).packed;
  form[1].tensor = at::ones({3, 1});
  save_tensors(scratch / "m.safetensors", form, disk(), {.stored_as = StoredAs::unchanged});
  EXPECT_THAT([&] { PackedLinears(nn::named_linears(loaded), {}, WeightSource(scratch / "m.safetensors")); },
              ::testing::ThrowsMessage<UserError>(
                  ::testing::HasSubstr("m.safetensors: up.sign_scale is F32 [3, 1], want F32 [12, 1]")));
}

}  // namespace
}  // namespace tessera::quant
