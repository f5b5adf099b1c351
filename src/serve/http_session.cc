// Boost.Beast reads requests; answers are written as bytes. What must stay true: only the thread of input and output touches a session.
#include "serve/http_session.h"

#include <algorithm>
#include <ctime>

#include <boost/asio/post.hpp>

namespace tessera::serve {

namespace {

std::string date_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

struct Target {
  std::string_view host, rest;  // host: "" unless the target names one
};

/// "http://host/path?query", as clients of proxies write it, or "/path?query" (RFC 9112, 3.2).
Target target_of(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!boost::beast::iequals(text.substr(0, scheme.size()), scheme)) continue;
    text.remove_prefix(scheme.size());
    const size_t end = std::min(text.find_first_of("/?"), text.size());
    return {.host = text.substr(0, end), .rest = text.substr(end)};
  }
  return {.host = {}, .rest = text};
}

class BeastExchange final : public Exchange {
 public:
  BeastExchange(std::shared_ptr<Hub> hub, std::weak_ptr<Session> session, uint64_t number, HttpRequest request,
                std::shared_ptr<std::atomic<bool>> gone)
      : hub_(std::move(hub)), session_(std::move(session)), number_(number), request_(std::move(request)),
        gone_(std::move(gone)) {}

  ~BeastExchange() override {
    post([number = number_](Session& session) { session.abandon(number); });
  }

  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    post([number = number_, reply = std::move(reply)](Session& session) { session.reply(number, reply); });
  }
  void begin(int status, const Headers& headers, std::string heartbeat) override {
    post([number = number_, status, headers, heartbeat = std::move(heartbeat)](Session& session) {
      session.begin(number, status, headers, heartbeat);
    });
  }
  void write(std::string bytes) override {
    if (bytes.empty()) return;
    post([number = number_, bytes = std::move(bytes)](Session& session) mutable {
      session.write(number, std::move(bytes));
    });
  }
  void end() override {
    post([number = number_](Session& session) { session.end(number); });
  }
  bool gone() const override { return gone_->load(std::memory_order_relaxed); }

 private:
  template <class Work> void post(Work work) {
    asio::post(hub_->io, [session = session_, work = std::move(work)]() mutable {
      if (const auto living = session.lock()) work(*living);
    });
  }
  std::shared_ptr<Hub> hub_;
  std::weak_ptr<Session> session_;
  uint64_t number_;
  HttpRequest request_;
  std::shared_ptr<std::atomic<bool>> gone_;
};

}  // namespace

/// A connection may be quiet for longer than a head may take.
void Session::wait_for_head(double seconds) {
  if (hub_->draining) return close();
  if (buffer_.size() > 0) return read_head();  // sent in advance
  state_ = State::idle;
  deadline_ = in_seconds(seconds);
  socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    if (self->state_ == State::closed) return;
    if (error) return self->close();
    self->buffer_.commit(bytes);
    self->read_head();
  });
}

void Session::read_head() {
  state_ = State::head;
  deadline_ = in_seconds(hub_->options.head_seconds);
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(hub_->options.header_bytes));
  parser_->body_limit(hub_->options.body_bytes);
  http::async_read_header(socket_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) { self->on_head(error); });
}

HttpRequest Session::request_of_head() const {
  const auto& message = parser_->get();
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.peer = peer_;
  request.local = local_;
  const auto [host, target] = target_of({message.target().data(), message.target().size()});
  const size_t mark = target.find('?');
  request.path = percent_decoded(target.substr(0, mark)).value_or("");
  if (request.path.empty() && !host.empty()) request.path = "/";
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  if (!host.empty()) request.headers.emplace_back("host", host);  // the first of a name counts
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    request.headers.emplace_back(std::move(name), std::string(field.value()));
  }
  request.old = message.version() < 11;
  return request;
}

void Session::on_parse_error(ErrorCode error) {
  const auto answer = [&](int status, const std::string& text) {
    last_ = true;
    drain_after_ = true;
    send_reply(error_reply(status, text), false);
  };
  if (error == http::error::body_limit) {
    answer(413,
           "the body is longer than this server's limit of " + std::to_string(hub_->options.body_bytes) + " bytes");
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    answer(431,
           "the head is longer than this server's limit of " + std::to_string(hub_->options.header_bytes) + " bytes");
  } else if (error.category() == make_error_code(http::error::bad_version).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    answer(400, "this is not HTTP/1.1: " + error.message());
  } else {
    close();
  }
}

void Session::on_head(ErrorCode error) {
  if (state_ == State::closed) return;
  if (error) return on_parse_error(error);
  const auto& message = parser_->get();
  HttpRequest head = request_of_head();
  old_ = head.old;
  last_ = !message.keep_alive();
  head_only_ = head.method == "HEAD";
  begun_ = ended_ = false;
  if (head.path.empty()) {
    drain_after_ = last_ = true;
    return send_reply(error_reply(400, "the target is no path"), head_only_);
  }
  if (message.count(http::field::host) > 1) {  // RFC 9112, 3.2
    drain_after_ = last_ = true;
    return send_reply(error_reply(400, "two Host fields, want one"), head_only_);
  }
  if (hub_->check) {
    if (const auto refused = hub_->check(head)) {
      if (!parser_->is_done()) drain_after_ = last_ = true;  // the body is not read
      return send_reply(*refused, head_only_);
    }
  }
  if (parser_->is_done()) return hand_over();
  const auto length = parser_->content_length();
  state_ = State::body;
  deadline_ = in_seconds(hub_->options.body_seconds);
  if (!promise(length ? static_cast<size_t>(*length) : 0)) return;
  if (head.header("expect") == "100-continue") send("HTTP/1.1 100 Continue\r\n\r\n");
  if (length) read_body();
  else read_chunks();
}

/// Sets aside so many bytes for the body. False where all bodies together would then be too large, which is answered.
bool Session::promise(size_t bytes) {
  if (bytes > promised_) {
    if (hub_->body_bytes + bytes - promised_ > hub_->options.all_bodies) {
      drain_after_ = last_ = true;
      send_reply(error_reply(503, "too many bodies at once"), head_only_);
      return false;
    }
    hub_->body_bytes += bytes - promised_;
    promised_ = bytes;
  }
  return true;
}

void Session::read_body() {
  http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, size_t) {
    if (self->state_ == State::closed) return;
    if (error) {
      self->give_back_body();
      return self->on_parse_error(error);
    }
    self->hand_over();
  });
}

/// A body whose length is not said beforehand counts as far as it has come.
void Session::read_chunks() {
  http::async_read_some(socket_, buffer_, *parser_, [self = shared_from_this()](ErrorCode error, size_t) {
    if (self->state_ == State::closed) return;
    if (error) {
      self->give_back_body();
      return self->on_parse_error(error);
    }
    if (self->parser_->is_done()) return self->hand_over();
    if (self->promise(self->parser_->get().body().size())) self->read_chunks();
  });
}

void Session::hand_over() {
  HttpRequest request = request_of_head();
  request.body = std::move(parser_->get().body());
  state_ = State::answering;
  deadline_ = Clock::time_point::max();
  ++number_;
  ++hub_->active;
  gone_ = std::make_shared<std::atomic<bool>>(false);
  const auto exchange =
      std::make_shared<BeastExchange>(hub_->shared_from_this(), weak_from_this(), number_, std::move(request), gone_);
  watch();
  try {
    hub_->handler(exchange);
  } catch (const std::exception&) {  // no memory for so much as an answer
    close();
  }
}

/// Reads on while an answer is under way, so that a client that leaves is noticed. What it sends in advance is kept.
void Session::watch() {
  constexpr size_t in_advance = 16 << 10;
  if (watching_ || buffer_.size() >= in_advance) return;
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    self->watching_ = false;
    if (self->state_ == State::closed) return;
    self->buffer_.commit(bytes);
    if (error && error != asio::error::operation_aborted) return self->close();
    if (self->state_ != State::answering || self->ended_) {
      if (self->ended_ && self->out_.empty()) self->after_answer();
      return;
    }
    if (!error) self->watch();
  });
}

std::string Session::head_of(int status, const Headers& headers) const {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + std::string(status_text(status)) +
                     "\r\nDate: " + date_now() + "\r\n";
  for (const auto& [name, value] : headers) head += name + ": " + value + "\r\n";
  if (last_) head += "Connection: close\r\n";
  else if (old_) head += "Connection: keep-alive\r\n";
  return head;
}

void Session::send_reply(const HttpReply& reply, bool head_only) {
  if (state_ != State::answering) {  // nobody was given the request
    give_back_body();
    state_ = State::answering;
    deadline_ = Clock::time_point::max();
    ++hub_->active;
    ++number_;
    gone_ = std::make_shared<std::atomic<bool>>(false);
  }
  if (hub_->draining) last_ = true;
  begun_ = ended_ = true;
  std::string bytes = head_of(reply.status, reply.headers);
  if (reply.status != 204 && reply.status != 304) {
    bytes += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  bytes += "\r\n";
  if (!head_only) bytes += reply.body;
  send(std::move(bytes));
}

void Session::begin(uint64_t number, int status, const Headers& headers, std::string heartbeat) {
  if (!is_current(number) || begun_) return;
  begun_ = true;
  chunked_ = !old_;
  if (hub_->draining || !chunked_) last_ = true;
  heartbeat_ = std::move(heartbeat);
  send(head_of(status, headers) + (chunked_ ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n"));
}

void Session::write(uint64_t number, std::string bytes) {
  if (!is_current(number) || !begun_ || bytes.empty() || head_only_) return;
  if (queued_ > hub_->options.backlog_bytes) return close();
  if (!chunked_) return send(std::move(bytes));
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  send(size + bytes + "\r\n");
}

void Session::end(uint64_t number) {
  if (!is_current(number) || !begun_) return;
  ended_ = true;
  heartbeat_.clear();
  if (chunked_ && !head_only_) send("0\r\n\r\n");
  else if (out_.empty()) after_answer();
}

void Session::send(std::string bytes) {
  queued_ += bytes.size();
  out_.push_back(std::move(bytes));
  last_write_ = Clock::now();
  if (!writing_) write_some();
}

void Session::write_some() {
  writing_ = true;
  write_deadline_ = in_seconds(hub_->options.stuck_seconds);
  const std::string& first = out_.front();
  socket_.async_write_some(asio::buffer(first.data() + sent_of_first_, first.size() - sent_of_first_),
                           [self = shared_from_this()](ErrorCode error, size_t bytes) {
                             self->writing_ = false;
                             self->write_deadline_ = Clock::time_point::max();
                             if (self->state_ == State::closed) return;
                             if (error) return self->close();
                             self->queued_ -= bytes;
                             self->sent_of_first_ += bytes;
                             if (self->sent_of_first_ == self->out_.front().size()) {
                               self->out_.pop_front();
                               self->sent_of_first_ = 0;
                             }
                             if (!self->out_.empty()) return self->write_some();
                             if (self->state_ == State::answering && self->ended_) self->after_answer();
                           });
}

/// The next request, once nobody reads any more.
void Session::after_answer() {
  if (watching_) {
    ErrorCode ignored;
    socket_.cancel(ignored);  // comes back through watch()
    return;
  }
  if (gone_) {
    --hub_->active;
    gone_->store(true);
    gone_.reset();
  }
  give_back_body();
  heartbeat_.clear();
  if (drain_after_) return drain();
  if (last_) return close();
  wait_for_head(hub_->options.idle_seconds);
}

/// Takes what the client still sends, for a moment, so that the answer is not lost with a broken connection.
void Session::drain() {
  if (state_ != State::draining) {
    state_ = State::draining;
    deadline_ = in_seconds(2);
    ErrorCode ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  constexpr size_t most = 64 << 20;
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(64 << 10), [self = shared_from_this()](ErrorCode error, size_t bytes) {
    if (self->state_ == State::closed) return;
    self->drained_ += bytes;
    if (error || self->drained_ > most) return self->close();
    self->drain();
  });
}

void Session::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  if (gone_) {
    --hub_->active;
    gone_->store(true);
    gone_.reset();
  }
  give_back_body();
  --hub_->open;
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  hub_->sessions.erase(shared_from_this());
}

void Session::tick(Clock::time_point now) {
  if (now > deadline_ || now > write_deadline_) return close();
  const auto pause = std::chrono::duration<double>(hub_->options.heartbeat_seconds);
  if (heartbeat_.empty() || !out_.empty() || now - last_write_ < pause) return;
  const std::string beat = heartbeat_;
  write(number_, beat);
}

}  // namespace tessera::serve
