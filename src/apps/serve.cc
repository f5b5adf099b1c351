// `tessera serve`: from flags to a server.
#include "apps/serve.h"

#include "apps/text_request.h"
#include "core/log.h"
#include "serve/server.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

void require_at_least_one(int64_t value, std::string_view option) {
  if (value < 1) throw UserError("[serve] {} is {}, want at least 1", option, value);
}

}  // namespace

int run_serve(const ServeOptions& options) {
  require_at_least_one(options.parallel, "--parallel");
  require_at_least_one(options.queue, "--queue");
  require_at_least_one(options.step_tokens, "--step-tokens");
  require_at_least_one(options.max_tokens, "--max-tokens");
  serve::ServerOptions server;
  server.http.host = options.host;
  server.http.port = options.port;
  server.http.socket = options.socket;
  server.api.access = {.key = serve::read_key(options.access.key_file),
                       .hosts = options.access.allow_host,
                       .origins = options.access.allow_origin};
  server.api.max_tokens = options.max_tokens;
  server.api.studio = {.runs = options.runs, .votes = options.votes, .citations = options.citations};
  server.models.paths = options.model;
  server.models.device = parse_device(options.compute.device);
  server.models.load = load_options(options.held);
  server.models.cache_bytes = serve::parse_bytes(options.cache, "--cache");
  server.models.memory = serve::parse_bytes(options.memory, "--memory");
  server.models.engine = {.rows = options.parallel,
                          .step_tokens = options.step_tokens,
                          .speculate = options.speculate,
                          .queue = static_cast<size_t>(options.queue)};
  serve_until_signal(server, [&](uint16_t port) {
    const std::string host = options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
    const std::string address = fmt::format("http://{}:{}", host, port);
    log_info("listening on {}", address);
    if (options.output.json) {
      print_json({{"address", address}, {"port", port}});
      detail::flush();
    }
  });
  return 0;
}

}  // namespace tessera::apps
