// Module <-> safetensors: every check before the first write.
#include "tensor/weights.h"

#include <array>
#include <utility>

#include <ATen/ops/isfinite.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "tensor/safetensors.h"

namespace tessera {

namespace {
constexpr std::array<std::pair<Dtype, at::ScalarType>, 15> scalar_types{{
    {Dtype::f64, at::kDouble},
    {Dtype::f32, at::kFloat},
    {Dtype::f16, at::kHalf},
    {Dtype::bf16, at::kBFloat16},
    {Dtype::f8_e4m3, at::kFloat8_e4m3fn},
    {Dtype::f8_e5m2, at::kFloat8_e5m2},
    {Dtype::i64, at::kLong},
    {Dtype::i32, at::kInt},
    {Dtype::i16, at::kShort},
    {Dtype::i8, at::kChar},
    {Dtype::u64, at::kUInt64},
    {Dtype::u32, at::kUInt32},
    {Dtype::u16, at::kUInt16},
    {Dtype::u8, at::kByte},
    {Dtype::boolean, at::kBool},
}};

at::ScalarType stored_type(const Tensor& tensor, StoredAs stored_as) {
  if (stored_as == StoredAs::unchanged || !at::isFloatingType(tensor.scalar_type())) return tensor.scalar_type();
  if (stored_as == StoredAs::f16) return at::kHalf;
  return stored_as == StoredAs::bf16 ? at::kBFloat16 : at::kFloat;
}

/// On the CPU, contiguous, in the stored format.
Tensor prepared(const NamedTensor& item, StoredAs stored_as) {
  const Tensor source = item.tensor.detach();
  const at::ScalarType type = stored_type(source, stored_as);
  const Tensor stored = source.to(at::kCPU, type).contiguous();
  if (type == at::kHalf && source.scalar_type() != at::kHalf &&
      at::isfinite(stored).ne(at::isfinite(source.cpu())).any().item<bool>()) {
    throw FaultError("[weights] tensor '{}' has values that do not fit f16 (largest 65504); store it as bf16",
                     item.name);
  }
  return stored;
}

std::string_view bytes_of(const Tensor& contiguous) {
  return {static_cast<const char*>(contiguous.const_data_ptr()), contiguous.nbytes()};
}

}  // namespace

Dtype dtype_of(at::ScalarType type) {
  for (const auto& [dtype, scalar] : scalar_types) {
    if (scalar == type) return dtype;
  }
  throw UserError("[weights] safetensors cannot hold numbers of type {}", at::toString(type));
}

at::ScalarType scalar_type(Dtype dtype) {
  if (!is_readable(dtype)) throw UserError("[weights] tensors of {} are listed, but cannot be read", dtype_name(dtype));
  return scalar_types[static_cast<size_t>(dtype)].second;
}

void save_tensors(const Path& file, const std::vector<NamedTensor>& tensors, FileSystem& files,
                  const SaveOptions& options) {
  std::vector<Tensor> kept;  // the writer holds views of their bytes
  SafetensorsWriter writer;
  for (const NamedTensor& item : tensors) {
    const Tensor& stored = kept.emplace_back(prepared(item, options.stored_as));
    writer.add(item.name, dtype_of(stored.scalar_type()), stored.sizes().vec(), bytes_of(stored));
  }
  writer.set_metadata(options.metadata);
  write_file_atomically(
      file, [&](WritableFile& out) { writer.write(out); }, files);
}

std::map<std::string, Tensor> load_tensors(const Path& file_or_directory, at::Device device) {
  const WeightSource source(file_or_directory);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, stored] : source.tensors()) {
    const Tensor view = mapped_tensor(stored);
    tensors[name] = view.to(device, view.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
  }
  return tensors;
}

void load_into(const std::vector<NamedTensor>& module, const Path& file_or_directory, std::string_view what) {
  const WeightSource source(file_or_directory);
  require_agreement(module, source, what);
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : module) tensor.copy_(mapped_tensor(*source.find(name)));
}

}  // namespace tessera
