// Tensors are cut one after another from stretches of address space; a page that nobody has written into is not in memory yet.
#include "tensor/large_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <mutex>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

namespace tessera {

namespace {

constexpr size_t page = 2u << 20, usual_stretch = 64u << 20, alignment = 64;

size_t rounded_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

class Stretch {
 public:
  /// Null where the system has no such memory.
  static std::shared_ptr<Stretch> of(size_t bytes) {
    void* const mapped =
        ::mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    return std::shared_ptr<Stretch>(new Stretch(mapped, bytes));
  }
  ~Stretch() { ::munmap(mapped_, size_ + page); }
  Stretch(const Stretch&) = delete;
  Stretch& operator=(const Stretch&) = delete;

  /// Null where there is no room left.
  void* take(size_t bytes) {
    if (bytes > size_ - used_) return nullptr;
    void* const taken = start_ + used_;
    used_ += rounded_up(bytes, alignment);
    used_ = std::min(used_, size_);
    return taken;
  }

 private:
  Stretch(void* mapped, size_t bytes) : mapped_(mapped), size_(bytes) {
    const auto address = reinterpret_cast<uintptr_t>(mapped);
    start_ = static_cast<char*>(mapped) + (rounded_up(address, page) - address);
#if defined(MADV_HUGEPAGE)
    ::madvise(start_, size_, MADV_HUGEPAGE);
#endif
  }
  void* mapped_;
  char* start_;
  size_t size_, used_ = 0;
};

struct Current {
  std::mutex mutex;
  std::weak_ptr<Stretch> stretch;
};

Current& current() {
  static auto* one = new Current;  // tensors may be freed while the program ends
  return *one;
}

}  // namespace

Tensor empty_in_large_pages(at::IntArrayRef shape, at::ScalarType type) {
  const auto bytes = static_cast<size_t>(c10::multiply_integers(shape)) * c10::elementSize(type);
  const std::lock_guard lock(current().mutex);
  std::shared_ptr<Stretch> stretch = current().stretch.lock();
  void* taken = stretch == nullptr ? nullptr : stretch->take(bytes);
  if (taken == nullptr) {
    stretch = Stretch::of(std::max(usual_stretch, rounded_up(bytes, page)));
    if (stretch == nullptr) return at::empty(shape, type);
    taken = stretch->take(bytes);
    current().stretch = stretch;
  }
  return at::from_blob(
      taken, shape, [stretch](void*) {}, at::TensorOptions(type));
}

}  // namespace tessera
