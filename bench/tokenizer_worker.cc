// How fast texts become ids: tessera_tokenizer_bench TEXT TOKENIZER [TOKENIZER...] encodes the file TEXT as a whole with the tokenizer of
// each directory or GGUF file, and prints seconds of processor time a megabyte, how many ids there are, and a hash of them.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "text/tokenizer.h"

namespace {

/// Of this thread's own time, which others who use the machine do not lengthen.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

uint64_t hash_of(const std::vector<int32_t>& ids) {  // FNV-1a
  uint64_t value = 0xCBF29CE484222325ull;
  for (const int32_t id : ids) value = (value ^ static_cast<uint32_t>(id)) * 0x100000001B3ull;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string text = argc > 2 ? tessera::read_file(argv[1]) : "";
    for (int i = 2; i < argc; ++i) {
      const auto tokenizer = tessera::text::load_tokenizer(argv[i]);
      double first = 0, best = std::numeric_limits<double>::infinity();
      std::vector<int32_t> ids;
      for (int repeat = 0; repeat < 5; ++repeat) {
        const double before = now();
        ids = tokenizer->encode(text, {.add_special = false, .parse_special = false});
        const double taken = now() - before;
        if (repeat == 0) first = taken;
        best = std::min(best, taken);
      }
      const double megabytes = static_cast<double>(text.size()) / 1e6;
      std::printf("%s: %.3f s a megabyte at first, %.3f s with its words known; %zu ids, hash %016llx\n", argv[i],
                  first / megabytes, best / megabytes, ids.size(), static_cast<unsigned long long>(hash_of(ids)));
    }
  } catch (const tessera::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
  return argc > 2 ? 0 : 2;
}
