// Counting choices, opening streams, closing requests: once for all shapes.
#include "serve/answer.h"

#include "core/error.h"
#include "core/log.h"
#include "serve/api_error.h"

namespace tessera::serve {

/// Hands on what is heard of one task.
class AnswerPart final : public Listener {
 public:
  AnswerPart(std::shared_ptr<Answer> answer, size_t first) : answer_(std::move(answer)), first_(first) {}
  void started(int64_t prompt_tokens, int64_t cached) override {
    guarded([&] { answer_->started(prompt_tokens, cached); });
  }
  void text(size_t choice, std::string_view text, std::vector<TokenNote> notes) override {
    guarded([&] { answer_->text(first_ + choice, text, std::move(notes)); });
  }
  void ended(size_t choice, generate::StopReason reason, int64_t tokens) override {
    guarded([&] { answer_->ended(first_ + choice, reason, tokens); });
  }
  void failed(std::exception_ptr error) override { answer_->fail(error); }
  bool gone() const override { return answer_->gone(); }

 private:
  /// What goes wrong with one answer is no matter of the others that the engine works at.
  template <class Act> void guarded(const Act& act) {
    try {
      act();
    } catch (...) {
      answer_->fail(std::current_exception());
    }
  }
  std::shared_ptr<Answer> answer_;
  size_t first_;
};

void RequestLog::close(int status) const {
  const double seconds = seconds_between(arrived, Clock::now());
  if (metrics != nullptr) {
    metrics->answered(path, status);
    metrics->request_seconds.observe(seconds);
  }
  std::string line = fmt::format("{} {} {} {} {:.3f} s", client, method, path, status, seconds);
  if (!model.empty()) line += " " + model;
  if (prompt_tokens > 0)
    line += fmt::format(" prompt {} ({} cached), new {}, first token {:.3f} s", prompt_tokens, cached_tokens,
                        new_tokens, first_seconds);
  if (queue_seconds > 0) line += fmt::format(", its turn {:.3f} s", queue_seconds);
  log_info("{}", line);
}

ApiError api_error_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ApiError& known) {
    return known;
  } catch (const UserError& mistake) {
    return ApiError(400, mistake.what());
  } catch (const std::bad_alloc&) {
    return ApiError(503, "not enough memory");
  } catch (const std::exception& fault) {
    const std::string what = fault.what();
    return ApiError(500, what.substr(0, what.find('\n')));
  } catch (...) {
    return ApiError(500, "an unknown fault");
  }
}

Answer::Answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log)
    : exchange_(std::move(exchange)), options_(std::move(options)), log_(std::move(log)),
      created_(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                   .count()),
      choices_(options_.choices) {}

std::shared_ptr<Listener> Answer::part(size_t first_choice) {
  return std::make_shared<AnswerPart>(shared_from_this(), first_choice);
}

void Answer::open() {
  const std::lock_guard lock(mutex_);
  if (open_ || closed_ || !options_.stream) return;
  open_ = true;
  Headers headers = options_.headers;
  headers.emplace_back("Content-Type", "text/event-stream; charset=utf-8");
  headers.emplace_back("Cache-Control", "no-store");
  headers.emplace_back("X-Accel-Buffering", "no");
  exchange_->begin(200, headers, ": still at work\n\n");
}

void Answer::started(int64_t prompt_tokens, int64_t cached) {
  open();
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (started_++ == 0) {
    log_.queue_seconds = seconds_between(log_.arrived, Clock::now());
    on_start();
  }
  log_.prompt_tokens += prompt_tokens;
  log_.cached_tokens += cached;
}

void Answer::text(size_t index, std::string_view text, std::vector<TokenNote> notes) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  if (log_.first_seconds == 0) log_.first_seconds = seconds_between(log_.arrived, Clock::now());
  Choice& choice = choices_[index];
  choice.text += text;
  on_text(index, std::string(text), notes);
  choice.notes.insert(choice.notes.end(), std::make_move_iterator(notes.begin()), std::make_move_iterator(notes.end()));
}

void Answer::ended(size_t index, generate::StopReason reason, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  Choice& choice = choices_[index];
  if (choice.ended) return;
  choice.ended = true;
  choice.reason = reason;
  log_.new_tokens += tokens;
  on_choice_end(index);
  if (++ended_ < choices_.size()) return;
  if (options_.stream) {
    on_end();
    close(exchange_->gone() ? 499 : 200);
    exchange_->end();
  } else {
    Headers headers = options_.headers;
    headers.emplace_back("Content-Type", "application/json");
    headers.emplace_back("Cache-Control", "no-store");
    HttpReply reply{.status = 200, .headers = std::move(headers), .body = wire(whole())};
    close(exchange_->gone() ? 499 : 200);
    exchange_->reply(std::move(reply));
  }
}

void Answer::fail(const std::exception_ptr& failure) noexcept {
  try {
    send_failure(api_error_of(failure));
  } catch (...) {  // no memory for so much as a message: whoever waits is told by the connection's end
    closed_ = true;
  }
}

void Answer::send_failure(const ApiError& error) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  close(exchange_->gone() ? 499 : error.status());
  if (open_) {
    event(error.json());
    exchange_->end();
  } else {
    HttpReply reply = error.reply();
    reply.headers.insert(reply.headers.end(), options_.headers.begin(), options_.headers.end());
    exchange_->reply(std::move(reply));
  }
}

void Answer::close(int status) {
  closed_ = true;
  log_.close(status);
}

void Answer::event(const Json& data, std::string_view name) {
  std::string text;
  if (!name.empty()) text += "event: " + std::string(name) + "\n";
  exchange_->write(text + "data: " + wire(data) + "\n\n");
}

void Answer::raw_event(std::string_view text) { exchange_->write("data: " + std::string(text) + "\n\n"); }

Json Answer::usage_json() const {
  return {{"prompt_tokens", log_.prompt_tokens},
          {"completion_tokens", log_.new_tokens},
          {"total_tokens", log_.prompt_tokens + log_.new_tokens},
          {"prompt_tokens_details", {{"cached_tokens", log_.cached_tokens}, {"audio_tokens", 0}}},
          {"completion_tokens_details",
           {{"reasoning_tokens", 0},
            {"audio_tokens", 0},
            {"accepted_prediction_tokens", 0},
            {"rejected_prediction_tokens", 0}}}};
}

Json Answer::receipt_json() const {
  Json receipt = options_.receipt;
  receipt["texts"] = Json::array();
  for (const Choice& choice : choices_) receipt["texts"].push_back(choice.text);
  return receipt;
}

std::string Answer::finish_reason(generate::StopReason reason) {
  return reason == generate::StopReason::length ? "length" : "stop";
}

std::string token_text(const text::Tokenizer& tokenizer, int32_t id) {
  const std::string bytes = tokenizer.text_of(id, false);
  if (Json(bytes).dump(-1, ' ', false, Json::error_handler_t::ignore) == wire(Json(bytes))) return bytes;
  std::string text = "bytes:";
  for (const char c : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text;
}

Json token_json(const text::Tokenizer& tokenizer, int32_t id, double log_probability) {
  const std::string bytes = tokenizer.text_of(id, false);
  Json list = Json::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  // the least that JSON can say of a token that cannot come
  return {{"token", bytes}, {"logprob", std::max(log_probability, -9999.0)}, {"bytes", std::move(list)}};
}

}  // namespace tessera::serve
