// Mutations of bytes that are a function of a seed: a small fuzzer that runs the same way in every test run.
#pragma once

#include <string>
#include <vector>

#include "core/rng.h"

namespace tessera::testing {

/// One of `corpus` after one to four changes: bits, bytes, ranges cut, doubled or joined from another, and `words` that
/// mean something to the format put in.
std::string mutate(const std::vector<std::string>& corpus, const std::vector<std::string>& words, Rng& rng);

}  // namespace tessera::testing
