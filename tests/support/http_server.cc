// Plain sockets and one thread; a connection carries one request.
#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace tessera::testing {

namespace {

/// Reads on until `text` is `size` long. False when the connection ends before.
bool read_up_to(int connection, std::string& text, size_t size) {
  char bytes[4096];
  while (text.size() < size) {
    const ssize_t got = ::recv(connection, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    text.append(bytes, static_cast<size_t>(got));
  }
  return true;
}

/// A request up to its body, and what of that came along; "" when the connection ends before it does.
std::string read_head(int connection) {
  std::string head;
  while (head.find("\r\n\r\n") == std::string::npos && head.size() < 65536) {
    if (!read_up_to(connection, head, head.size() + 1)) return "";
  }
  return head;
}

HttpSeen parsed(const std::string& head) {
  HttpSeen seen;
  std::istringstream lines(head);
  lines >> seen.method >> seen.target;
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    seen.headers[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  return seen;
}

void send_all(int connection, const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = ::send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return;  // the client has hung up
    sent += static_cast<size_t>(now);
  }
}

}  // namespace

HttpServer::HttpServer(Answer answer) : answer_(std::move(answer)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof here;
  auto* address = reinterpret_cast<sockaddr*>(&here);
  if (listener_ < 0 || ::bind(listener_, address, size) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, address, &size) != 0)
    throw std::runtime_error("no server for this test");
  port_ = ntohs(here.sin_port);
  thread_ = std::thread([this] { serve(); });
}

HttpServer::~HttpServer() {
  ::shutdown(listener_, SHUT_RDWR);  // accept() returns
  thread_.join();
  ::close(listener_);
}

std::string HttpServer::address() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<HttpSeen> HttpServer::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void HttpServer::serve() {
  for (int connection; (connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    serve_one(connection);
    ::shutdown(connection, SHUT_WR);
    char rest[256];
    while (::recv(connection, rest, sizeof rest, 0) > 0) continue;  // or the client may lose what is on its way
    ::close(connection);
  }
}

void HttpServer::serve_one(int connection) {
  const std::string head = read_head(connection);
  if (head.empty()) return;
  HttpSeen asked = parsed(head);
  if (const auto length = asked.headers.find("content-length"); length != asked.headers.end()) {
    asked.body = head.substr(head.find("\r\n\r\n") + 4);
    read_up_to(connection, asked.body, std::stoul(length->second));
  }
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(asked);
  }
  HttpReply reply = answer_(asked);
  reply.headers.try_emplace("Content-Length", std::to_string(reply.body.size()));
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " As it is\r\nConnection: close\r\n";
  for (const auto& [name, value] : reply.headers) {
    if (!value.empty()) text += name + ": " + value + "\r\n";
  }
  send_all(connection, text + "\r\n" + (asked.method == "HEAD" ? "" : reply.body.substr(0, reply.cut_after)));
}

}  // namespace tessera::testing
