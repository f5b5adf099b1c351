// An exchange without a network, and requests to an API over small models, for tests.
#pragma once

#include <condition_variable>
#include <mutex>

#include "serve/api.h"

namespace tessera::serve::testing {

/// Keeps what is answered.
class MemoryExchange final : public Exchange {
 public:
  explicit MemoryExchange(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    const std::lock_guard lock(mutex_);
    if (done_ || streams_) return;
    reply_ = std::move(reply);
    done_ = true;
    changed_.notify_all();
  }
  void begin(int status, const Headers& headers, std::string /*heartbeat*/) override {
    const std::lock_guard lock(mutex_);
    reply_ = {.status = status, .headers = headers, .body = ""};
    streams_ = true;
    changed_.notify_all();
  }
  void write(std::string bytes) override {
    const std::lock_guard lock(mutex_);
    reply_.body += bytes;
    changed_.notify_all();
  }
  void end() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  bool gone() const override { return gone_; }

  void leave() { gone_ = true; }
  /// The whole answer; status 0 when none came within a minute.
  HttpReply wait() {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(60), [&] { return done_; });
    return came ? reply_ : HttpReply{.status = 0};
  }
  /// What has been sent once `text` is among it; "" when that never came.
  std::string wait_for(std::string_view text) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, std::chrono::seconds(60), [&] { return reply_.body.find(text) != std::string::npos; });
    return came ? reply_.body : "";
  }

 private:
  HttpRequest request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  HttpReply reply_;
  bool done_ = false, streams_ = false;
  std::atomic<bool> gone_{false};
};

inline HttpRequest post_request(std::string path, std::string body) {
  return {.method = "POST",
          .path = std::move(path),
          .query = "",
          .headers = {{"host", "localhost"}, {"content-type", "application/json"}},
          .body = std::move(body),
          .peer = "127.0.0.1"};
}
inline HttpRequest get_request(std::string path) {
  return {.method = "GET",
          .path = std::move(path),
          .query = "",
          .headers = {{"host", "localhost"}},
          .body = "",
          .peer = "127.0.0.1"};
}

/// The data of every event of a stream, "[DONE]" as that text.
inline std::vector<Json> events_of(const std::string& stream) {
  std::vector<Json> events;
  size_t at = 0;
  while ((at = stream.find("data: ", at)) != std::string::npos) {
    const size_t end = stream.find("\n\n", at);
    const std::string data = stream.substr(at + 6, end - at - 6);
    events.push_back(data == "[DONE]" ? Json(data) : Json::parse(data));
    at = end;
  }
  return events;
}

/// An API over models that ship with the repository.
class ServedModels {
 public:
  explicit ServedModels(std::vector<Path> paths, EngineOptions engine = {}, int64_t cache_bytes = 64 << 20,
                        ApiOptions api = {})
      : models_({.paths = std::move(paths), .engine = engine, .cache_bytes = cache_bytes}, metrics_),
        api_(models_, metrics_, api) {}
  std::shared_ptr<MemoryExchange> begin(HttpRequest request) {
    auto exchange = std::make_shared<MemoryExchange>(std::move(request));
    api_.handle(exchange);
    return exchange;
  }
  HttpReply post(std::string path, const Json& body) {
    return begin(post_request(std::move(path), wire_of(body)))->wait();
  }
  HttpReply get(std::string path) { return begin(get_request(std::move(path)))->wait(); }
  Json json(std::string path, const Json& body) { return Json::parse(post(std::move(path), body).body); }
  Models& models() { return models_; }
  Metrics& metrics() { return metrics_; }
  Api& api() { return api_; }

 private:
  static std::string wire_of(const Json& body) { return body.dump(); }
  Metrics metrics_;
  Models models_;
  Api api_;
};

}  // namespace tessera::serve::testing
