// Who may ask: keys, the names under which the server may be called, pages that may call it, and the headers of every answer. A page of
// another site that a browser shows must neither read nor change anything here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace tessera::serve {

struct AccessRules {
  std::string key;                   // "": none is asked for
  std::vector<std::string> hosts;    // names beside localhost and addresses
  std::vector<std::string> origins;  // pages of other sites that may call: "https://example.org"
};

/// Whether an address is this machine alone: 127.0.0.0/8, ::1, localhost.
bool is_loopback(std::string_view host);

/// Equal texts, in a time that depends on the length of `given` alone.
bool equal_in_constant_time(std::string_view given, std::string_view key);

/// The reply to a head that is refused. In this order: the Host header must be localhost, an address or an allowed name (against DNS
/// rebinding); methods that change something must come from a page of the same origin, an allowed one, or from no page; they must carry
/// JSON or a form of files where something can be posted to; the key must be right, except for /health and the page itself.
std::optional<HttpReply> refused(const HttpRequest& head, const AccessRules& rules);

/// Headers of every answer, with those that let an allowed origin read it.
Headers common_headers(const HttpRequest& request, const AccessRules& rules);

/// The answer to a browser that asks whether a page may call (OPTIONS).
HttpReply preflight(const HttpRequest& request, const AccessRules& rules);

/// The text of a key file or the environment variable TESSERA_API_KEY, without blanks around it. Throws UserError for a file without a key, and
/// for a key shorter than 8 characters.
std::string read_key(const Path& file);

}  // namespace tessera::serve
