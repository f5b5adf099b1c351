// Finds and loads libtessera.so for the heavy verbs.
#include "apps/engine.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"

namespace tessera::apps {

namespace {

Path engine_path() {
  const Path home = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const char* folder : {"lib", TESSERA_LIBRARIES_FROM_BIN}) {
    const Path path = home / folder / TESSERA_ENGINE_FILE;
    if (std::filesystem::exists(path)) return path;
  }
  throw FaultError("[tessera] {} is neither in {} nor in {}; build or install it again", TESSERA_ENGINE_FILE,
                   (home / "lib").string(), (home / TESSERA_LIBRARIES_FROM_BIN).lexically_normal().string());
}

}  // namespace

int run_in_engine(const std::string& verb, const Arguments& arguments) {
  // Spinning OpenMP threads halve the speed where cores are few; must be said before LibTorch loads its runtime.
  ::setenv("OMP_WAIT_POLICY", "passive", 0);
  const Path path = engine_path();
  void* engine = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (engine == nullptr) throw FaultError("[tessera] cannot load {}: {}", path.string(), ::dlerror());
  const auto run = reinterpret_cast<decltype(&tessera_run_verb)>(::dlsym(engine, "tessera_run_verb"));
  if (run == nullptr) throw FaultError("[tessera] {} is not this program's library: {}", path.string(), ::dlerror());
  std::vector<const char*> words = {verb.c_str()};
  for (const auto& word : arguments) words.push_back(word.c_str());
  return run(static_cast<int>(words.size()), words.data());
}

}  // namespace tessera::apps
