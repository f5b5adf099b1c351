// The two hashes against what sha256sum and git hash-object print.
#include "core/digest.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

std::string hash(size_t digits, std::string_view bytes) {
  Digest digest(digits, std::ssize(bytes));
  digest.update(bytes.substr(0, bytes.size() / 2));
  digest.update(bytes.substr(bytes.size() / 2));
  return digest.hex();
}

TEST(Digest, LargeFilesHaveTheirSha256) {
  EXPECT_EQ(hash(64, "tessera\n"), "8e861ce8c32d28eb956be3ba2affcc316bbbe2979c3a6d0112e02c5f71b66373");
  EXPECT_EQ(hash(64, ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("tessera\n"), hash(64, "tessera\n"));
  EXPECT_EQ(sha256(""), hash(64, ""));
}

TEST(Digest, SmallFilesHaveTheHashOfTheirGitBlob) {
  EXPECT_EQ(hash(40, "tessera\n"), "00cd0f72bd1ba75dfa5e2402512337c3fd57598f");
  EXPECT_EQ(hash(40, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

}  // namespace
}  // namespace tessera
