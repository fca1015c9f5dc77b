#include "net/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <mutex>

#include "net/http_session.h"
#include "net/registry.h"
#include "net/tls_websocket.h"

namespace fieldpost::net {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

/// Rest after a failed accept: without descriptors (EMFILE) the next one would fail at once, and spin.
constexpr std::chrono::milliseconds kAcceptRest{100};

/// One connection's place in the registry.
struct Guard final : Place {
  std::shared_ptr<Registry> registry;
  Registry::Id id;
  bool is_stream = false;

  Guard(std::shared_ptr<Registry> where, asio::any_io_executor executor,
        const asio::ip::address& from)
      : registry(std::move(where)), id(registry->add(std::move(executor), from)) {}
  ~Guard() override {
    if (is_stream) --registry->counters().streams_open;
    registry->remove(id);
  }
  void known() override { registry->known(id); }
};

void serve_http(std::shared_ptr<const SessionShared> shared, std::unique_ptr<Transport> transport,
                std::shared_ptr<Guard> guard) {
  const auto registry = guard->registry;
  const auto id = guard->id;
  const auto session =
      start_http_session(std::move(shared), std::move(transport), std::move(guard));
  const std::weak_ptr weak(session);
  const bool stays = registry->reach(id, {[weak] {
                                            if (auto live = weak.lock()) stop_http_session(*live);
                                          },
                                          [weak] {
                                            if (auto live = weak.lock()) drop_http_session(*live);
                                          }});
  if (!stays) return drop_http_session(*session);
  if (registry->stopping()) stop_http_session(*session);
}

/// A TLS handshake under way, with its deadline.
struct Handshake : std::enable_shared_from_this<Handshake> {
  Handshake(tcp::socket tcp, std::shared_ptr<TlsContext> tls,
            std::shared_ptr<const SessionShared> session, std::shared_ptr<Guard> place)
      : context(std::move(tls)),
        socket(std::move(tcp), *context),
        timer(socket.get_executor()),
        shared(std::move(session)),
        guard(std::move(place)) {}

  void run() {
    timer.expires_after(std::chrono::milliseconds(shared->config.handshake_timeout_ms));
    timer.async_wait([weak = weak_from_this()](error_code ec) {
      if (ec) return;
      if (auto self = weak.lock()) self->drop();
    });
    const auto drop_weak = [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->drop();
    };
    if (!guard->registry->reach(guard->id, {drop_weak, drop_weak})) return;
    socket.async_handshake(TlsSocket::server, [self = shared_from_this()](error_code ec) {
      self->timer.cancel();
      if (ec) {
        ++self->shared->counters->handshakes_failed;
        return;
      }
      serve_http(self->shared, make_transport(std::move(self->socket)), self->guard);
    });
  }

  void drop() {
    error_code ignored;
    socket.next_layer().close(ignored);
  }

  std::shared_ptr<TlsContext> context;
  TlsSocket socket;
  asio::steady_timer timer;
  std::shared_ptr<const SessionShared> shared;
  std::shared_ptr<Guard> guard;
};

/// What becomes of a connection whose upgrade request was in order.
auto make_upgrade(StreamHandler on_stream, const ServerConfig& config) {
  const StreamSettings settings{config.handshake_timeout_ms, config.stream_idle_timeout_ms,
                                config.stream_close_timeout_ms, config.stream_message_timeout_ms};
  return [on_stream = std::move(on_stream), settings](const HttpRequest& request, TlsSocket socket,
                                                      std::shared_ptr<Place> place) {
    auto guard = std::static_pointer_cast<Guard>(std::move(place));
    // Weak: the stream itself owns the guard, and lets it go when the connection ends.
    accept_websocket(
        std::move(socket), request, settings, guard,
        [on_stream, weak = std::weak_ptr(guard)](Result<std::shared_ptr<MessageStream>> accepted) {
          const auto live = weak.lock();
          if (!accepted || !live) return;
          live->is_stream = true;
          ++live->registry->counters().streams_open;
          const std::weak_ptr<MessageStream> stream = *accepted;
          const auto stop = [stream] {
            if (auto open = stream.lock())
              open->close(CloseCode::going_away, "the hub is stopping");
          };
          const auto drop = [stream] {
            if (auto open = stream.lock()) open->abort();
          };
          const bool stays = live->registry->reach(live->id, {stop, drop});
          on_stream(*accepted, (*accepted)->executor());
          if (!stays) return drop();
          if (live->registry->stopping()) stop();
        });
  };
}

}  // namespace

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(std::vector<asio::io_context*> contexts, ServerConfig config, HttpHandler on_request,
           StreamHandler on_stream, bool tls)
      : contexts_(std::move(contexts)),
        counters_(std::make_shared<ServerCounters>()),
        registry_(std::make_shared<Registry>(config.strangers_max, counters_)),
        acceptor_(*contexts_.at(0)),
        rest_(*contexts_.at(0)) {
    auto shared = std::make_shared<SessionShared>();
    shared->on_request = std::move(on_request);
    shared->tls = tls;
    shared->counters = counters_;
    if (on_stream) shared->on_upgrade = make_upgrade(std::move(on_stream), config);
    shared->config = std::move(config);
    shared_ = std::move(shared);
  }

  const ServerConfig& config() const { return shared_->config; }
  const ServerCounters& counters() const { return *counters_; }
  std::uint16_t port() const { return port_; }

  void set_context(std::shared_ptr<TlsContext> context) {
    const std::lock_guard lock(mutex_);
    context_ = std::move(context);
  }

  Status open() {
    error_code ec;
    const auto address = asio::ip::make_address(config().address, ec);
    if (ec)
      return fail(Errc::invalid_argument,
                  "\"" + config().address + "\" is not an IP address to listen on");
    const std::string where = config().address + " port " + std::to_string(config().port);
    const tcp::endpoint endpoint(address, config().port);
    acceptor_.open(endpoint.protocol(), ec);
    if (!ec) acceptor_.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor_.bind(endpoint, ec);
    if (!ec) acceptor_.listen(config().backlog, ec);
    if (ec) {
      const bool taken = ec == asio::error::address_in_use;
      return {Error{
          ec, "cannot listen on " + where +
                  (taken ? ": another program has the port; stop it or choose another" : "")}};
    }
    port_ = acceptor_.local_endpoint().port();
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] { self->accept(); });
    return {};
  }

  void stop() {
    registry_->stop_all();
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->rest_.cancel();
    });
  }

 private:
  void accept() {
    if (registry_->stopping()) return;
    asio::io_context& context = *contexts_[next_++ % contexts_.size()];
    acceptor_.async_accept(context, [self = shared_from_this()](error_code ec, tcp::socket socket) {
      self->on_accept(ec, std::move(socket));
    });
  }

  void on_accept(error_code ec, tcp::socket socket) {
    if (registry_->stopping()) return;
    if (ec) {
      ++counters_->accept_errors;
      rest_.expires_after(kAcceptRest);
      return rest_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled) self->accept();
      });
    }
    if (counters_->connections_open >= config().connections_max) {
      ++counters_->connections_refused;
    } else {
      begin(std::move(socket));
    }
    accept();
  }

  void begin(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto executor = socket.get_executor();
    const auto from = socket.remote_endpoint(ignored).address();
    auto guard = std::make_shared<Guard>(registry_, executor, from);
    std::shared_ptr<TlsContext> tls;
    {
      const std::lock_guard lock(mutex_);
      tls = context_;
    }
    asio::post(executor, [shared = shared_, tls = std::move(tls), guard = std::move(guard),
                          socket = std::move(socket)]() mutable {
      if (guard->registry->stopping()) return;
      if (!shared->tls) return serve_http(shared, make_transport(std::move(socket)), guard);
      std::make_shared<Handshake>(std::move(socket), std::move(tls), shared, std::move(guard))
          ->run();
    });
  }

  std::vector<asio::io_context*> contexts_;
  std::shared_ptr<ServerCounters> counters_;
  std::shared_ptr<Registry> registry_;
  std::shared_ptr<const SessionShared> shared_;
  std::mutex mutex_;
  std::shared_ptr<TlsContext> context_;
  tcp::acceptor acceptor_;
  asio::steady_timer rest_;
  std::size_t next_ = 0;
  std::uint16_t port_ = 0;
};

HttpsServer::HttpsServer(std::vector<asio::io_context*> contexts, ServerConfig config,
                         TlsServerConfig tls, HttpHandler on_request, StreamHandler on_stream)
    : listener_(std::make_shared<Listener>(std::move(contexts), std::move(config),
                                           std::move(on_request), std::move(on_stream), true)),
      tls_(std::move(tls)) {}
HttpsServer::~HttpsServer() = default;

Status HttpsServer::start() {
  FP_CHECK_OK(replace_certificate(tls_));
  tls_ = {};
  return listener_->open();
}
void HttpsServer::stop() { listener_->stop(); }
std::uint16_t HttpsServer::port() const { return listener_->port(); }
const ServerCounters& HttpsServer::counters() const { return listener_->counters(); }
Status HttpsServer::replace_certificate(const TlsServerConfig& tls) {
  FP_TRY(auto context, make_server_context(tls));
  listener_->set_context(std::move(context));
  return {};
}

HttpServer::HttpServer(std::vector<asio::io_context*> contexts, ServerConfig config,
                       HttpHandler on_request)
    : listener_(std::make_shared<Listener>(std::move(contexts), std::move(config),
                                           std::move(on_request), nullptr, false)) {}
HttpServer::~HttpServer() = default;

Status HttpServer::start() {
  error_code ec;
  const auto address = asio::ip::make_address(listener_->config().address, ec);
  if (ec || !address.is_loopback()) {
    return fail(Errc::invalid_argument,
                "plain HTTP is served on a loopback address only (127.0.0.1 or ::1), not on \"" +
                    listener_->config().address + "\"");
  }
  return listener_->open();
}
void HttpServer::stop() { listener_->stop(); }
std::uint16_t HttpServer::port() const { return listener_->port(); }
const ServerCounters& HttpServer::counters() const { return listener_->counters(); }

}  // namespace fieldpost::net
