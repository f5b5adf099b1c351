// Threads spin for some microseconds, then give way: on a machine that others use too, the one that is waited for needs the core.
#include "nn/kernels/thread_team.h"

#include <algorithm>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tessera::nn {

namespace {

constexpr int spins_before_yielding = 4000;  // about 50 microseconds of pauses
constexpr int yields_before_sleeping = 50;
constexpr int crowded_runs_before_alone = 2;
constexpr int fewest_alone = 32, most_alone = 4096;  // runs, before the others are tried again
constexpr int64_t least_wait = 1'000'000;            // nanoseconds of a run; less is no matter

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `done()`, without sleeping. Returns the nanoseconds that it took beyond the first spins.
template <class Done> int64_t spin_until(Done done) {
  for (int i = 0; i < spins_before_yielding; ++i) {
    if (done()) return 0;
    pause_briefly();
  }
  const int64_t began = now();
  while (!done()) std::this_thread::yield();
  return now() - began;
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) : size_(threads < 1 ? 1 : threads), alone_next_(fewest_alone) {}

ThreadTeam::~ThreadTeam() {
  leaving_ = true;
  ++runs_;
  runs_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run(const std::function<void(int)>& work) {
  if (size_ == 1 || alone_left_ > 0) {
    alone_left_ = std::max(0, alone_left_ - 1);
    active_ = 1;
    work(0);
    return;
  }
  const bool first = threads_.empty();
  const int64_t began = now();
  run_together(work);
  if (!first) judge(now() - began);  // the first run waits for threads to be made
}

void ThreadTeam::run_together(const std::function<void(int)>& work) {
  work_ = &work;
  active_ = size_;
  waited_.store(0, std::memory_order_relaxed);
  running_.store(size_ - 1, std::memory_order_relaxed);
  runs_.fetch_add(1, std::memory_order_release);
  runs_.notify_all();
  while (static_cast<int>(threads_.size()) < size_ - 1)
    threads_.emplace_back([this, index = static_cast<int>(threads_.size()) + 1] { serve(index); });
  work(0);
  waited_ += spin_until([&] { return running_.load(std::memory_order_acquire) == 0; });
}

void ThreadTeam::judge(int64_t took) {
  const int64_t waited = waited_.load(std::memory_order_relaxed);
  if (waited < least_wait || waited / size_ < took / 3) {
    crowded_runs_ = 0;
    alone_next_ = fewest_alone;
    return;
  }
  if (++crowded_runs_ < crowded_runs_before_alone) return;
  alone_left_ = alone_next_;
  alone_next_ = std::min(2 * alone_next_, most_alone);
}

void ThreadTeam::barrier() {
  if (active_ == 1) return;
  const uint32_t passed = barriers_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    barriers_.store(passed + 1, std::memory_order_release);
  } else {
    const int64_t waited = spin_until([&] { return barriers_.load(std::memory_order_acquire) != passed; });
    if (waited > 0) waited_.fetch_add(waited, std::memory_order_relaxed);
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
