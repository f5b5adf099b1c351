// ALMA's rounds (arXiv 2412.04305): seeds and ratings in, an aligned model out, every step in a store. What must stay true: a run that was stopped
// or killed at any point goes on where it was and makes the same data, and nothing is computed twice.
#pragma once

#include <functional>
#include <string>

#include "align/recipe.h"
#include "align/store.h"
#include "tensor/device.h"

namespace tessera::align {

/// How a run ended.
struct AlignResult {
  Path model;                // of the last round that is done
  int64_t rounds = 0;        // that are done
  bool interrupted = false;  // by Ctrl-C
};

/// Runs the recipe in recipe.out, which then holds recipe.toml, store.sqlite, models/ and data/, or goes on with the run there. Throws
/// UserError for a directory that another process works in, for a run of another recipe, for seeds and ratings that cannot be, and for a
/// judge that always says the same; FaultError for the disk.
AlignResult run_align(const AlignRecipe& recipe, at::Device device);

/// Where a run's store is.
inline Path store_of(const Path& run) { return run / "store.sqlite"; }

}  // namespace tessera::align
