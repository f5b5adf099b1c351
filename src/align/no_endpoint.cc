// Without libcurl there are no other machines to ask.
#include "align/endpoint.h"

#include "core/error.h"

namespace tessera::align {

void check(const std::vector<Endpoint>& endpoints) {
  if (!endpoints.empty())
    throw UserError("[align] endpoints are named, but this build has no libcurl (TESSERA_PULL=OFF)");
}

void ask_endpoints(const std::vector<Endpoint>& endpoints, std::vector<EndpointJob>,
                   const std::function<bool(const EndpointAnswer&, bool)>&, const std::function<bool()>&) {
  check(endpoints);
}

}  // namespace tessera::align
