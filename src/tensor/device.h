// Where tensors live and how many threads work on them.
#pragma once

#include <string_view>

#include <c10/core/Device.h>

namespace tessera {

/// "cpu", "cuda", "cuda:1", or "auto" (CUDA when there is a card). Throws UserError for another word or an absent card.
at::Device parse_device(std::string_view name);
/// Whether the device has instructions for products in bfloat16. Without them LibTorch does the products one by one: some nine times as
/// slow as in fp32.
bool multiplies_bfloat16(at::Device device);
/// While it lives, nothing on `device` is computed in fewer bits than its tensors have, whatever the training around it does.
class NoAutocast {
 public:
  explicit NoAutocast(at::Device device);
  ~NoAutocast();
  NoAutocast(const NoAutocast&) = delete;
  NoAutocast& operator=(const NoAutocast&) = delete;

 private:
  at::DeviceType type_;
  bool on_;
};
/// 0 leaves LibTorch's own choice (one thread per core).
void set_threads(int threads);

}  // namespace tessera
