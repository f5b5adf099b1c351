// The two hashes by which the hub names the contents of a file: SHA-256 for large files (Git LFS), Git's SHA-1 of a
// blob for small ones. Computed as the bytes come, so that a file is read once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tessera::hub {

class Digest {
 public:
  /// Of a file of `bytes` bytes whose wanted hash has `digits` hexadecimal digits: 64 for SHA-256, 40 for Git's SHA-1.
  Digest(size_t digits, int64_t bytes);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void update(std::string_view bytes);
  /// The hash in small letters; nothing may be added afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::hub
