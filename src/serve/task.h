// A request for text on its way through the engine, and what is heard of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "generate/text_sequence.h"

namespace tessera::serve {

using Clock = std::chrono::steady_clock;
inline double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A token with its log probability in the model's own distribution, before temperature and filters.
struct TokenNote {
  int32_t id = 0;
  double log_probability = 0;
  std::vector<std::pair<int32_t, double>> top;  // the most likely ones, the first first
};

/// Hears what becomes of a request. The engine's thread calls; nothing may be thrown.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The prompt is read; `cached` positions of it were known.
  virtual void started(int64_t /*prompt_tokens*/, int64_t /*cached*/) {}
  /// Whole characters of one choice, with the tokens that they are of where those are wanted.
  virtual void text(size_t choice, std::string_view text, std::vector<TokenNote> notes) = 0;
  virtual void ended(size_t choice, generate::StopReason reason, int64_t tokens) = 0;
  /// Nothing more comes.
  virtual void failed(std::exception_ptr error) = 0;
  /// Nobody wants it any more.
  virtual bool gone() const = 0;
};

struct TextTask {
  std::string client;                     // takes turns with other clients
  generate::Prompt prompt;                // of ids, or
  std::function<generate::Prompt()> see;  // what computes it when its turn has come
  int64_t prompt_length = 0;
  generate::TextOptions options;  // completed by the model; no callbacks
  int64_t choices = 1;            // choice c draws by (seed, c)
  int64_t notes = -1;             // most likely tokens in each note; -1: no notes
  std::shared_ptr<Listener> listener;
  std::shared_ptr<void> lease;  // of the model, which stays as long as somebody holds one
  Clock::time_point arrived = Clock::now();
};

}  // namespace tessera::serve
