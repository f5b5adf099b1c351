// Listens, admits connections and looks after their deadlines.
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/error.h"
#include "core/log.h"
#include "serve/http_session.h"

namespace tessera::serve {

namespace {

class BeastServer final : public HttpServer {
 public:
  BeastServer(const HttpOptions& options, Check check, Handler handler)
      : tcp_(hub_->io), local_(hub_->io), timer_(hub_->io) {
    hub_->options = options;
    hub_->check = std::move(check);
    hub_->handler = std::move(handler);
    if (options.tcp) listen_tcp();
    if (!options.socket.empty()) listen_local();
    tick();
    thread_ = std::thread([this] { run(); });
  }
  ~BeastServer() override {
    asio::post(hub_->io, [this] {
      const auto all = hub_->sessions;
      for (const auto& session : all) session->close();
      hub_->io.stop();
    });
    thread_.join();
    hub_->sessions.clear();
    hub_->handler = nullptr;  // exchanges may live on
    hub_->check = nullptr;
    std::error_code ignored;  // of a folder that is not ours to write in any more
    if (!hub_->options.socket.empty()) std::filesystem::remove(hub_->options.socket, ignored);
  }

  uint16_t port() const override { return port_; }
  size_t active() const override { return hub_->active; }
  size_t connections() const override { return hub_->open; }
  void drain() override {
    asio::post(hub_->io, [this] {
      hub_->draining = true;
      ErrorCode ignored;
      tcp_.close(ignored);
      local_.close(ignored);
      const auto all = hub_->sessions;
      for (const auto& session : all) session->close_if_idle();
    });
  }

 private:
  /// One connection's fault, such as memory that is short, ends no other: the clock and both acceptors are set again before what may throw.
  void run() {
    while (true) {
      try {
        hub_->io.run();
        return;
      } catch (const std::exception& fault) {
        log_warning("input and output: {}", fault.what());
      }
    }
  }
  void listen_tcp();
  void listen_local();
  void accept_tcp();
  void accept_local();
  void admit(Socket socket, std::string peer, bool local);
  /// Out of files, say: try again in a moment.
  template <class Again> void rest(Again again) {
    const auto pause = std::make_shared<asio::steady_timer>(hub_->io, std::chrono::milliseconds(50));
    pause->async_wait([pause, again](ErrorCode) { again(); });
  }
  void tick() {
    timer_.expires_after(std::chrono::milliseconds(250));
    timer_.async_wait([this](ErrorCode error) {
      if (error) return;
      tick();
      const auto now = Clock::now();
      const auto all = std::vector<std::shared_ptr<Session>>(hub_->sessions.begin(), hub_->sessions.end());
      for (const auto& session : all) session->tick(now);
    });
  }

  std::shared_ptr<Hub> hub_ = std::make_shared<Hub>();
  asio::ip::tcp::acceptor tcp_;
  asio::local::stream_protocol::acceptor local_;
  asio::steady_timer timer_;
  std::thread thread_;
  uint16_t port_ = 0;
};

void BeastServer::listen_tcp() {
  ErrorCode error;
  const auto address =
      asio::ip::make_address(hub_->options.host == "localhost" ? "127.0.0.1" : hub_->options.host, error);
  if (error)
    throw UserError("[serve] --host is '{}', want an address such as 127.0.0.1, ::1 or 0.0.0.0", hub_->options.host);
  const asio::ip::tcp::endpoint endpoint(address, hub_->options.port);
  tcp_.open(endpoint.protocol(), error);
  if (!error) tcp_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) tcp_.bind(endpoint, error);
  if (!error) tcp_.listen(1024, error);
  if (error)
    throw UserError("[serve] cannot listen on {} port {}: {}", hub_->options.host, hub_->options.port, error.message());
  port_ = tcp_.local_endpoint().port();
  accept_tcp();
}

void BeastServer::listen_local() {
  const Path& path = hub_->options.socket;
  ErrorCode error;
  if (std::filesystem::is_socket(path)) {  // of a server that is gone, or of one that lives
    asio::local::stream_protocol::socket probe(hub_->io);
    probe.connect(path.string(), error);
    if (!error) throw UserError("[serve] another server listens on {}", path.string());
    std::filesystem::remove(path);
  }
  local_.open(asio::local::stream_protocol(), error);
  if (path.string().size() > 100)
    throw UserError("[serve] --socket {} has {} characters, want at most 100", path.string(), path.string().size());
  if (!error) local_.bind(path.string(), error);
  if (!error) local_.listen(1024, error);
  if (error) throw UserError("[serve] cannot listen on {}: {}", path.string(), error.message());
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  accept_local();
}

void BeastServer::admit(Socket socket, std::string peer, bool local) {
  const auto session = std::make_shared<Session>(*hub_, std::move(socket), std::move(peer), local);
  if (hub_->sessions.size() < hub_->options.connections) return session->start();
  session->refuse(error_reply(503, "too many connections"));
}

void BeastServer::accept_tcp() {
  tcp_.async_accept([this](ErrorCode error, asio::ip::tcp::socket socket) {
    if (error == asio::error::operation_aborted || !tcp_.is_open()) return;
    if (error) return rest([this] { accept_tcp(); });
    accept_tcp();
    ErrorCode ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::send_buffer_size(256 << 10), ignored);
    const auto peer = socket.remote_endpoint(ignored).address().to_string();
    admit(Socket(std::move(socket)), peer, false);
  });
}

void BeastServer::accept_local() {
  local_.async_accept([this](ErrorCode error, asio::local::stream_protocol::socket socket) {
    if (error == asio::error::operation_aborted || !local_.is_open()) return;
    if (error) return rest([this] { accept_local(); });
    accept_local();
    admit(Socket(std::move(socket)), "unix", true);
  });
}

}  // namespace

std::unique_ptr<HttpServer> start_http(const HttpOptions& options, HttpServer::Check check,
                                       HttpServer::Handler handler) {
  return std::make_unique<BeastServer>(options, std::move(check), std::move(handler));
}

}  // namespace tessera::serve
