// Threads that take many short steps together. A parallel region of OpenMP wakes its threads each time, which costs more than a
// small layer; a team is woken once for a whole pass and meets at barriers in between. Where other programs keep its threads waiting for one
// another, the caller goes on alone for a while.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace tessera::nn {

class ThreadTeam {
 public:
  /// `threads` with the caller's own; the others are started by the first run().
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }
  /// Calls `work(index)` on every thread, 0 on the caller's, and returns when all are done; on a crowded machine on the caller's alone. So `work`
  /// takes what there is to do from Shares, whoever else does. It does not throw. One caller at a time.
  void run(const std::function<void(int index)>& work);
  /// Within run(): waits until every thread has come here as often.
  void barrier();

 private:
  void serve(int index);
  void run_together(const std::function<void(int)>& work);
  /// Decides from a run's length and its waits whether the next ones are the caller's alone.
  void judge(int64_t took);
  int size_;
  int active_ = 1;                  // threads of the run under way
  int crowded_runs_ = 0;            // one after the other
  int alone_left_ = 0;              // runs that the caller still does alone
  int alone_next_ = 0;              // how many the next time
  std::atomic<int64_t> waited_{0};  // nanoseconds, of all threads in the run under way
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<uint32_t> runs_{0};      // that were begun
  std::atomic<int> running_{0};        // threads that have not finished the run under way
  std::atomic<int> arrived_{0};        // at the barrier
  std::atomic<uint32_t> barriers_{0};  // that were passed
  std::atomic<bool> leaving_{false};
  std::vector<std::thread> threads_;
};

/// Hands out the numbers 0 to count - 1, `step` at a time, to whoever asks first. Which thread does what changes no result.
class Shares {
 public:
  void reset() { next_.store(0, std::memory_order_relaxed); }
  /// The first of the next `step` numbers.
  int64_t take(int64_t step) { return next_.fetch_add(step, std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<int64_t> next_{0};
};

}  // namespace tessera::nn
