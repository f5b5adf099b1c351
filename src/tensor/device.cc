// Device and thread selection.
#include "tensor/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <string>

#include "core/error.h"

namespace tessera {

at::Device parse_device(std::string_view name) {
  if (name == "auto") return at::Device(at::hasCUDA() ? at::kCUDA : at::kCPU);
  if (name != "cpu" && name.substr(0, 4) != "cuda")
    throw UserError("[device] unknown device '{}', want auto, cpu, cuda or cuda:N", name);
  if (name != "cpu" && !at::hasCUDA())
    throw UserError("[device] '{}' was asked for, but no CUDA card is visible; use --device cpu", name);
  try {
    return at::Device(std::string(name));
  } catch (const c10::Error&) {
    throw UserError("[device] unknown device '{}', want auto, cpu, cuda or cuda:N", name);
  }
}

void set_threads(int threads) {
  if (threads > 0) at::set_num_threads(threads);
}

}  // namespace tessera
