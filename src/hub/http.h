// One GET at a time by libcurl. A token goes to the server that was asked and to no other, wherever that one redirects.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace tessera::hub {

/// How a request ended.
struct HttpAnswer {
  int status = 0;                              // of the last server that answered; 0 when none did
  std::map<std::string, std::string> headers;  // names in small letters
  std::string fault;                           // why the connection failed or broke; "" when the answer is whole
  bool reached = true;                         // whether there was a server to speak to

  bool ok() const { return fault.empty() && (status == 200 || status == 206); }
  /// "" where there is no such header.
  std::string header(const std::string& name) const;
};

struct HttpRequest {
  std::string url;
  std::string token;  // sent as `Authorization: Bearer`; "" sends none
  int64_t from = 0;   // > 0: only the bytes from there on are asked for
  /// Called before the body of status 200 or 206; bodies of other answers are dropped.
  std::function<void(const HttpAnswer&)> on_head = {};
  std::function<void(std::string_view)> on_body = {};  // pieces of the body
};

/// Keeps connections open between requests. Not for several threads at once.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Follows up to eight redirects over http and https, never from https to http. What `on_head` and `on_body` throw
  /// ends the request and is thrown on. Throws FaultError when Ctrl-C was pressed (core/interrupt.h).
  HttpAnswer get(const HttpRequest& request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "https://host:port" of a URL, with the port of its scheme where none is given. Throws UserError for what is no http
/// or https URL.
std::string origin_of(const std::string& url);
/// `text` as it is written inside of a URL; slashes stay where `keep_slashes`.
std::string url_escaped(std::string_view text, bool keep_slashes);

}  // namespace tessera::hub
