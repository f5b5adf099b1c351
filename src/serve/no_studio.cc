// A build without the page (TESSERA_STUDIO=OFF): some words in its place.
#include <array>

#include "serve/assets.h"

namespace tessera::serve {

namespace {

constexpr std::string_view start_page =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
    "content=\"width=device-width\"><title>Tessera</title>"
    "<h1>Tessera</h1><p>This server speaks OpenAI's API: <code>/v1/models</code>, <code>/v1/chat/completions</code>, "
    "<code>/v1/completions</code>. It was built without its page.</p></html>";

constexpr std::array<Asset, 1> start_assets = {Asset{"/", "text/html; charset=utf-8", start_page}};

}  // namespace

std::span<const Asset> page_assets() { return start_assets; }

}  // namespace tessera::serve
