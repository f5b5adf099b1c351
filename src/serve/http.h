// HTTP/1.1 for one server: requests in, whole answers or streams out. All that is sent is bounded, and who leaves is noticed. One thread
// reads and writes; answers may come from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"

namespace tessera::serve {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET"
  std::string path;    // without the query, percent signs decoded
  std::string query;   // what follows "?"
  Headers headers;     // names in small letters
  std::string body;    // "" while only the head is there
  std::string peer;    // the client's address without its port; "unix" for a UNIX socket
  bool local = false;  // over a UNIX socket
  bool old = false;    // HTTP/1.0
  /// The first header of that name, "" where there is none. `name` in small letters.
  std::string_view header(std::string_view name) const;
  /// A value of the query, percent signs decoded; nothing where it is not there.
  std::optional<std::string> parameter(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  Headers headers = {};  // beside Content-Length, Connection and Date
  std::string body = {};
};

/// One request and the way back to whoever asked. Every call is safe from any thread, and does nothing once the client is gone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual void reply(HttpReply reply) = 0;
  /// Opens a stream. Every `heartbeat_seconds` in which nothing is written, `heartbeat` is ("" never).
  virtual void begin(int status, const Headers& headers, std::string heartbeat) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void end() = 0;
  /// The client has left, or reads so slowly that it was cut off.
  virtual bool gone() const = 0;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;            // 0: any that is free
  Path socket = {};                // a UNIX socket beside the port
  bool tcp = true;                 // false: the UNIX socket alone
  size_t header_bytes = 16 << 10;  // a longer head is answered with 431
  size_t body_bytes = 64 << 20;    // a longer body is answered with 413
  size_t all_bodies = 512 << 20;   // of all requests together; beyond it 503
  size_t connections = 2048;       // further ones are answered with 503
  size_t backlog_bytes = 4 << 20;  // of a stream that is not read; beyond it the client is cut off
  double head_seconds = 15;        // from the connection to the first byte, and from there to the end of the head
  double body_seconds = 120;
  double idle_seconds = 75;   // from an answer to the first byte of the connection's next request
  double stuck_seconds = 30;  // without a byte taken while something is to be sent
  double heartbeat_seconds = 5;
};

class HttpServer {
 public:
  /// Called by the thread of input and output, so it must be quick; what takes time is done elsewhere.
  using Handler = std::function<void(std::shared_ptr<Exchange>)>;
  /// Sees a head before its body is read. A reply ends the request there.
  using Check = std::function<std::optional<HttpReply>(const HttpRequest& head)>;

  virtual ~HttpServer() = default;
  /// The port that is listened on.
  virtual uint16_t port() const = 0;
  /// Takes no further connection and no further request; those under way go on.
  virtual void drain() = 0;
  /// Requests that are not answered yet.
  virtual size_t active() const = 0;
  /// Connections that are open.
  virtual size_t connections() const = 0;
};

/// Listens at once. Throws UserError where the address cannot be listened on, and in a build without a server. The server ends, and its
/// connections break, when the object goes.
std::unique_ptr<HttpServer> start_http(const HttpOptions& options, HttpServer::Check check,
                                       HttpServer::Handler handler);

/// A mistake of transport in the JSON form of the API.
HttpReply error_reply(int status, const std::string& message);
/// "Not Found".
std::string_view status_text(int status);
/// The bytes that stand for `%41` and, with `plus`, for "+"; nothing for percent signs that mean nothing.
std::optional<std::string> percent_decoded(std::string_view text, bool plus = false);

}  // namespace tessera::serve
