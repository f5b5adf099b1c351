// Starting in an order in which a mistake shows early, and ending in one in which nothing is lost.
#include "serve/server.h"

#include <sys/resource.h>

#include <optional>
#include <thread>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"

namespace tessera::serve {

namespace {

/// A connection is an open file.
void allow_open_files(size_t connections) {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto wanted = static_cast<rlim_t>(connections) + 256;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(limit.rlim_max, wanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void wait_for(const std::function<bool()>& done) {
  while (!done()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace

void serve_until_signal(ServerOptions options, const std::function<void(uint16_t port)>& ready) {
  if (options.http.tcp && !is_loopback(options.http.host) && options.api.access.key.empty())
    throw UserError(
        "[serve] --host {} can be reached from other machines, so a key is required: --key-file FILE or "
        "TESSERA_API_KEY",
        options.http.host);
  require_files(options.api.studio);
  const InterruptGuard guard;
  allow_open_files(options.http.connections);
  // What the transport's thread reaches goes after it, whatever ends this function.
  Metrics metrics;
  std::optional<Models> models;
  std::optional<Api> api;
  std::atomic<Api*> reached{nullptr};  // requests before the models are loaded find the server starting
  const auto http = start_http(
      options.http,
      [&](const HttpRequest& head) {
        auto reply = refused(head, options.api.access);
        if (reply)
          RequestLog{.metrics = &metrics, .client = head.peer, .method = head.method, .path = "refused"}.close(
              reply->status);
        return reply;
      },
      [&](std::shared_ptr<Exchange> exchange) {
        if (Api* const api = reached.load()) return api->handle(std::move(exchange));
        exchange->reply(
            {.status = 503,
             .headers = {{"Content-Type", "application/json"}, {"Retry-After", "5"}},
             .body =
                 R"({"status":"loading","error":{"message":"the models are being loaded","type":"server_error","param":null,"code":"loading"}})"});
      });
  models.emplace(options.models, metrics);
  api.emplace(*models, metrics, options.api);
  reached = &*api;
  ready(http->port());
  wait_for([] { return InterruptGuard::raised(); });
  api->drain();
  http->drain();
  log_info("ending: {} requests are under way; a second signal ends at once", http->active());
  wait_for(
      [&] { return http->active() == 0 && api->reading() == 0 && models->waiting() == 0 && models->running() == 0; });
}

}  // namespace tessera::serve
