// Options of `tessera devices`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct DevicesOptions {
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "devices",
            .summary = "what computes here: LibTorch, threads, CUDA cards",
            .examples = {"tessera devices --json"}};
  }
};
template <class V> void fields(V& v, DevicesOptions& o) {
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Prints what LibTorch sees. Throws UserError when --device names what is not there.
int run_devices(const DevicesOptions& options);

}  // namespace tessera::apps
