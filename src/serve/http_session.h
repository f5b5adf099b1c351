// One connection of the server, and what connections share. Included by the two files that use Boost alone.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <set>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "serve/http.h"

namespace tessera::serve {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Socket = asio::generic::stream_protocol::socket;
using Parser = http::request_parser<http::string_body>;
using Clock = std::chrono::steady_clock;
using ErrorCode = boost::system::error_code;

inline Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

class Session;

/// What sessions share.
struct Hub : std::enable_shared_from_this<Hub> {
  HttpOptions options;
  HttpServer::Check check;
  HttpServer::Handler handler;
  asio::io_context io{1};
  std::set<std::shared_ptr<Session>> sessions;
  size_t body_bytes = 0;  // that are promised to bodies
  bool draining = false;
  std::atomic<size_t> active{0}, open{0};
};

/// One connection: request after request.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// The hub outlives its sessions.
  Session(Hub& hub, Socket socket, std::string peer, bool local)
      : hub_(&hub), socket_(std::move(socket)), peer_(std::move(peer)), local_(local) {}

  void start() {
    hub_->sessions.insert(shared_from_this());
    ++hub_->open;
    wait_for_head(hub_->options.head_seconds);
  }
  void refuse(const HttpReply& reply) {
    hub_->sessions.insert(shared_from_this());
    ++hub_->open;
    last_ = true;
    drain_after_ = true;
    send_reply(reply, false);
  }
  void tick(Clock::time_point now);
  void close();
  /// Closes a connection that waits for its next request.
  void close_if_idle() {
    if (state_ == State::idle) close();
  }

  // of the exchange with this number; later ones are not meant
  void reply(uint64_t number, const HttpReply& reply) {
    if (is_current(number) && !begun_) send_reply(reply, head_only_);
  }
  void begin(uint64_t number, int status, const Headers& headers, std::string heartbeat);
  void write(uint64_t number, std::string bytes);
  void end(uint64_t number);
  /// Whoever should have answered is gone.
  void abandon(uint64_t number) {
    if (is_current(number)) close();
  }

 private:
  enum class State { idle, head, body, answering, draining, closed };

  bool is_current(uint64_t number) const { return state_ == State::answering && number == number_ && !ended_; }
  void wait_for_head(double seconds);
  void read_head();
  void on_head(ErrorCode error);
  void on_parse_error(ErrorCode error);
  void read_body();
  void read_chunks();
  bool promise(size_t bytes);
  void hand_over();
  void watch();
  void send_reply(const HttpReply& reply, bool head_only);
  void send(std::string bytes);
  void write_some();
  void after_answer();
  void drain();
  std::string head_of(int status, const Headers& headers) const;
  HttpRequest request_of_head() const;
  void give_back_body() {
    hub_->body_bytes -= promised_;
    promised_ = 0;
  }

  Hub* hub_;
  Socket socket_;
  std::string peer_;
  bool local_;
  State state_ = State::idle;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Clock::time_point deadline_ = Clock::time_point::max(), write_deadline_ = Clock::time_point::max(), last_write_;
  std::deque<std::string> out_;
  size_t sent_of_first_ = 0, queued_ = 0, promised_ = 0, drained_ = 0;
  std::string heartbeat_;
  uint64_t number_ = 0;
  std::shared_ptr<std::atomic<bool>> gone_;
  bool writing_ = false, watching_ = false, chunked_ = false, begun_ = false, ended_ = false, last_ = false,
       head_only_ = false, drain_after_ = false, old_ = false;
};

}  // namespace tessera::serve
