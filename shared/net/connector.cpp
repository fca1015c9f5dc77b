#include "net/connector.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <vector>

namespace fieldpost::net {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

class Connector : public std::enable_shared_from_this<Connector> {
 public:
  Connector(asio::any_io_executor executor, ConnectSettings settings, ConnectCallback callback)
      : settings_(std::move(settings)),
        callback_(std::move(callback)),
        where_(host_and_port(settings_.host, settings_.port)),
        executor_(std::move(executor)),
        timer_(executor_),
        resolver_(executor_),
        tcp_(executor_) {
    if (settings_.server_name.empty()) settings_.server_name = settings_.host;
  }

  void run() {
    if (!callback_) return;  // cancelled before it began
    arm(settings_.connect_timeout_ms,
        where_ + " did not answer within " + std::to_string(settings_.connect_timeout_ms / 1000) +
            " s: no link, a wrong address, or a firewall between. Look "
            "for a better signal or another network");
    error_code is_name;
    const auto address = asio::ip::make_address(settings_.host, is_name);
    if (!is_name) return connect({tcp::endpoint(address, settings_.port)});
    resolver_.async_resolve(
        settings_.host, std::to_string(settings_.port), tcp::resolver::numeric_service,
        [self = shared_from_this()](error_code ec, tcp::resolver::results_type found) {
          if (self->callback_) self->on_resolved(ec, found);
        });
  }

  void fail_with(Error error) {
    error_code ignored;
    tcp_.close(ignored);
    if (tls_) tls_->next_layer().close(ignored);
    finish(std::move(error));
  }

 private:
  void arm(std::int64_t timeout_ms, std::string sentence) {
    timer_.expires_after(std::chrono::milliseconds(timeout_ms));
    timer_.async_wait([weak = weak_from_this(), sentence = std::move(sentence)](error_code ec) {
      if (ec) return;
      if (auto self = weak.lock()) self->fail_with(fail(Errc::timeout, sentence));
    });
  }

  void finish(Result<Connected> result) {
    timer_.cancel();
    resolver_.cancel();
    if (auto callback = std::exchange(callback_, nullptr)) callback(std::move(result));
  }

  void on_resolved(error_code ec, const tcp::resolver::results_type& found) {
    if (ec) {
      return finish(fail(Errc::not_found, "the name " + settings_.host + " is not known here (" +
                                              ec.message() +
                                              "): no link, or a wrong address. Look for a "
                                              "better signal or another network"));
    }
    std::vector<tcp::endpoint> endpoints;
    for (const auto& entry : found) endpoints.push_back(entry.endpoint());
    connect(std::move(endpoints));
  }

  void connect(std::vector<tcp::endpoint> endpoints) {
    for (const tcp::endpoint& endpoint : endpoints) {
      if (!settings_.trust && !endpoint.address().is_loopback()) {
        return finish(fail(Errc::invalid_argument,
                           "plain HTTP is for this machine only, and " + where_ + " is another"));
      }
    }
    endpoints_ = std::move(endpoints);
    asio::async_connect(tcp_, endpoints_,
                        [self = shared_from_this()](error_code ec, const tcp::endpoint&) {
                          if (self->callback_) self->on_connected(ec);
                        });
  }

  void on_connected(error_code ec) {
    if (ec == asio::error::connection_refused) {
      return finish(Error{
          ec, where_ +
                  " refuses connections: the hub is not running there, or the port is wrong. It is "
                  "tried again; if it stays so, ask the hub's operator"});
    }
    if (ec) {
      return finish(Error{ec, where_ +
                                  " cannot be reached: no link, or a wrong address. Look for a "
                                  "better signal or another network"});
    }
    error_code ignored;
    tcp_.set_option(tcp::no_delay(true), ignored);
    if (!settings_.trust) return finish(Connected{make_transport(std::move(tcp_)), {}, {}});
    arm(settings_.handshake_timeout_ms,
        where_ + " accepts connections but did not finish the TLS handshake within " +
            std::to_string(settings_.handshake_timeout_ms / 1000) +
            " s: a very poor link, a hub under load, or the login page of this network. It is "
            "tried "
            "again; if this network asks for a login, open a browser and log in");
    tls_.emplace(std::move(tcp_), context_of(*settings_.trust));
    if (auto attached = attach_verification(*tls_, *settings_.trust, settings_.server_name,
                                            settings_.hub_time_at_least, verification_);
        !attached) {
      return finish(std::move(attached).error());
    }
    tls_->async_handshake(TlsSocket::client, [self = shared_from_this()](error_code failed) {
      if (self->callback_) self->on_handshake(failed);
    });
  }

  void on_handshake(error_code ec) {
    if (ec) {
      return finish(handshake_error(ec, verification_,
                                    {where_, settings_.server_name, settings_.hub_time_at_least}));
    }
    const auto end = certificate_end_of(*tls_);
    finish(Connected{make_transport(std::move(*tls_)), std::move(verification_.ca_pem), end});
  }

  ConnectSettings settings_;
  ConnectCallback callback_;  ///< null once called
  std::string where_;
  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  tcp::resolver resolver_;
  std::vector<tcp::endpoint> endpoints_;
  tcp::socket tcp_;
  std::optional<TlsSocket> tls_;
  Verification verification_;
};

}  // namespace

std::string host_and_port(const std::string& host, std::uint16_t port) {
  const bool bare_v6 = host.find(':') != std::string::npos && host.front() != '[';
  return (bare_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Cancel connect(asio::any_io_executor executor, ConnectSettings settings, ConnectCallback callback) {
  auto connector = std::make_shared<Connector>(executor, std::move(settings), std::move(callback));
  asio::post(executor, [connector] { connector->run(); });
  return [executor, weak = std::weak_ptr(connector)] {
    asio::post(executor, [weak] {
      if (auto live = weak.lock()) live->fail_with(fail(Errc::closed, "given up by this side"));
    });
  };
}

}  // namespace fieldpost::net
