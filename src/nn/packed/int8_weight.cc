// Rounding, exact integer products, and the two tensors that files hold.
#include "nn/packed/int8_weight.h"

#include <ATen/ops/_int_mm.h>
#include <ATen/ops/linear.h>

#include "nn/packed/packed_format.h"

namespace tessera::nn {

namespace {
class Int8Format final : public PackedFormat {
 public:
  std::string_view method() const override { return "tessera-int8"; }
  bool holds(const StoredLayer& layer) const override { return layer.find(".weight_scale") != nullptr; }
  std::vector<StoredPart> parts(const StoredLayer& layer) const override {
    return {{".weight", {layer.out, layer.in}, {Dtype::i8}},
            {".weight_scale", {layer.out, 1}, {Dtype::f16, Dtype::bf16, Dtype::f32}}};
  }
  std::shared_ptr<const PackedWeight> load(const StoredLayer& layer) const override {
    require_finite(layer, ".weight_scale");
    return std::make_shared<Int8Weight>(stored_tensor(layer, ".weight"),
                                        stored_tensor(layer, ".weight_scale").to(at::kFloat).flatten());
  }
};
}  // namespace

const PackedFormat& int8_format() {
  static const Int8Format format;
  return format;
}

Tensor Int8Weight::rows(int64_t first, int64_t count) const {
  return values.narrow(0, first, count).to(at::kFloat) * scales.narrow(0, first, count).unsqueeze(1);
}

Tensor Int8Weight::product(const Tensor& x) const {
  const Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kFloat);
  const Tensor row_scales = (rows.abs().amax(-1, /*keepdim=*/true) / 127).clamp_min(1e-12);  // [rows, 1]
  const Tensor whole = (rows / row_scales).round();
  Tensor y;
  if (x.device().is_cpu() && rows.size(0) > 0) {
    y = at::_int_mm(whole.to(at::kChar), values.t()).to(at::kFloat);
  } else {
    y = at::linear(whole, values.to(at::kFloat));  // exact while in * 127 * 127 < 2^24; close beyond
  }
  y = y * row_scales * scales;
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = values.size(0);
  return y.view(shape).to(x.scalar_type());
}

std::vector<NamedTensor> Int8Weight::stored() const {
  return {{".weight", values}, {".weight_scale", scales.unsqueeze(-1)}};
}

std::shared_ptr<const PackedWeight> Int8Weight::to(at::Device device) const {
  return std::make_shared<Int8Weight>(values.to(device), scales.to(device));
}

Int8Weight round_int8(const Tensor& weight) {
  const Tensor w = weight.detach().to(at::kFloat);
  const Tensor scales = (w.abs().amax(-1) / 127).clamp_min(1e-12);
  return {(w / scales.unsqueeze(-1)).round().clamp(-127, 127).to(at::kChar).contiguous(), scales};
}

}  // namespace tessera::nn
