// Device and thread selection.
#include "tensor/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <string>
#include <thread>

#include "core/error.h"

namespace tessera {

namespace {
/// fp32 is fp32 on cards too: by default LibTorch convolves there in TF32, with 10 bits of mantissa, though it multiplies in fp32. And
/// no attention by cuDNN: with a mask its gradients in bf16 were NaN (LibTorch 2.11, H100), and steps took twice as long as without it.
at::Device exact(at::Device device) {
  if (!device.is_cuda()) return device;
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setSDPUseCuDNN(false);
  return device;
}
}  // namespace

at::Device parse_device(std::string_view name) {
  if (name == "auto") return exact(at::hasCUDA() ? at::kCUDA : at::kCPU);
  if (name != "cpu" && name.substr(0, 4) != "cuda")
    throw UserError("[device] unknown device '{}', want auto, cpu, cuda or cuda:N", name);
  if (name != "cpu" && !at::hasCUDA())
    throw UserError("[device] '{}' was asked for, but no CUDA card is visible; use --device cpu", name);
  try {
    return exact(at::Device(std::string(name)));
  } catch (const c10::Error&) {
    throw UserError("[device] unknown device '{}', want auto, cpu, cuda or cuda:N", name);
  }
}

bool multiplies_bfloat16(at::Device device) {
  if (device.is_cuda()) return true;
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512bf16");  // AMX comes with it
#else
  return false;
#endif
}

NoAutocast::NoAutocast(at::Device device) : type_(device.type()), on_(at::autocast::is_autocast_enabled(type_)) {
  at::autocast::set_autocast_enabled(type_, false);
}
NoAutocast::~NoAutocast() { at::autocast::set_autocast_enabled(type_, on_); }

void set_threads(int threads) {
  const int most = 8 * std::max(8, static_cast<int>(std::thread::hardware_concurrency()));
  if (threads < 0 || threads > most)
    throw UserError("[device] --threads is {}, want 0 (one for each core) to {}", threads, most);
  if (threads > 0) at::set_num_threads(threads);
}

}  // namespace tessera
