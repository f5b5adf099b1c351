// SHA-256, by which files, models and pictures are told apart, and Git's SHA-1 of a blob, by which the hub names small files. Computed as the
// bytes come, so that a file is read once. A library of its own (tessera_digest), so that who embeds the core needs no OpenSSL.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tessera {

class Digest {
 public:
  /// Of a file of `bytes` bytes whose wanted hash has `digits` hexadecimal digits: 64 for SHA-256, 40 for Git's SHA-1. Throws FaultError where
  /// OpenSSL does not offer it.
  Digest(size_t digits, int64_t bytes);
  /// SHA-256.
  Digest() : Digest(64, 0) {}
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

/// The SHA-256 of some bytes, 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace tessera
