// Training runs as a page shows them while they go on: which there are, their metrics from where the last reading ended, their samples by
// step. Only what listing a folder finds is opened, whatever a client names.
#pragma once

#include <optional>
#include <string>

#include "core/json.h"
#include "serve/http.h"

namespace tessera::serve {

/// GET /runs, /runs/NAME, /runs/NAME/metrics?from=BYTES, /runs/NAME/samples and /runs/NAME/samples/FILE; nothing for another path. Throws
/// ApiError 404 for a run or a file that is not there, 400 for a number that is none.
///   /runs: {"runs": [{"name", "step", "last", "updated", "state", "finished"}]}, the latest first.
///   metrics: {"lines": [...], "next": BYTES}: whole lines alone, 1 MiB of them at most; a file that became shorter begins anew ("from": 0).
///   samples: {"samples": [{"step", "file", "kind"}]}.
std::optional<HttpReply> runs_reply(const HttpRequest& request, const Path& folder);

}  // namespace tessera::serve
