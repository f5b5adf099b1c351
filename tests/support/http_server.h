// A small HTTP server for tests: one function answers, and it can break connections and lie. It listens on this
// machine alone.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tessera::testing {

/// What a client asked.
struct HttpSeen {
  std::string method, target;                  // "GET", "/path?query"
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body = {};
};

/// What it is told; the connection is closed afterwards.
struct HttpReply {
  int status = 200;
  std::map<std::string, std::string> headers = {};  // Content-Length is added unless it is here
  std::string body = {};
  size_t cut_after = SIZE_MAX;  // bytes of the body after which the connection breaks
};

class HttpServer {
 public:
  using Answer = std::function<HttpReply(const HttpSeen&)>;

  /// `answer` is called by the server's thread.
  explicit HttpServer(Answer answer);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:PORT"
  std::string address() const;
  /// Every request so far.
  std::vector<HttpSeen> seen() const;

 private:
  void serve();
  void serve_one(int connection);

  Answer answer_;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<HttpSeen> seen_;
  std::thread thread_;
};

}  // namespace tessera::testing
