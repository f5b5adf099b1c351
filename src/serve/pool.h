// A few threads that work through a list: requests are read, and their words turned into tokens, beside input and output.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tessera::serve {

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  /// What waits is not begun.
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
    }
    woken_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  /// `work` throws nothing.
  void run(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    woken_.notify_one();
  }

 private:
  void serve() {
    while (true) {
      std::unique_lock lock(mutex_);
      woken_.wait(lock, [&] { return leaving_ || !work_.empty(); });
      if (leaving_) return;
      const std::function<void()> work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
    }
  }
  std::mutex mutex_;
  std::condition_variable woken_;
  std::deque<std::function<void()>> work_;
  bool leaving_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tessera::serve
