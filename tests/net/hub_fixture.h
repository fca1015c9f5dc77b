// A small hub on the test's own loop: real certificates, real TLS on 127.0.0.1, echo over the sync WebSocket.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "keys/clock.h"
#include "keys/pki.h"
#include "net/client.h"
#include "net/server.h"
#include "tests/support/catch.h"
#include "tests/support/loop.h"

namespace fieldpost::test {

inline const keys::KeyAndCertificate& hub_ca() {
  static const auto ca = keys::make_ca("Fieldpost test CA", keys::system_now()).value();
  return ca;
}

inline net::TlsServerConfig hub_certificate(const keys::KeyAndCertificate& ca = hub_ca()) {
  const std::vector<std::string> names = {"hub.example", "localhost", "127.0.0.1"};
  const auto server = keys::issue_server_certificate(ca, names, keys::system_now()).value();
  return {server.certificate_pem + ca.certificate_pem, server.key_pem};
}

/// What one end of a connection has seen.
struct Ear {
  std::vector<Bytes> heard;
  std::optional<Error> closed;
  int drained = 0;

  net::MessageStream::Handlers handlers() {
    return {[this](Bytes&& message) { heard.push_back(std::move(message)); },
            [this](const Error& error) { closed = error; }, [this] { ++drained; }};
  }
};

class HubFixture {
 public:
  explicit HubFixture(net::ServerConfig config = {}, bool with_sync = true,
                      net::TlsServerConfig tls = hub_certificate())
      : server(
            {&loop.context()}, std::move(config), std::move(tls),
            [this](const net::HttpRequest& request, const net::Responder& respond) {
              on_request(request, respond);
            },
            with_sync ? net::StreamHandler([this](auto stream, auto) { on_stream(stream); })
                      : nullptr) {
    REQUIRE(server.start());
  }

  net::ClientTarget target() {
    net::ClientTarget result;
    result.host = "127.0.0.1";
    result.port = server.port();
    result.server_name = "hub.example";
    result.trust = net::trust_ca(hub_ca().certificate_pem).value();
    return result;
  }

  Result<std::shared_ptr<net::MessageStream>> connect(net::ClientTarget to) {
    std::optional<Result<std::shared_ptr<net::MessageStream>>> result;
    net::connect_stream(loop.executor(), std::move(to),
                        [&](auto connected) { result = std::move(connected); });
    loop.run_until([&] { return result.has_value(); });
    return *std::move(result);
  }

  std::string connect_error(net::ClientTarget to) {
    auto result = connect(std::move(to));
    REQUIRE_FALSE(result);
    return result.error().message();
  }

  Result<net::ClientResponse> request(net::ClientRequest what) {
    std::optional<Result<net::ClientResponse>> result;
    net::async_http_request(loop.executor(), std::move(what),
                            [&](auto answer) { result = std::move(answer); });
    loop.run_until([&] { return result.has_value(); });
    return *std::move(result);
  }

  Loop loop;
  std::function<void(const net::HttpRequest&, const net::Responder&)> on_request =
      [](const net::HttpRequest& request, const net::Responder& respond) {
        net::HttpResponse response;
        response.body = request.method + " " + request.path + " " + request.body;
        respond(std::move(response));
      };
  std::vector<std::shared_ptr<net::MessageStream>> streams;  ///< the hub's ends
  std::function<void(const std::shared_ptr<net::MessageStream>&)> on_stream =
      [this](const std::shared_ptr<net::MessageStream>& stream) {
        streams.push_back(stream);
        stream->start({[weak = std::weak_ptr(stream)](Bytes&& message) {
                         if (auto live = weak.lock()) live->send(std::move(message));
                       },
                       nullptr, nullptr});
      };
  net::HttpsServer server;
};

}  // namespace fieldpost::test
