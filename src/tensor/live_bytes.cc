// LibTorch's own hook for memory profilers.
#include "tensor/live_bytes.h"

#include <algorithm>
#include <atomic>

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace tessera {

namespace {
class Counter final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device device) override {
    if (device.type() != c10::kCPU) return;
    const int64_t now = now_ += bytes;
    int64_t seen = peak_;
    while (now > seen && !peak_.compare_exchange_weak(seen, now)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

  std::atomic<int64_t> now_ = 0, peak_ = 0;
};
}  // namespace

struct LiveBytes::State {
  std::shared_ptr<Counter> counter = std::make_shared<Counter>();
  c10::DebugInfoGuard guard{c10::DebugInfoKind::PROFILER_STATE, counter};
};

LiveBytes::LiveBytes() : state_(std::make_unique<State>()) {}
LiveBytes::~LiveBytes() = default;
int64_t LiveBytes::now() const { return state_->counter->now_; }
int64_t LiveBytes::peak() const { return state_->counter->peak_; }
void LiveBytes::reset_peak() { state_->counter->peak_ = state_->counter->now_.load(); }

}  // namespace tessera
