// Mutations of vqgan.yaml: each is read, or refused in one line.
#include <gtest/gtest.h>

#include "codec/vq/config.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/scratch.h"

namespace tessera::testing {
namespace {

/// Whether the bytes are read; a refusal is one line that names its room.
bool reads(const ScratchFolder& scratch, const std::string& bytes) {
  const Path file = scratch / "vqgan.yaml";
  write_file_atomically(file, bytes);
  try {
    vq::validate(vq::read_vqgan_yaml(file));
    return true;
  } catch (const UserError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with("[vq]")) << message;
    EXPECT_LT(message.size(), 400u) << message;
    for (const char c : message) EXPECT_GE(static_cast<unsigned char>(c), ' ') << message;
    return false;
  }
}

TEST(YamlFuzz, EveryMutationIsReadOrRefusedInOneLine) {
  const ScratchFolder scratch(ScratchFolder::On::memory);
  const std::string whole = read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/vq/vqgan.yaml");
  ASSERT_TRUE(reads(scratch, whole));
  int64_t read = 0;
  const std::vector<std::string> words{"&a ", "*a", "<<: *a", "!!int ", "[",           "{",  "- ",   ": ", "|\n",
                                       "? ",  "\t", "\xFF",   "\0",     "99999999999", "-1", "true", "~"};
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    Rng rng(seed, 18);
    read += reads(scratch, mutate({whole}, words, rng)) ? 1 : 0;
  }
  EXPECT_LT(read, 1500);
  for (size_t size = 0; size < whole.size(); size += 3) reads(scratch, whole.substr(0, size));
  for (const char* open : {"[", "{a: ", "- ", "a:\n "}) {
    std::string deep;
    for (int i = 0; i < 20'000; ++i) deep += open;
    EXPECT_FALSE(reads(scratch, deep));
  }
}

}  // namespace
}  // namespace tessera::testing
