// A build whose LibTorch has no Gloo, or without TESSERA_DISTRIBUTED: one process only.
#include "train/parallel.h"

namespace tessera::train {

std::unique_ptr<Peers> join_peers(const PeerSetup& setup, at::Device, double) {
  if (setup.count == 1) return std::make_unique<Peers>();
  throw UserError(
      "[train] {} processes were started, but this build trains in one; want a build with TESSERA_DISTRIBUTED and a "
      "LibTorch that has Gloo",
      setup.count);
}

}  // namespace tessera::train
