// Files of the page, embedded in the program: a path, its kind and its bytes. Whoever brings a page adds its table to page_assets().
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "serve/http.h"

namespace tessera::serve {

struct Asset {
  std::string_view path;  // "/", "/studio/app.js"
  std::string_view kind;  // "text/html; charset=utf-8"
  std::string_view bytes;
  bool gzipped = false;  // the bytes are compressed; every browser takes them so
};

/// All embedded files.
std::span<const Asset> page_assets();

/// Whether there is a file at a path.
bool is_asset(std::string_view path);

/// The file at a request's path, with a policy under which a page loads nothing from elsewhere; nothing where there is none.
std::optional<HttpReply> asset_reply(const HttpRequest& request);

}  // namespace tessera::serve
