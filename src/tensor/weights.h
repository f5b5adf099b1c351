// Weights between modules and files: saved as safetensors, read from any source. What loads has exactly the module's names and
// shapes, or nothing loads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "core/files.h"
#include "tensor/module.h"
#include "tensor/safetensors.h"
#include "tensor/weight_source.h"

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

/// A place for a tensor: in files it has this name and the placeholder's shape; a module built on the meta device is
/// full of them.
struct TensorSlot {
  std::string name;
  Tensor* tensor;
};

template <HasTensors M> std::vector<TensorSlot> tensor_slots(M& module, const std::string& prefix = "") {
  std::vector<TensorSlot> all;
  for_each_tensor(
      module,
      [&](const std::string& name, Tensor& t) {
        all.push_back({name, &t});
      },
      prefix);
  return all;
}

struct MapOptions {
  at::Device device = at::kCPU;
  /// Of floating-point tensors; absent: as stored.
  std::optional<at::ScalarType> format = {};
  /// The tensors are to be written into: copies in memory of their own. Otherwise they may be read-only views of the
  /// file, and writing into one ends the process.
  bool writable = false;
  /// On the CPU and where there is memory for it: copies in large pages (tensor/large_pages.h) instead of views, for weights that are
  /// read again and again.
  bool copied = false;
  /// Refuse NaN and infinity. Reads every page of the files once.
  bool check_numbers = true;
  /// Slots whose tensors stay in the format that they are stored in, whatever `format` says.
  std::function<bool(std::string_view name)> as_stored = {};
};

/// Replaces the tensor of every slot by the stored one: what is stored in the format that it runs in is a view of the file unless
/// the options ask for a copy. The file's pages go back to the system as they are copied. `what` opens messages ("lm"). Throws
/// UserError, as require_agreement() does, and for numbers that are not finite (names the file and the tensor and counts them); no
/// slot has then changed.
void map_weights(const std::vector<TensorSlot>& slots, const WeightSource& source, std::string_view what,
                 const MapOptions& options);

/// One stored tensor of plain numbers, on the CPU: a view of the file, which stays mapped as long as the view lives; a copy where
/// its numbers are not aligned in the file. Not to be written into.
Tensor mapped_tensor(const StoredTensor& stored);

/// Throws UserError that names the first few missing, unexpected, wrong-shaped and wrong-typed tensors and counts them
/// all. `what` opens the message ("codec"). Floating-point formats agree with each other; others only with themselves.
void require_agreement(const std::vector<NamedTensor>& module, const WeightSource& source, std::string_view what);

/// How many of the numbers of a stored floating-point tensor are NaN or infinite; 0 for integers. All cores.
int64_t count_non_finite(const StoredTensor& stored);

/// The safetensors name of a LibTorch scalar type. Throws UserError for one that has none (complex numbers).
Dtype dtype_of(at::ScalarType type);
/// Throws UserError for a format that is only listed.
at::ScalarType scalar_type(Dtype dtype);

}  // namespace tessera
