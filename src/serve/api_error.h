// A request that cannot be served, in the words and the JSON of OpenAI's API.
#pragma once

#include <stdexcept>
#include <string>

#include "core/json.h"
#include "serve/http.h"

namespace tessera::serve {

/// Printed for the wire: bytes that are no UTF-8 become U+FFFD.
inline std::string wire(const Json& tree) { return tree.dump(-1, ' ', false, Json::error_handler_t::replace); }

class ApiError : public std::runtime_error {
 public:
  explicit ApiError(int status, const std::string& message, std::string param = "", std::string code = "")
      : std::runtime_error(message), status_(status), param_(std::move(param)), code_(std::move(code)) {}

  int status() const { return status_; }
  /// Seconds after which to try again; 0: not said.
  ApiError& retry_after(int seconds) {
    retry_after_ = seconds;
    return *this;
  }
  /// The methods that a path has (405).
  ApiError& allow(std::string methods) {
    allow_ = std::move(methods);
    return *this;
  }
  Json json() const {
    const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
    return {{"error", {{"message", what()}, {"type", type()}, {"param", or_null(param_)}, {"code", or_null(code_)}}}};
  }
  HttpReply reply() const {
    HttpReply reply{.status = status_, .headers = {{"Content-Type", "application/json"}}, .body = wire(json())};
    if (!allow_.empty()) reply.headers.emplace_back("Allow", allow_);
    if (retry_after_ > 0) reply.headers.emplace_back("Retry-After", std::to_string(retry_after_));
    return reply;
  }

 private:
  std::string type() const {
    if (status_ == 401) return "authentication_error";
    if (status_ == 403) return "permission_error";
    if (status_ == 404) return "not_found_error";
    if (status_ == 429) return "rate_limit_error";
    return status_ >= 500 ? "server_error" : "invalid_request_error";
  }
  int status_, retry_after_ = 0;
  std::string param_, code_, allow_;
};

}  // namespace tessera::serve
