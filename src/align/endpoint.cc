// One thread over libcurl's multi interface: requests are a list, waits are times.
#include "align/endpoint.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <memory>

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/utf8.h"
#include "hub/http_alone.h"

namespace tessera::align {

namespace {
using Clock = std::chrono::steady_clock;
constexpr int64_t tries_of_a_useless_answer = 3;
constexpr size_t most_answer_bytes = size_t{64} << 20;
constexpr size_t most_told_bytes = 200;     // of what a server says was wrong
constexpr double longest_asked_wait = 300;  // seconds

double seconds_now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

std::string key_of(const Endpoint& endpoint) {
  if (endpoint.key_env.empty()) return "";
  const char* key = std::getenv(endpoint.key_env.c_str());
  return key == nullptr ? "" : key;
}

struct Waiting {
  EndpointJob job;
  int64_t useless = 0;  // answers so far that the caller could not use
};

/// One request under way.
struct Request {
  size_t server = 0;
  int64_t waits = 0;  // that its server had begun before
  Waiting waiting;
  std::string sent, received;
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;

  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
  }
};

size_t receive(char* bytes, size_t size, size_t count, void* to) {
  auto& received = *static_cast<std::string*>(to);
  if (received.size() + size * count > most_answer_bytes) return 0;
  received.append(bytes, size * count);
  return size * count;
}

/// What a server said was wrong, on one line: whole characters, whatever bytes it sent.
std::string words_of(const std::string& body) {
  const Json tree = Json::parse(body, nullptr, false);
  std::string words = body;
  if (tree.is_object() && tree.contains("error")) {
    const Json& error = tree["error"];
    const bool message = error.is_object() && error.contains("message") && error["message"].is_string();
    words = message ? error["message"].get<std::string>() : error.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::ranges::replace(words, '\n', ' ');
  words.resize(std::min(words.size(), most_told_bytes));
  words.resize(whole_characters(words));
  return to_utf8(words);
}

bool is_shaped(const Json& body, bool chat) {
  if (!body.is_object() || !body.contains("choices") || !body["choices"].is_array() || body["choices"].empty())
    return false;
  return std::ranges::all_of(body["choices"], [&](const Json& choice) {
    return choice.is_object() && (!chat || (choice.contains("message") && choice["message"].is_object()));
  });
}

bool refuses(long status) { return status == 400 || status == 404 || status == 405 || status == 422 || status == 501; }

struct Server {
  const Endpoint* endpoint = nullptr;
  int64_t running = 0;
  int64_t failures = 0;  // in a row; of requests under way together the first alone
  int64_t waits = 0;     // begun after failures
  double free_at = 0;    // no request before then
  bool lost = false;
};

class Asking {
 public:
  Asking(const std::vector<Endpoint>& endpoints, std::vector<EndpointJob> jobs) : multi_(curl_multi_init()) {
    for (const Endpoint& each : endpoints) servers_.push_back({.endpoint = &each});
    for (EndpointJob& job : jobs) queue_.push_back({std::move(job)});
  }
  ~Asking() {
    for (const auto& request : requests_) curl_multi_remove_handle(multi_, request->handle);
    requests_.clear();
    curl_multi_cleanup(multi_);
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  void run(const std::function<bool(const EndpointAnswer&, bool)>& done, const std::function<bool()>& stop) {
    while ((!queue_.empty() || !requests_.empty()) && !stop()) {
      start();
      int running = 0;
      curl_multi_perform(multi_, &running);
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result, done);
      }
      curl_multi_poll(multi_, nullptr, 0, 50, nullptr);
    }
  }

 private:
  void start();
  void send(size_t server, Waiting waiting);
  void finish(CURL* handle, CURLcode code, const std::function<bool(const EndpointAnswer&, bool)>& done);
  void failed(Request& request, const std::string& why, double asked);

  CURLM* multi_;
  std::vector<Server> servers_;
  std::deque<Waiting> queue_;
  std::vector<std::unique_ptr<Request>> requests_;
};

/// Gives waiting jobs to servers that have room.
void Asking::start() {
  const double now = seconds_now();
  for (size_t s = 0; s < servers_.size(); ++s) {
    Server& server = servers_[s];
    // After a failure one request shows whether the server is there again.
    const int64_t room = server.failures > 0 ? 1 : server.endpoint->at_once;
    while (!queue_.empty() && !server.lost && server.running < room && server.free_at <= now) {
      if (server.endpoint->per_minute > 0) server.free_at = now + 60 / server.endpoint->per_minute;
      Waiting next = std::move(queue_.front());
      queue_.pop_front();
      send(s, std::move(next));
    }
  }
}

void Asking::send(size_t server, Waiting waiting) {
  const Endpoint& endpoint = *servers_[server].endpoint;
  auto request = std::make_unique<Request>();
  request->server = server;
  request->waits = servers_[server].waits;
  Json body = waiting.job.body;
  body["model"] = endpoint.model;
  request->sent = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  request->waiting = std::move(waiting);
  request->handle = curl_easy_init();
  request->headers = curl_slist_append(request->headers, "Content-Type: application/json");
  if (const std::string key = key_of(endpoint); !key.empty())
    request->headers = curl_slist_append(request->headers, ("Authorization: Bearer " + key).c_str());
  CURL* handle = request->handle;
  curl_easy_setopt(handle, CURLOPT_URL, (endpoint.url + request->waiting.job.path).c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, request->headers);
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->sent.c_str());
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request->sent.size()));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &request->received);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(endpoint.timeout * 1000));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(endpoint.timeout, 20.0) * 1000));
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  hub::allow_http_alone(handle);
  curl_multi_add_handle(multi_, handle);
  ++servers_[server].running;
  requests_.push_back(std::move(request));
}

/// Puts the job back and lets the server wait, or counts it as lost. A request that was sent before the server's last wait began tells nothing
/// new: what ended the one ended all that were under way beside it.
void Asking::failed(Request& request, const std::string& why, double asked) {
  Server& server = servers_[request.server];
  const auto wait = [&](double seconds) { server.free_at = std::max(server.free_at, seconds_now() + seconds); };
  queue_.push_front(std::move(request.waiting));
  if (server.lost) return;
  if (request.waits < server.waits) return wait(std::min(asked, longest_asked_wait));
  ++server.failures;
  if (server.failures >= server.endpoint->retries) {
    server.lost = true;
    if (std::ranges::all_of(servers_, &Server::lost))
      throw FaultError("[align] {} is lost: {}; no server is left", server.endpoint->url, why);
    log_warning("[align] {} is lost: {}; the others take over its work", server.endpoint->url, why);
    return;
  }
  ++server.waits;
  wait(back_off(server.failures, asked, hash_text(server.endpoint->url) + static_cast<uint64_t>(server.failures)));
}

void Asking::finish(CURL* handle, CURLcode code, const std::function<bool(const EndpointAnswer&, bool)>& done) {
  const auto found = std::ranges::find(requests_, handle, [](const auto& request) { return request->handle; });
  const std::unique_ptr<Request> request = std::move(*found);
  requests_.erase(found);
  curl_multi_remove_handle(multi_, handle);
  Server& server = servers_[request->server];
  --server.running;
  long status = 0;
  curl_off_t asked = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &asked);
  if (code != CURLE_OK) return failed(*request, curl_easy_strerror(code), 0);
  Waiting& waiting = request->waiting;
  if (waiting.job.may_refuse && refuses(status)) {
    server.failures = 0;
    done({.key = waiting.job.key, .body = nullptr}, true);
    return;
  }
  if (status == 408 || status == 429 || status >= 500)
    return failed(*request, fmt::format("status {}: {}", status, words_of(request->received)),
                  static_cast<double>(asked));
  if (status != 200)
    throw FaultError("[align] {} answers with status {}: {}", server.endpoint->url, status,
                     words_of(request->received));
  const Json body = Json::parse(request->received, nullptr, false);
  if (!is_shaped(body, waiting.job.path == EndpointJob().path))
    return failed(*request, "an answer that is no completion", 0);
  server.failures = 0;
  const bool last = waiting.useless + 1 >= tries_of_a_useless_answer;
  if (done({waiting.job.key, body}, last) || last) return;
  ++waiting.useless;
  queue_.push_back(std::move(waiting));
}
}  // namespace

void check(const std::vector<Endpoint>& endpoints) {
  for (const Endpoint& each : endpoints) {
    const bool web = each.url.starts_with("http://") || each.url.starts_with("https://");
    if (!web) throw UserError("[align] an endpoint's url is '{}', want http:// or https://", each.url);
    if (each.at_once < 1 || each.retries < 1 || !(each.timeout > 0) || !(each.per_minute >= 0))
      throw UserError("[align] {}: at_once and retries want at least 1, timeout more than 0, per_minute 0 or more",
                      each.url);
    if (!each.key_env.empty() && key_of(each).empty())
      throw UserError("[align] {} wants its key in the environment variable {}, which is not set", each.url,
                      each.key_env);
  }
}

double back_off(int64_t failures, double asked, uint64_t seed) {
  const double wait = std::min(60.0, std::exp2(static_cast<double>(std::min<int64_t>(failures, 10) - 1)));
  return std::max(std::min(asked, longest_asked_wait), wait * (1 + 0.5 * Rng(seed).uniform()));
}

void ask_endpoints(const std::vector<Endpoint>& endpoints, std::vector<EndpointJob> jobs,
                   const std::function<bool(const EndpointAnswer&, bool last_try)>& done,
                   const std::function<bool()>& stop) {
  check(endpoints);
  if (endpoints.empty()) throw UserError("[align] no endpoint is named");
  Asking(endpoints, std::move(jobs)).run(done, stop);
}

}  // namespace tessera::align
