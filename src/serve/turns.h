// Who computes: models that are served side by side share the cores by taking turns, step by step, in the order in which they ask. Two
// teams of threads at once would wait for each other's cores.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace tessera::serve {

class Turns {
 public:
  void take() {
    std::unique_lock lock(mutex_);
    const uint64_t mine = next_++;
    changed_.wait(lock, [&] { return mine == now_; });
  }
  void give() {
    {
      const std::lock_guard lock(mutex_);
      ++now_;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0, now_ = 0;
};

/// A turn for as long as it lives.
class Turn {
 public:
  explicit Turn(Turns& turns) : turns_(&turns) { turns_->take(); }
  ~Turn() { turns_->give(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  /// Lets others go first who wait.
  void pass() {
    turns_->give();
    turns_->take();
  }

 private:
  Turns* turns_;
};

}  // namespace tessera::serve
