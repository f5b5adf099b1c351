// OpenSSL computes both hashes; a blob of Git begins with its kind and its length.
#include "core/digest.h"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "core/error.h"

namespace tessera {

struct Digest::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Digest::Digest(size_t digits, int64_t bytes) : state_(std::make_unique<State>()) {
  const bool git = digits == 40;
  if (state_->context == nullptr ||
      EVP_DigestInit_ex(state_->context.get(), git ? EVP_sha1() : EVP_sha256(), nullptr) != 1)
    throw FaultError("[core] OpenSSL offers no {}", git ? "SHA-1" : "SHA-256");
  if (git) update(fmt::format("blob {}", bytes) + '\0');
}

Digest::~Digest() = default;

void Digest::update(std::string_view bytes) { EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()); }

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context.get(), bytes.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string sha256(std::string_view bytes) {
  Digest digest;
  digest.update(bytes);
  return digest.hex();
}

}  // namespace tessera
