// Stands for `tessera pull` where libcurl is not there (TESSERA_PULL=OFF). Models that are in the cache are found all
// the same.
#include "apps/pull.h"
#include "core/error.h"

namespace tessera::apps {

int run_pull(const PullVerbOptions&) {
  throw UserError(
      "[pull] this build fetches no models; configure with -DTESSERA_PULL=ON, which needs libcurl and OpenSSL");
}

}  // namespace tessera::apps
