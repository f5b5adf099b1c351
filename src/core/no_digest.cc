// Stands in for OpenSSL in a build that has neither `tessera pull` nor `tessera serve`.
#include "core/digest.h"
#include "core/error.h"

namespace tessera {

struct Digest::State {};

Digest::Digest(size_t /*digits*/, int64_t /*bytes*/) {
  throw FaultError("[core] this build computes no hashes; build it with libssl-dev and TESSERA_PULL or TESSERA_SERVE");
}
Digest::~Digest() = default;
void Digest::update(std::string_view /*bytes*/) {}
std::string Digest::hex() { return ""; }
std::string sha256(std::string_view /*bytes*/) { return ""; }

}  // namespace tessera
