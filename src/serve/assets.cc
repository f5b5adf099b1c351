// Serving embedded files.
#include "serve/assets.h"

#include <algorithm>

namespace tessera::serve {

namespace {

/// Nothing from elsewhere, no script or style in the page itself, no frame around it.
constexpr std::string_view policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: "
    "blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors "
    "'none'";

}  // namespace

bool is_asset(std::string_view path) {
  return std::ranges::find(page_assets(), path, &Asset::path) != page_assets().end();
}

std::optional<HttpReply> asset_reply(const HttpRequest& request) {
  for (const Asset& asset : page_assets()) {
    if (asset.path != request.path) continue;
    HttpReply reply{.headers = {{"Content-Type", std::string(asset.kind)},
                                {"Content-Security-Policy", std::string(policy)},
                                {"Cross-Origin-Opener-Policy", "same-origin"},
                                {"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
                                {"Cache-Control", "no-cache"}},
                    .body = std::string(asset.bytes)};
    if (asset.gzipped) reply.headers.emplace_back("Content-Encoding", "gzip");
    return reply;
  }
  return std::nullopt;
}

}  // namespace tessera::serve
