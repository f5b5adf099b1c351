// `tessera devices`: which LibTorch, how many threads, which cards. The smallest heavy verb.
#include "apps/devices.h"

#include <dlfcn.h>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include "tensor/device.h"

namespace tessera::apps {

namespace {
/// The folder of the LibTorch that was found.
std::string libtorch_folder() {
  Dl_info found{};
  if (::dladdr(reinterpret_cast<const void*>(&at::get_num_threads), &found) == 0 || found.dli_fname == nullptr)
    return "";
  return std::filesystem::path(found.dli_fname).parent_path().parent_path().lexically_normal().string();
}
}  // namespace

int run_devices(const DevicesOptions& options) {
  const Json found = {
      {"libtorch", TORCH_VERSION},
      {"libtorch_folder", libtorch_folder()},
      {"device", parse_device(options.compute.device).str()},
      {"threads", at::get_num_threads()},
      {"cuda_devices", static_cast<int64_t>(at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0)}};
  if (options.output.json) {
    print_json(found);
    return 0;
  }
  for (const auto& [name, value] : found.items()) {
    fmt::print("{:<15} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return 0;
}

}  // namespace tessera::apps
