// Answers to requests for text, whole or as a stream of events, in the shapes of OpenAI's API. What is the same in all shapes is here; a
// shape is a subclass.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/json.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/task.h"
#include "text/tokenizer.h"

namespace tessera::serve {

/// "tessera-0.1.0-x86_64": the release and the processor that it is for, of which answers are a function too.
std::string build_name();

/// What is noted of a request; close() counts it and writes its line to the log.
struct RequestLog {
  Metrics* metrics = nullptr;
  std::string client, method, path, model;
  Clock::time_point arrived = Clock::now();
  int64_t prompt_tokens = 0, cached_tokens = 0, new_tokens = 0;
  double queue_seconds = 0, first_seconds = 0;
  void close(int status) const;
};

/// What a failure is to a client.
class ApiError;
ApiError api_error_of(const std::exception_ptr& error);

struct AnswerOptions {
  std::string id, model;
  bool stream = false, usage = false;
  bool notes = false;      // log probabilities are wanted
  size_t choices = 1;      // of all parts together
  Json receipt = nullptr;  // what the answer carries to repeat it; `texts` are added
  Headers headers;         // of every answer
  const text::Tokenizer* tokenizer = nullptr;
};

class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log);
  virtual ~Answer() = default;

  /// Hears of one task, whose choices are counted from `first_choice`.
  std::shared_ptr<Listener> part(size_t first_choice);
  /// Sends the head of a stream, if it is one and that is not done yet.
  void open();
  void fail(const std::exception_ptr& error) noexcept;
  bool gone() const { return closed_ || exchange_->gone(); }

 protected:
  struct Choice {
    std::string text;
    std::vector<TokenNote> notes;
    generate::StopReason reason = generate::StopReason::length;
    bool ended = false;
  };
  // What a shape says; calls come one at a time.
  virtual void on_start() {}
  virtual void on_text(size_t choice, const std::string& text, const std::vector<TokenNote>& notes) = 0;
  virtual void on_choice_end(size_t choice) = 0;
  /// After all: the last events of a stream.
  virtual void on_end() = 0;
  /// The body of an answer that is no stream.
  virtual Json whole() = 0;

  void event(const Json& data, std::string_view name = "");
  void raw_event(std::string_view text);
  Json usage_json() const;
  Json receipt_json() const;
  static std::string finish_reason(generate::StopReason reason);
  const AnswerOptions& options() const { return options_; }
  Choice& choice(size_t index) { return choices_[index]; }
  const std::vector<Choice>& all_choices() const { return choices_; }
  int64_t created() const { return created_; }
  const RequestLog& log() const { return log_; }

 private:
  friend class AnswerPart;
  void started(int64_t prompt_tokens, int64_t cached);
  void text(size_t choice, std::string_view text, std::vector<TokenNote> notes);
  void ended(size_t choice, generate::StopReason reason, int64_t tokens);
  void send_failure(const ApiError& error);
  void close(int status);

  std::shared_ptr<Exchange> exchange_;
  AnswerOptions options_;
  RequestLog log_;
  int64_t created_;
  std::mutex mutex_;
  std::vector<Choice> choices_;
  size_t ended_ = 0, started_ = 0;
  bool open_ = false;
  std::atomic<bool> closed_{false};
};

/// /v1/chat/completions. `tools`: the tools that the request offered, or null.
std::shared_ptr<Answer> make_chat_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log,
                                         Json tools);

/// /v1/completions. `echo`: what stands before the text of each choice, with its notes (the first of which has no log probability).
struct Echo {
  std::string text;
  std::vector<TokenNote> notes;
};
std::shared_ptr<Answer> make_completion_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options,
                                               RequestLog log, std::vector<Echo> echo);

/// /v1/responses. `said`: fields of the request that the response repeats.
std::shared_ptr<Answer> make_response_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log,
                                             Json tools, Json said);

/// {"token": "...", "logprob": -0.1, "bytes": [...]}
Json token_json(const text::Tokenizer& tokenizer, int32_t id, double log_probability);
/// A token's text, or "bytes:\xNN..." where it is no whole UTF-8.
std::string token_text(const text::Tokenizer& tokenizer, int32_t id);

/// A call of a tool that a model wrote: <tool_call>{"name": ..., "arguments": ...}</tool_call>, or the JSON alone as all of the text.
struct ToolCall {
  std::string name, arguments;  // arguments as JSON text
};
/// Calls in a text, which loses them. `tools`: those that were offered; calls of others are left in the text.
std::vector<ToolCall> take_tool_calls(std::string& text, const Json& tools);

}  // namespace tessera::serve
