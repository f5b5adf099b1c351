// Finds and loads libtessera.so for the heavy verbs.
#include "apps/engine.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

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

[[noreturn]] void throw_cannot_load(const Path& file) {
  const std::string why = ::dlerror();
  if (why.find("libtorch") == std::string::npos && why.find("libc10") == std::string::npos)
    throw FaultError("[tessera] cannot load {}: {}", file.string(), why);
  throw FaultError("[tessera] LibTorch " TESSERA_TORCH_VERSION
                   " is not found ({}); set TESSERA_LIBTORCH to its folder, the one that holds lib/libtorch.so",
                   why);
}

/// The LibTorch whose folder TESSERA_LIBTORCH names. Without it the loader looks where libtessera.so's rpath points.
void load_named_libtorch() {
  const char* folder = std::getenv("TESSERA_LIBTORCH");
  if (folder == nullptr || *folder == '\0') return;
  const Path file = Path(folder) / "lib" / "libtorch.so";  // finds the others beside it
  if (::dlopen(file.c_str(), RTLD_LAZY | RTLD_GLOBAL) == nullptr) throw_cannot_load(file);
}

/// OpenMP threads that spin for long halve the speed where cores are few; ones that sleep at once wake up for every small operation. Must
/// be said before LibTorch loads its runtime, and is left to who says something else.
void let_threads_wait_briefly() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 0);
  ::setenv("GOMP_SPINCOUNT", "10000", 0);  // some 30 microseconds; goes before the policy
}

/// Temporary tensors come back from the allocator as they are, where by default each is mapped, cleared by the kernel and unmapped.
void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int largest_kept = 32 << 20, kept_at_most = 256 << 20;  // bytes; the first is the most that glibc takes
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) ::mallopt(M_MMAP_THRESHOLD, largest_kept);
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") == nullptr) ::mallopt(M_TRIM_THRESHOLD, kept_at_most);
#endif
}

}  // namespace

int run_in_engine(const std::string& verb, const Arguments& arguments) {
  let_threads_wait_briefly();
  keep_freed_memory();
  const Path path = engine_path();
  load_named_libtorch();
  void* engine = ::dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (engine == nullptr) throw_cannot_load(path);
  const auto run = reinterpret_cast<decltype(&tessera_run_verb)>(::dlsym(engine, "tessera_run_verb"));
  if (run == nullptr) throw FaultError("[tessera] {} is not this program's library: {}", path.string(), ::dlerror());
  std::vector<const char*> words = {verb.c_str()};
  for (const auto& word : arguments) words.push_back(word.c_str());
  return run(static_cast<int>(words.size()), words.data());
}

}  // namespace tessera::apps
