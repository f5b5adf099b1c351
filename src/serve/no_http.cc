// Stands in for Boost.Beast in a build without it.
#include "core/error.h"
#include "serve/http.h"

namespace tessera::serve {

std::unique_ptr<HttpServer> start_http(const HttpOptions& /*options*/, HttpServer::Check /*check*/,
                                       HttpServer::Handler /*handler*/) {
  throw UserError("[serve] this build has no server (TESSERA_SERVE=OFF); build it with libboost1.81-dev");
}

}  // namespace tessera::serve
