// A receipt says all that an answer is a function of: the model's files, how they are held, the build, and the request with its seed. What
// must stay true: the same receipt gives the same bytes, whatever else runs.
#pragma once

#include <string>

#include "core/json.h"
#include "media/image.h"
#include "serve/worker.h"

namespace tessera::serve {

class Api;

/// The receipt of a request whose seed is in `body`; what came of it is added as "texts" or "pictures".
Json receipt_of(const ModelCard& card, const std::string& path, Json body);

/// The SHA-256 of a picture's size ("64x64x3 ") and pixels.
std::string picture_digest(const Image& picture);

struct ReplayOutcome {
  bool same = false;
  std::string what;  // the first difference, or how much is the same
};

/// Asks `api` again, beside `beside` other requests. Throws UserError for what is no receipt, for one of another model (by its hash) or of
/// another precision.
ReplayOutcome replay(const Json& receipt, Api& api, const ModelCard& card, int64_t beside);

}  // namespace tessera::serve
