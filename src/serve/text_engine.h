// Continuous batching: who joins the running sequences, and how much of new prompts is read between two steps. A policy over
// generate::IdLoop, which alone draws tokens. What a request gets does not depend on it.
#pragma once

#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "generate/ngram_guess.h"
#include "models/capabilities.h"
#include "serve/metrics.h"
#include "serve/served_sequence.h"
#include "serve/task.h"

namespace tessera::serve {

/// Positions in which memory for keys and values is handed out.
inline constexpr int64_t memory_block = 64;

struct EngineOptions {
  int64_t positions = 0;  // of keys and values, for which there is memory
  int64_t rows = 32;      // sequences that run at once
  /// Positions of a step: those of running sequences, then of prompts; one piece of a prompt at least.
  int64_t step_tokens = 256;
  int64_t speculate = 2;  // sequences that run at once at most for n-grams to be guessed; 0: never
  size_t queue = 256;     // requests that wait
};

/// One model's requests. submit() may be called from any thread; everything else belongs to the engine's.
class TextEngine {
 public:
  /// `writes` must outlive it.
  TextEngine(const Writes& writes, const EngineOptions& options, Metrics& metrics);
  ~TextEngine();

  /// Throws ApiError: 400 for a request that the memory can never hold, 429 when the queue is full.
  void submit(TextTask task);
  /// One step: those that left go, those who wait join as there is room, every running sequence gets one token, and some positions of
  /// prompts are read. False when there was nothing to do. Throws nothing: a fault of one request ends that request; a fault of the model
  /// ends those that run, and the next step begins with fresh memory.
  bool step() noexcept;
  /// Requests that wait, and sequences that run or whose prompts are read.
  size_t waiting() const;
  size_t running() const { return running_; }
  /// Positions of blocks that are held by sequences.
  int64_t held() const { return steps_ ? steps_->held() : 0; }
  /// Positions that a request may have at most.
  int64_t positions() const { return options_.positions; }
  /// Requests that may wait.
  size_t queue() const { return options_.queue; }

 private:
  /// A request whose turn has come.
  struct Active {
    TextTask task;
    std::vector<std::unique_ptr<ServedSequence>> sequences;
    size_t joined = 0;     // of the sequences
    int64_t reserved = 0;  // positions
    int64_t known = 0;     // of the first sequence's prompt
    bool started = false;
    Clock::time_point began;
  };
  bool advance();
  void take_memory();
  void give_up(const std::exception_ptr& error);
  void fail_waiting(const std::exception_ptr& error);
  bool admit();
  void begin(TextTask task, int64_t reserved);
  void read_prompts();
  void join(const std::vector<Active*>& ready);
  void drop_gone();
  void fail_faulty();
  void clear_finished();
  void fail_all(const std::exception_ptr& error);
  int64_t reservation(const TextTask& task) const;

  const Writes* writes_;
  EngineOptions options_;
  Metrics* metrics_;
  std::unique_ptr<generate::TokenSteps> steps_;
  std::unique_ptr<generate::IdLoop> loop_;
  generate::NgramGuess guess_;
  std::list<Active> active_;
  int64_t reserved_ = 0;
  std::atomic<size_t> running_{0};

  mutable std::mutex mutex_;  // of what submit() touches
  std::map<std::string, std::deque<TextTask>> queues_;
  std::deque<std::string> turns_;  // clients with requests that wait
  size_t waiting_ = 0;
};

}  // namespace tessera::serve
