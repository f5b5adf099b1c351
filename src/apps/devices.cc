// `tessera devices`: which LibTorch, how many threads, which cards. The smallest heavy verb.
#include "apps/devices.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include "tensor/device.h"

namespace tessera::apps {

int run_devices(const DevicesOptions& options) {
  const Json found = {
      {"libtorch", TORCH_VERSION},
      {"device", parse_device(options.compute.device).str()},
      {"threads", at::get_num_threads()},
      {"cuda_devices", static_cast<int64_t>(at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0)}};
  if (options.output.json) {
    print_json(found);
    return 0;
  }
  for (const auto& [name, value] : found.items()) {
    fmt::print("{:<13} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return 0;
}

}  // namespace tessera::apps
