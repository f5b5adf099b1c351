// Weights straight from the mapped file: what is stored in the format that it runs in is never copied.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "tensor/module.h"
#include "tensor/stored_tensors.h"

namespace tessera {

/// Throws UserError that names the first few missing, unexpected, wrong-shaped and wrong-typed tensors and counts them
/// all. `what` opens the message ("codec"), `path` is in it. Stored tensors for which `passed_over` is true are not
/// unexpected. Floating-point formats agree with each other; others only with themselves.
void require_agreement(const std::vector<NamedTensor>& module, const StoredTensors& stored, const Path& path,
                       std::string_view what, const std::function<bool(std::string_view)>& passed_over = {});

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
  /// Refuse NaN and infinity. Reads every page of the files once.
  bool check_numbers = true;
  /// Stored tensors that no slot needs and that are no fault.
  std::function<bool(std::string_view name)> passed_over = {};
};

/// Replaces the tensor of every slot by the stored one. The files stay mapped as long as a view of them lives.
/// `what` opens messages ("lm"), `path` is in them. Throws UserError, as require_agreement() does, and for numbers that
/// are not finite (names the tensor and counts them); no slot has then changed.
void map_weights(const std::vector<TensorSlot>& slots, const std::shared_ptr<const StoredTensors>& stored,
                 const Path& path, std::string_view what, const MapOptions& options);

/// One stored tensor on the CPU as it is stored: a view of the file, which stays mapped as long as the view lives; a copy where
/// its numbers are not aligned in the file. Not to be written into.
Tensor mapped_tensor(const std::shared_ptr<const StoredTensors>& stored, const StoredTensors::Item& item);

/// How many of the numbers of a stored floating-point tensor are NaN or infinite; 0 for integers. All cores.
int64_t count_non_finite(const StoredTensors::Item& item);

}  // namespace tessera
