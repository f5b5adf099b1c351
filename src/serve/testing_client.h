// A client for tests that sends the bytes it is told, well or badly.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "core/files.h"

namespace tessera::serve::testing {

/// A connection that sends and receives bytes as it is told.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("connect");
    limit_waiting();
  }
  explicit RawClient(const Path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("connect");
    limit_waiting();
  }
  ~RawClient() { leave(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the other side takes no more.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  /// All until `end` has come, or until the connection ends.
  std::string receive(std::string_view end = "\n\nnever") const {
    std::string all;
    char part[4096];
    while (all.find(end) == std::string::npos) {
      const auto got = ::recv(socket_, part, sizeof part, 0);
      if (got <= 0) break;
      all.append(part, static_cast<size_t>(got));
    }
    return all;
  }
  /// One answer with a Content-Length.
  std::string answer() const {
    std::string all = receive("\r\n\r\n");
    const size_t at = all.find("Content-Length: ");
    if (at == std::string::npos) return all;
    const size_t whole = all.find("\r\n\r\n") + 4 + static_cast<size_t>(std::atoi(all.c_str() + at + 16));
    char part[4096];
    while (all.size() < whole) {
      const auto got = ::recv(socket_, part, std::min(sizeof part, whole - all.size()), 0);
      if (got <= 0) break;
      all.append(part, static_cast<size_t>(got));
    }
    return all;
  }
  void leave() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  void limit_waiting() const {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  int socket_;
};

}  // namespace tessera::serve::testing
