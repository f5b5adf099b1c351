// Weights between modules and safetensors files. What loads has exactly the module's names and shapes, or nothing loads.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "core/files.h"
#include "tensor/module.h"
#include "tensor/safetensors.h"

namespace tessera {

/// The format of floating-point tensors in a file; `unchanged` keeps each tensor's own. Others (integers, booleans)
/// always stay as they are.
enum class StoredAs { f32, f16, bf16, unchanged };

struct SaveOptions {
  StoredAs stored_as = StoredAs::f32;
  std::map<std::string, std::string> metadata = {};  // into __metadata__
};

/// Writes `tensors` (any device, any strides) beside `file`, syncs and renames it over `file`.
/// Throws FaultError when a finite value is too large for f16, or when the disk fails; `file` is then as it was.
void save_tensors(const Path& file, const std::vector<NamedTensor>& tensors, FileSystem& files = disk(),
                  const SaveOptions& options = {});

/// All tensors of a file or a model directory (also shards), in their stored formats.
std::map<std::string, Tensor> load_tensors(const Path& file_or_directory, at::Device device = at::kCPU);

/// Fills the tensors of a module in place. Floating-point formats are converted to the module's own.
/// `what` opens the message ("codec"). Throws UserError that names the first few missing, unexpected, wrong-shaped and
/// wrong-typed tensors and counts them all; the module is then as it was.
void load_into(const std::vector<NamedTensor>& module, const Path& file_or_directory, std::string_view what);

/// The safetensors name of a LibTorch scalar type. Throws UserError for one that has none (complex numbers).
Dtype dtype_of(at::ScalarType type);
at::ScalarType scalar_type(Dtype dtype);

}  // namespace tessera
