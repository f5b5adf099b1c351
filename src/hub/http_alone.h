// The one option of libcurl whose name depends on its release. What must stay true: a header by itself, so that a room above can use it without
// linking hub/.
#pragma once

#include <curl/curl.h>

namespace tessera::hub {

/// Keeps a request to http and https.
inline void allow_http_alone(CURL* handle) {
#if LIBCURL_VERSION_NUM >= 0x075500  // 7.85, which deprecates the other one
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

}  // namespace tessera::hub
