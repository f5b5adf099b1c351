// The door between the executable and libtessera.so: one C function, so that nothing else need match.
#pragma once

#include <string>

#include "apps/options.h"

namespace tessera::apps {

/// Loads libtessera.so beside the executable (build tree: lib/, installed: ../lib) and runs a heavy verb there.
/// Throws FaultError when it cannot be loaded; exceptions of the verb pass through.
int run_in_engine(const std::string& verb, const Arguments& arguments);

}  // namespace tessera::apps

/// Exported by libtessera.so. `words`: the verb's name, then the words after it.
extern "C" int tessera_run_verb(int count, const char* const* words);
