// Threads spin for some microseconds, then give way: on a machine that others use too, the one that is waited for needs the core.
#include "nn/kernels/thread_team.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::nn {

namespace {

constexpr int spins_before_yielding = 4000;  // about 50 microseconds of pauses
constexpr int yields_before_sleeping = 50;

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `done()`, without sleeping.
template <class Done> void spin_until(Done done) {
  for (int i = 0; !done(); ++i) {
    if (i < spins_before_yielding) pause_briefly();
    else std::this_thread::yield();
  }
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) : size_(threads < 1 ? 1 : threads) {}

ThreadTeam::~ThreadTeam() {
  leaving_ = true;
  ++runs_;
  runs_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run(const std::function<void(int)>& work) {
  work_ = &work;
  running_.store(size_ - 1, std::memory_order_relaxed);
  runs_.fetch_add(1, std::memory_order_release);
  runs_.notify_all();
  while (static_cast<int>(threads_.size()) < size_ - 1)
    threads_.emplace_back([this, index = static_cast<int>(threads_.size()) + 1] { serve(index); });
  work(0);
  spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
}

void ThreadTeam::barrier() {
  if (size_ == 1) return;
  const uint32_t passed = barriers_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    barriers_.store(passed + 1, std::memory_order_release);
  } else {
    spin_until([&] { return barriers_.load(std::memory_order_acquire) != passed; });
  }
}

void ThreadTeam::serve(int index) {
  uint32_t seen = 0;  // threads are started within the first run, which they take part in
  while (true) {
    int waits = 0;
    while (runs_.load(std::memory_order_acquire) == seen) {
      if (waits < spins_before_yielding) pause_briefly();
      else if (waits < spins_before_yielding + yields_before_sleeping) std::this_thread::yield();
      else runs_.wait(seen, std::memory_order_acquire);
      ++waits;
    }
    seen = runs_.load(std::memory_order_acquire);
    if (leaving_.load(std::memory_order_relaxed)) return;
    (*work_)(index);
    running_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

}  // namespace tessera::nn
