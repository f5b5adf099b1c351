// The whole server: models, the API and the transport, until a signal ends it.
#pragma once

#include <functional>

#include "serve/api.h"
#include "serve/http.h"
#include "serve/models.h"

namespace tessera::serve {

struct ServerOptions {
  HttpOptions http;
  ApiOptions api;
  ModelsOptions models;
};

/// Serves until SIGINT or SIGTERM: then no further request is taken, and those under way are finished; a second signal ends at once. Calls
/// `ready` with the port when requests are taken. Throws UserError before that for an address that cannot be listened on, for one beyond this
/// machine without a key, and for models that cannot be loaded.
void serve_until_signal(ServerOptions options, const std::function<void(uint16_t port)>& ready);

}  // namespace tessera::serve
