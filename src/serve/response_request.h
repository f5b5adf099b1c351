// A request of /v1/responses, said again as one of /v1/chat/completions.
#pragma once

#include "serve/json_fields.h"

namespace tessera::serve {

/// The chat that `body` asks for: items of `input` become messages, `instructions` a system's turn, flat tools nested ones. Throws ApiError for
/// what would have to be kept between requests.
Json chat_of_response_request(const Json& body);

/// The fields of the request that the response repeats, each with its default.
Json repeated_of_response_request(const Json& body);

}  // namespace tessera::serve
