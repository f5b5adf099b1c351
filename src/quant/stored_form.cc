// What files hold of packed layers, checked before anything is allocated; and directories of them, written.
#include "quant/stored_form.h"

#include <ATen/core/Tensor.h>

#include "tensor/weights.h"

namespace tessera::quant {

namespace {
/// Weights in any of the formats that directories come with, and what is written anew.
bool is_replaced(const Path& file) {
  const std::string name = file.filename().string();
  for (const char* end :
       {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".gguf"}) {
    if (name.ends_with(end)) return true;
  }
  return name == "config.json" || name.starts_with('.');
}

/// fp16, or bf16 where a number would not fit; integers stay.
Tensor in_16_bits(const Tensor& tensor) {
  if (!at::isFloatingType(tensor.scalar_type())) return tensor;
  const bool fits = tensor.numel() == 0 || tensor.abs().max().to(at::kDouble).item<double>() <= 65504;
  return tensor.to(fits ? at::kHalf : at::kBFloat16);
}
}  // namespace

Json int4_format_json(const Int4Format& format, const std::vector<std::string>& unconverted) {
  return {{"quant_method", "awq"},      {"bits", 4},
          {"group_size", format.group}, {"zero_point", true},
          {"version", "gemm"},          {"modules_to_not_convert", unconverted.empty() ? Json() : Json(unconverted)}};
}

PackedLinears::PackedLinears(const std::vector<nn::NamedLinear>& layers, const Json& settings,
                             const WeightSource& source)
    : source_(std::make_shared<const WeightSource>(source)) {
  for (const auto& [name, linear] : layers) {
    if (!linear->weight.defined()) continue;
    nn::StoredLayer layer{
        .name = name, .out = linear->outputs(), .in = linear->inputs(), .source = source_, .settings = settings};
    const nn::PackedFormat* format = nn::packed_format_of(layer);
    if (format == nullptr) continue;
    const std::vector<nn::StoredPart> parts = format->parts(layer);
    nn::require_parts(layer, parts);
    for (const nn::StoredPart& part : parts) taken_.insert(name + part.suffix);
    packed_.push_back({linear, std::move(layer), format});
  }
  for (const Packed& each : packed_) each.linear->weight = Tensor();
}

WeightSource PackedLinears::rest() const {
  return source_->renamed(
      [&](std::string_view name) { return taken_.contains(name) ? std::string() : std::string(name); });
}

void PackedLinears::load(at::Device device, bool exact) const {
  for (const Packed& each : packed_) {
    nn::StoredLayer stored = each.stored;
    stored.exact = exact;
    const auto weight = each.format->load(stored);
    each.linear->pack(weight->device() == device ? weight : weight->to(device));
  }
}

SavingForm saving_form(const std::vector<NamedTensor>& tensors, const std::vector<nn::NamedLinear>& layers) {
  SavingForm form;
  std::set<std::string> listed;  // what named_tensors() lists of packed layers
  for (const auto& [name, linear] : layers) {
    if (!linear->packed) continue;
    for (const NamedTensor& part : linear->packed->parts()) listed.insert(name + ".packed." + part.name);
    for (const NamedTensor& part : linear->packed->stored()) form.packed.push_back({name + part.name, part.tensor});
  }
  for (const NamedTensor& item : tensors) {
    if (!listed.contains(item.name)) form.plain.push_back(item);
  }
  return form;
}

void write_packed_directory(const Path& source, const Path& out, const SavingForm& form, const Json& config,
                            FileSystem& files) {
  files.create_directories(out);
  for (const auto& entry : std::filesystem::directory_iterator(source)) {
    if (!entry.is_regular_file() || is_replaced(entry.path())) continue;
    write_file_atomically(out / entry.path().filename(), read_file(entry.path()), files);
  }
  std::vector<NamedTensor> all = form.packed;
  for (const auto& [name, tensor] : form.plain) all.push_back({name, in_16_bits(tensor)});
  save_tensors(out / "model.safetensors", all, files,
               {.stored_as = StoredAs::unchanged, .metadata = {{"format", "pt"}}});
  write_file_atomically(out / "config.json", config.dump(2) + "\n", files);
}

}  // namespace tessera::quant
