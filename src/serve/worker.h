// One loaded model and the thread that works with it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "generate/json/token_trie.h"
#include "generate/token_sampling.h"
#include "models/capabilities.h"
#include "serve/text_engine.h"
#include "serve/turns.h"

namespace tessera::serve {

/// What a client may ask of a model, and what is said of it.
struct ModelCard {
  std::string name;
  std::string type;       // model_type
  std::string precision;  // how it is held: "auto", "fp32", "bf16"
  std::string hash;       // of its files, SHA-256 in 64 hexadecimal digits
  bool writes = false, chats = false, sees = false, draws = false;
  bool must_see = false;  // its recipe says that it has learnt nothing but answers about pictures and clips
  int64_t context = 0;
  int64_t created = 0;               // seconds since 1970: when its files were written
  generate::TokenSampling sampling;  // of requests that say nothing of it, where it writes
};

class Worker {
 public:
  /// Throws UserError where the model does not write and has no memory to be given.
  Worker(std::unique_ptr<LoadedModel> model, ModelCard card, const EngineOptions& options, Turns& turns,
         Metrics& metrics);
  /// Ends what is under way.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const ModelCard& card() const { return card_; }
  /// The model's Writes. Throws ApiError 400, which lists what the model can do.
  const Writes& writes(std::string_view wanted = "write") const;
  const Sees& sees() const;
  const Draws& draws() const;

  /// The vocabulary as constraints want it; made by the first who asks.
  std::shared_ptr<const generate::TokenTrie> token_trie() const;

  /// Requests for text. Throws ApiError as TextEngine::submit does.
  void submit(TextTask task);
  int64_t positions() const { return engine_ ? engine_->positions() : 0; }
  /// Requests that its queue holds.
  size_t queue() const { return engine_ ? engine_->queue() : 0; }
  /// Other work with the model, one after another, between the steps of text. `work` is given the turn that it has, to pass on where it takes
  /// long; it answers its own faults. Throws ApiError 429 when too much waits. `goes_on`: work that was taken already and lets a step go first.
  void run(std::function<void(Turn& turn)> work, bool goes_on = false);

  size_t waiting() const;
  size_t running() const;
  /// Whether no request that was taken is left.
  bool idle() const { return in_use_.use_count() == 1; }
  /// Positions that sequences hold.
  int64_t held() const { return held_; }

 private:
  void serve();
  [[noreturn]] void refuse(std::string_view wanted) const;
  std::unique_ptr<LoadedModel> model_;
  ModelCard card_;
  size_t most_waiting_;
  Turns* turns_;
  std::unique_ptr<TextEngine> engine_;
  std::shared_ptr<void> in_use_ = std::make_shared<int>(0);  // requests hold it too
  mutable std::once_flag trie_once_;
  mutable std::shared_ptr<const generate::TokenTrie> trie_;
  mutable std::mutex mutex_;
  std::condition_variable woken_;
  std::deque<std::function<void(Turn&)>> work_;
  bool wake_ = false, leaving_ = false, working_ = false;
  std::atomic<int64_t> held_{0};
  std::thread thread_;
};

/// "chat, write": what a model can do.
std::string abilities_of(const ModelCard& card);

}  // namespace tessera::serve
