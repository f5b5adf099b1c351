// `tessera pull`: a repository of the hub into the cache that huggingface_hub shares (core/model_cache.h). A revision
// gets its name in `refs` when every file that was asked for is there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/files.h"
#include "hub/download.h"

namespace tessera::hub {

struct PullOptions {
  std::string repository;  // ORG/NAME
  std::string revision = "main";
  std::vector<std::string> include, exclude;  // patterns of names (hub/listing.h)
  std::string endpoint;                       // "https://huggingface.co"
  std::string token;                          // "" for none
  Path cache;
  FileSystem* files = &disk();
  std::function<void(double seconds)> pause = pause_for;
};

/// What was fetched.
struct Pulled {
  Path snapshot;       // the folder that holds the files
  std::string commit;  // of the revision
  std::vector<std::string> files, skipped;
  int64_t bytes = 0;          // of `files`
  int64_t fetched_bytes = 0;  // of them in this run; the others were there
};

/// Fetches what is missing, with a progress bar. Throws UserError for a repository that is not there or not open to
/// the token, and patterns that leave nothing; FaultError for network, disk, a server that lies and Ctrl-C. What is
/// fetched completely stays in any case, under its hash; a file begun stays as .incomplete and is gone on with by the
/// next call.
Pulled pull(const PullOptions& options);

/// HF_ENDPOINT, or the public hub. Throws UserError for what is no http or https address.
std::string endpoint_from_environment();
/// HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or what the file HF_TOKEN_PATH (`token` in Hugging Face's folder) holds; "" where
/// there is none. Throws UserError for one that no header can hold.
std::string token_from_environment();

}  // namespace tessera::hub
