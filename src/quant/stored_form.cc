// What files say and hold of packed layers, checked before anything is allocated.
#include "quant/stored_form.h"

#include <algorithm>
#include <cstring>
#include <map>

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include "core/error.h"
#include "tensor/weights.h"

namespace tessera::quant {

namespace {

template <class T> T member(const Json& tree, const char* name, T otherwise) {
  const auto found = tree.find(name);
  if (found == tree.end() || found->is_null()) return otherwise;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw UserError("[quant] quantization_config.{} is {}", name, found->dump());
  }
}

/// A copy of a stored tensor.
Tensor copied(const StoredTensors& stored, const std::string& name) {
  const StoredTensors::Item* item = stored.find(name);
  const Tensor tensor = at::empty(item->entry->shape, at::TensorOptions().dtype(scalar_type(item->entry->dtype)));
  std::memcpy(tensor.mutable_data_ptr(), item->bytes.data(), item->bytes.size());
  return tensor;
}

struct Part {
  const char* suffix;
  std::vector<int64_t> shape;
  std::vector<Dtype> types;
};

/// What must be stored of a layer with 4-bit weights [out, in].
std::vector<Part> int4_parts(const std::string& name, int64_t out, int64_t in, int64_t group) {
  if (in % group != 0 || out % 8 != 0) {
    throw UserError("[quant] layer {} is [{}, {}], want inputs in groups of {} and outputs in eights", name, out, in,
                    group);
  }
  return {{".qweight", {in, out / 8}, {Dtype::i32}},
          {".qzeros", {in / group, out / 8}, {Dtype::i32}},
          {".scales", {in / group, out}, {Dtype::f16, Dtype::bf16, Dtype::f32}}};
}

std::vector<Part> int8_parts(int64_t out, int64_t in) {
  return {{".weight", {out, in}, {Dtype::i8}}, {".weight_scale", {out, 1}, {Dtype::f16, Dtype::bf16, Dtype::f32}}};
}

void require_part(const StoredTensors& stored, const std::string& name, const Part& part, const Path& path) {
  const StoredTensors::Item* item = stored.find(name + part.suffix);
  if (item == nullptr) throw UserError("[quant] {}: {}{} is missing", path.string(), name, part.suffix);
  const bool known = std::find(part.types.begin(), part.types.end(), item->entry->dtype) != part.types.end();
  if (item->entry->shape == part.shape && known) return;
  throw UserError("[quant] {}: {}{} is {} {}, want {} {}", path.string(), name, part.suffix,
                  dtype_name(item->entry->dtype), shape_text(item->entry->shape), dtype_name(part.types.front()),
                  shape_text(part.shape));
}

}  // namespace

std::optional<Int4Format> read_int4_format(const Json& config, std::string_view source) {
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return std::nullopt;
  if (!found->is_object())
    throw UserError("[quant] {}: quantization_config is {}, want an object", source, found->dump());
  const auto method = member<std::string>(*found, "quant_method", "");
  const auto version = member<std::string>(*found, "version", "gemm");
  const auto bits = member<int64_t>(*found, "bits", member<int64_t>(*found, "w_bit", 4));
  const auto group = member<int64_t>(*found, "group_size", member<int64_t>(*found, "q_group_size", 128));
  const bool zero_point = member<bool>(*found, "zero_point", true);
  if (method != "awq" || bits != 4 || version != "gemm" || !zero_point) {
    throw UserError("[quant] {}: weights are packed as {} {}, {} bits{}; want awq gemm, 4 bits, with zero points",
                    source, method.empty() ? "(no quant_method)" : method, version, bits,
                    zero_point ? "" : ", no zero points");
  }
  if (group < 8 || group % 2 != 0 || group > 1 << 20)
    throw UserError("[quant] {}: group_size is {}, want an even number from 8", source, group);
  return Int4Format{group};
}

Json int4_format_json(const Int4Format& format, const std::vector<std::string>& unconverted) {
  return {{"quant_method", "awq"},      {"bits", 4},
          {"group_size", format.group}, {"zero_point", true},
          {"version", "gemm"},          {"modules_to_not_convert", unconverted.empty() ? Json() : Json(unconverted)}};
}

PackedLinears::PackedLinears(const NamedLinears& layers, const std::optional<Int4Format>& format,
                             std::shared_ptr<const StoredTensors> stored, const Path& path)
    : format_(format), stored_(std::move(stored)) {
  for (const auto& [name, layer] : layers) {
    const bool int4 = stored_->find(name + ".qweight") != nullptr,
               int8 = stored_->find(name + ".weight_scale") != nullptr;
    if (!layer->weight.defined() || (!int4 && !int8)) continue;
    if (int4 && !format_) {
      throw UserError("[quant] {}: {}.qweight is stored, but config.json has no quantization_config", path.string(),
                      name);
    }
    const int64_t out = layer->weight.size(0), in = layer->weight.size(1);
    for (const Part& part : int4 ? int4_parts(name, out, in, format_->group) : int8_parts(out, in)) {
      require_part(*stored_, name, part, path);
      taken_.insert(name + part.suffix);
    }
    packed_.emplace_back(name, layer);
  }
  for (const auto& [name, layer] : packed_) layer->weight = Tensor();
}

void PackedLinears::load(at::Device device) const {
  for (const auto& [name, layer] : packed_) {
    const bool int4 = stored_->find(name + ".qweight") != nullptr;
    const std::string scales = name + (int4 ? ".scales" : ".weight_scale");
    if (!at::isfinite(copied(*stored_, scales)).all().item<bool>())
      throw UserError("[quant] {} holds NaN or infinite numbers", scales);
    if (int4) {
      const nn::Int4Weight weight = from_awq({.qweight = copied(*stored_, name + ".qweight"),
                                              .qzeros = copied(*stored_, name + ".qzeros"),
                                              .scales = copied(*stored_, name + ".scales")},
                                             format_->group);
      layer->int4 = nn::Int4Weight{.packed = weight.packed.to(device),
                                   .scales = weight.scales.to(device),
                                   .zeros = weight.zeros.to(device),
                                   .group = weight.group};
    } else {
      layer->int8 =
          nn::Int8Weight{.values = copied(*stored_, name + ".weight").to(device),
                         .scales = copied(*stored_, name + ".weight_scale").to(at::kFloat).flatten().to(device)};
    }
  }
}

std::vector<NamedTensor> saving_form(const std::vector<NamedTensor>& tensors, const NamedLinears& layers) {
  std::map<std::string, std::pair<std::string, nn::Linear*>> first;  // by the name of a layer's first tensor
  std::set<std::string> others;
  for (const auto& [name, layer] : layers) {
    if (layer->int4) first[name + ".int4.packed"] = {name, layer};
    if (layer->int8) first[name + ".int8.values"] = {name, layer};
    for (const char* part : {".int4.scales", ".int4.zeros", ".int8.scales"}) others.insert(name + part);
  }
  std::vector<NamedTensor> form;
  for (const NamedTensor& item : tensors) {
    const auto found = first.find(item.name);
    if (found == first.end()) {
      if (!others.contains(item.name)) form.push_back(item);
      continue;
    }
    const auto& [name, layer] = found->second;
    if (layer->int4) {
      const AwqTensors awq = to_awq(*layer->int4);
      form.push_back({name + ".qweight", awq.qweight});
      form.push_back({name + ".qzeros", awq.qzeros}), form.push_back({name + ".scales", awq.scales});
    } else {
      form.push_back({name + ".weight", layer->int8->values});
      form.push_back({name + ".weight_scale", layer->int8->scales.unsqueeze(-1)});
    }
  }
  return form;
}

}  // namespace tessera::quant
