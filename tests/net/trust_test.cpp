// Whom a tablet believes, what a hub takes from a stranger, and the sentences for both.
#include <boost/asio/ip/tcp.hpp>
#include <cstdlib>
#include <new>
#include <openssl/ssl.h>

#include "net/connector.h"
#include "tests/net/hub_fixture.h"

using namespace fieldpost;
using test::Ear;
using test::HubFixture;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
std::size_t largest_allocation = 0;
}

// Every allocation of this test program passes here, so that a test can say what was not allocated.
void* operator new(std::size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  largest_allocation = std::max(largest_allocation, size);
  return std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

bool says(const std::string& sentence, std::string_view part) {
  return sentence.find(part) != std::string::npos;
}

keys::KeyAndCertificate other_ca() {
  return keys::make_ca("Somebody else's CA", keys::system_now()).value();
}

Instant in_days(int days) { return {keys::system_now().ms + days * 86'400'000LL}; }

/// A TLS connection to the hub without a WebSocket on it, for saying what no client of ours would.
class RawClient {
 public:
  explicit RawClient(HubFixture& hub) : hub_(hub) {
    const auto target = hub.target();
    net::connect(hub.loop.executor(),
                 {target.host, target.port, target.server_name, target.trust, {}, 5'000, 5'000},
                 [this](auto connected) { connected_ = std::move(connected).value(); });
    hub.loop.run_until([this] { return connected_.transport != nullptr; });
  }

  void write(std::string text) {
    bool done = false;
    text_ = std::move(text);
    connected_.transport->write(asio::buffer(text_), {}, [&](auto, auto) { done = true; });
    hub_.loop.run_until([&] { return done; });
  }

  /// Reads until `part` has come or the hub has closed; returns everything so far.
  std::string read_until(std::string_view part) {
    while (!closed_ && !says(all_, part)) {
      bool done = false;
      std::array<char, 4096> buffer;
      connected_.transport->read_some(asio::buffer(buffer), [&](auto ec, std::size_t size) {
        closed_ = static_cast<bool>(ec);
        all_.append(buffer.data(), size);
        done = true;
      });
      hub_.loop.run_until([&] { return done; });
    }
    return all_;
  }
  std::string read_to_end() { return read_until("\x01never\x02"); }
  void shutdown() {
    bool done = false;
    connected_.transport->shutdown([&] { done = true; });
    hub_.loop.run_until([&] { return done; });
  }
  void close() { connected_.transport->close(); }

  void upgrade(std::string_view protocol_header = "Sec-WebSocket-Protocol: fieldpost.v1\r\n") {
    write(
        "GET /v1/sync HTTP/1.1\r\nHost: hub.example\r\nConnection: Upgrade\r\nUpgrade: "
        "websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
        std::string(protocol_header) + "\r\n");
    read_until("\r\n\r\n");
  }

 private:
  HubFixture& hub_;
  net::Connected connected_;
  std::string text_;
  std::string all_;
  bool closed_ = false;
};

/// Accepts one connection and does with it as told.
struct OddServer {
  OddServer(asio::io_context& context, std::function<void(tcp::socket)> what)
      : acceptor(context, {asio::ip::address_v4::loopback(), 0}) {
    acceptor.async_accept([what = std::move(what)](auto ec, tcp::socket socket) {
      if (!ec) what(std::move(socket));
    });
  }
  std::uint16_t port() const { return acceptor.local_endpoint().port(); }
  tcp::acceptor acceptor;
};

}  // namespace

TEST_CASE("a hub under another CA is refused, as a captive portal would be") {
  HubFixture hub({}, true, test::hub_certificate(other_ca()));
  const std::string error = hub.connect_error(hub.target());
  CHECK(says(error, "does not come from this hub's CA"));
  CHECK(says(error, "captive portal"));
  CHECK(hub.streams.empty());
}

TEST_CASE("a certificate for another name or address is refused, with both names") {
  HubFixture hub;
  auto target = hub.target();
  target.server_name = "other.example";
  std::string error = hub.connect_error(target);
  CHECK(says(error, "hub.example"));
  CHECK(says(error, "not for other.example"));
  target.server_name = "10.1.2.3";
  error = hub.connect_error(target);
  CHECK(says(error, "not for 10.1.2.3"));
  for (const char* good : {"hub.example", "HUB.EXAMPLE", "127.0.0.1", "localhost", ""}) {
    target.server_name = good;  // empty: the host, 127.0.0.1
    auto stream = hub.connect(target);
    REQUIRE(stream);
    (*stream)->abort();
  }
}

TEST_CASE(
    "a certificate past its end by hub time is refused, and the sentence says by which clock") {
  HubFixture hub;
  auto target = hub.target();
  target.hub_time_at_least = in_days(700);
  auto expired = hub.connect(target);
  REQUIRE_FALSE(expired);
  CHECK(expired.error().is(Errc::expired));
  const auto dates = keys::read_certificate(test::hub_certificate().certificate_chain_pem).value();
  const std::string sentence = expired.error().message();
  INFO(sentence);
  CHECK(says(sentence, to_text(dates.not_after).substr(0, 10)));
  CHECK(says(sentence, "by the hub's own time it is " +
                           to_text(*target.hub_time_at_least).substr(0, 10) + " or later"));
  CHECK(says(sentence, "fieldpost-hub certificate renew"));
}

TEST_CASE("a certificate that begins after the hub time known is believed: it was renewed since") {
  HubFixture hub;
  auto target = hub.target();
  for (const Instant known : {Instant{0}, in_days(-400), in_days(100)}) {
    target.hub_time_at_least = known;
    auto stream = hub.connect(target);
    INFO(to_text(known) << (stream ? "" : stream.error().message()));
    REQUIRE(stream);
    const auto dates =
        keys::read_certificate(test::hub_certificate().certificate_chain_pem).value();
    CHECK((*stream)->certificate_end() == dates.not_after);
    (*stream)->abort();
  }
}

TEST_CASE("while no hub time is known the wall clock judges both ends, and is named as suspect") {
  for (const int days : {-800, 800}) {
    const auto ca = keys::make_ca("Fieldpost hub CA", in_days(days - 1)).value();
    const auto made =
        keys::issue_server_certificate(ca, std::vector<std::string>{"hub.example"}, in_days(days))
            .value();
    HubFixture hub({}, true, {made.certificate_pem + ca.certificate_pem, made.key_pem});
    auto target = hub.target();
    target.trust = net::trust_ca(ca.certificate_pem).value();
    const auto refused = hub.connect(target);
    REQUIRE_FALSE(refused);
    INFO(refused.error().message());
    CHECK(refused.error().is(Errc::expired));
    CHECK(says(refused.error().message(), "this device's clock says "));
    CHECK(says(refused.error().message(),
               days < 0 ? "set the clock" : "Set date and time of this device"));
    // The other faults are not passed over with the start.
    target.hub_time_at_least = Instant{0};
    target.server_name = "other.example";
    CHECK(says(hub.connect_error(target), "not for other.example"));
  }
}

TEST_CASE("a port that answers with plain HTTP is named as such") {
  HubFixture hub;
  net::HttpServer portal({&hub.loop.context()}, {}, [](auto, const auto& respond) { respond({}); });
  REQUIRE(portal.start());
  auto target = hub.target();
  target.port = portal.port();
  CHECK(says(hub.connect_error(target), "does not answer with TLS"));
}

TEST_CASE("an HTTP answer instead of the upgrade is named with its status") {
  HubFixture hub({}, false);
  hub.on_request = [](const auto&, const auto& respond) {
    respond(net::error_response(503, "portal", "log in first"));
  };
  const std::string error = hub.connect_error(hub.target());
  CHECK(says(error, "answered HTTP 503"));
}

TEST_CASE("a refused, unknown, silent or closing host each gets its own sentence") {
  HubFixture hub;
  auto target = hub.target();
  {
    tcp::acceptor gone(hub.loop.context(), {asio::ip::address_v4::loopback(), 0});
    target.port = gone.local_endpoint().port();
  }
  CHECK(says(hub.connect_error(target), "refuses connections"));
  target.host = "no-such-host.invalid";
  CHECK(says(hub.connect_error(target), "no-such-host.invalid is not known here"));

  std::optional<tcp::socket> kept;
  OddServer silent(hub.loop.context(), [&](tcp::socket socket) { kept = std::move(socket); });
  target = hub.target();
  target.port = silent.port();
  target.handshake_timeout_ms = 30;
  auto result = hub.connect(target);
  REQUIRE_FALSE(result);
  CHECK(result.error().is(Errc::timeout));
  CHECK(says(result.error().message(), "did not finish the TLS handshake"));

  OddServer closing(hub.loop.context(), [](tcp::socket) {});
  target = hub.target();
  target.port = closing.port();
  CHECK(says(hub.connect_error(target), "closed the connection during the TLS handshake"));
}

TEST_CASE("a connection attempt can be given up") {
  HubFixture hub;
  std::optional<tcp::socket> kept;
  OddServer silent(hub.loop.context(), [&](tcp::socket socket) { kept = std::move(socket); });
  auto target = hub.target();
  target.port = silent.port();
  std::optional<Error> error;
  const auto cancel = net::connect_stream(hub.loop.executor(), target,
                                          [&](auto result) { error = result.error(); });
  hub.loop.run_until([&] { return kept.has_value(); });
  cancel();
  hub.loop.run_until([&] { return error.has_value(); });
  CHECK(error->is(Errc::closed));
}

TEST_CASE("the hub speaks TLS 1.3 only, and so does the tablet") {
  HubFixture hub;
  asio::ssl::context old_client(asio::ssl::context::tls_client);
  SSL_CTX_set_max_proto_version(old_client.native_handle(), TLS1_2_VERSION);
  net::TlsSocket socket(hub.loop.context(), old_client);
  socket.next_layer().connect({asio::ip::address_v4::loopback(), hub.server.port()});
  std::optional<boost::system::error_code> result;
  socket.async_handshake(net::TlsSocket::client, [&](auto ec) { result = ec; });
  hub.loop.run_until([&] { return result.has_value(); });
  CHECK(*result);
  hub.loop.run_until([&] { return hub.server.counters().connections_open == 0; });
  CHECK(hub.server.counters().handshakes_failed == 1);

  asio::ssl::context old_server(asio::ssl::context::tls_server);
  SSL_CTX_set_max_proto_version(old_server.native_handle(), TLS1_2_VERSION);
  const auto certificate = test::hub_certificate();
  old_server.use_certificate_chain(asio::buffer(certificate.certificate_chain_pem));
  old_server.use_private_key(asio::buffer(certificate.key_pem), asio::ssl::context::pem);
  std::optional<net::TlsSocket> accepted;
  OddServer server(hub.loop.context(), [&](tcp::socket tcp) {
    accepted.emplace(std::move(tcp), old_server);
    accepted->async_handshake(net::TlsSocket::server, [](auto) {});
  });
  auto target = hub.target();
  target.port = server.port();
  CHECK(says(hub.connect_error(target), "does not speak TLS 1.3"));
}

TEST_CASE("no session is resumed and no ticket is given") {
  HubFixture hub;
  const auto target = hub.target();
  net::Connected connected;
  net::connect(hub.loop.executor(),
               {target.host, target.port, target.server_name, target.trust, {}, 5'000, 5'000},
               [&](auto result) { connected = std::move(result).value(); });
  hub.loop.run_until([&] { return connected.transport != nullptr; });
  SSL* ssl = connected.transport->tls()->native_handle();
  CHECK(std::string(SSL_get_version(ssl)) == "TLSv1.3");
  CHECK(SSL_SESSION_has_ticket(SSL_get_session(ssl)) == 0);
  CHECK(SSL_get_negotiated_group(ssl) == NID_X25519);
  connected.transport->close();
}

TEST_CASE("an upgrade without the subprotocol is refused in a sentence") {
  HubFixture hub;
  for (const char* header :
       {"", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: fieldpost.v2\r\n"}) {
    RawClient client(hub);
    client.upgrade(header);
    const std::string answer = client.read_to_end();
    CHECK(says(answer, "HTTP/1.1 400"));
    CHECK(says(answer, "subprotocol fieldpost.v1"));
  }
  RawClient client(hub);
  client.write("GET /v1/sync HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(says(client.read_to_end(), "HTTP/1.1 426"));
  CHECK(hub.streams.empty());
}

TEST_CASE("a text message closes the connection with 1003 and never reaches the session") {
  HubFixture hub;
  Ear ear;
  hub.on_stream = [&](const auto& stream) { stream->start(ear.handlers()); };
  RawClient client(hub);
  client.upgrade();
  client.write(std::string("\x81\x82\x00\x00\x00\x00hi", 8));
  CHECK(says(client.read_until("\x03\xeb"), "\x03\xeb"));  // close frame: 1003
  client.write(std::string("\x88\x82\x00\x00\x00\x00\x03\xeb", 8));
  hub.loop.run_until([&] { return ear.closed.has_value(); });
  CHECK(ear.closed->is(Errc::malformed));
  CHECK(ear.heard.empty());
}

TEST_CASE("a frame that announces too much closes the connection with 1009 before anything comes") {
  HubFixture hub;
  Ear ear;
  hub.on_stream = [&](const auto& stream) { stream->start(ear.handlers()); };
  // 2^40 bytes; and one byte above the limit.
  for (const std::string& size : {std::string("\x00\x00\x01\x00\x00\x00\x00\x00", 8),
                                  std::string("\x00\x00\x00\x00\x00\x04\x00\x11", 8)}) {
    ear = {};
    RawClient client(hub);
    client.upgrade();
    largest_allocation = 0;
    client.write("\x82\xff" + size + std::string(4, '\0'));
    CHECK(says(client.read_until("\x03\xf1"), "\x03\xf1"));  // close frame: 1009
    client.shutdown();
    client.close();
    hub.loop.run_until([&] { return ear.closed.has_value(); });
    CHECK(ear.closed->is(Errc::too_large));
    CHECK(ear.heard.empty());
    CHECK(largest_allocation < 64 * 1024);
  }
}

TEST_CASE("an unmasked frame from a client ends the connection") {
  HubFixture hub;
  Ear ear;
  hub.on_stream = [&](const auto& stream) { stream->start(ear.handlers()); };
  RawClient client(hub);
  client.upgrade();
  client.write(std::string("\x82\x02hi", 4));
  client.read_until("\x03\xea");  // 1002
  client.close();
  hub.loop.run_until([&] { return ear.closed.has_value(); });
  CHECK(ear.heard.empty());
}

TEST_CASE("enrolment accepts exactly the chain with the fingerprint, and learns the CA from it") {
  HubFixture hub;
  const auto ca = keys::read_certificate(test::hub_ca().certificate_pem).value();
  net::ClientRequest request;
  request.host = "localhost";
  request.port = hub.server.port();
  request.target = "/v1/enrol?code=x";
  request.trust = net::trust_fingerprint(ca.fingerprint).value();
  const auto answer = hub.request(request).value();
  CHECK(answer.response.body == "GET /v1/enrol ");
  CHECK(keys::read_certificate(answer.ca_pem).value().fingerprint == ca.fingerprint);

  Fingerprint wrong = ca.fingerprint;
  wrong.bytes[31] ^= 1;
  request.trust = net::trust_fingerprint(wrong).value();
  auto refused = hub.request(request);
  REQUIRE_FALSE(refused);
  CHECK(says(refused.error().message(), "fingerprint of the enrolment code"));

  // The fingerprint of the server's own certificate is no CA's.
  const auto chain = test::hub_certificate();
  HubFixture second({}, true, chain);
  request.port = second.server.port();
  request.trust = net::trust_fingerprint(
                      keys::read_certificate(chain.certificate_chain_pem).value().fingerprint)
                      .value();
  CHECK_FALSE(second.request(request));

  // A chain that shows the right CA beside a certificate it did not sign is refused as well.
  const auto stranger = test::hub_certificate(other_ca());
  const std::string own = stranger.certificate_chain_pem.substr(
      0, stranger.certificate_chain_pem.find("-----END") + 26);
  HubFixture third({}, true, {own + test::hub_ca().certificate_pem, stranger.key_pem});
  request.port = third.server.port();
  request.trust = net::trust_fingerprint(ca.fingerprint).value();
  CHECK_FALSE(third.request(request));
}

TEST_CASE("a renewed certificate serves new connections without a restart") {
  HubFixture hub;
  const auto renewed_ca = other_ca();
  REQUIRE(hub.server.replace_certificate(test::hub_certificate(renewed_ca)));
  CHECK(says(hub.connect_error(hub.target()), "does not come from this hub's CA"));
  auto target = hub.target();
  target.trust = net::trust_ca(renewed_ca.certificate_pem).value();
  auto stream = hub.connect(target);
  REQUIRE(stream);
  (*stream)->abort();
  CHECK_FALSE(hub.server.replace_certificate({"no certificate", "no key"}));
  const auto a = test::hub_certificate();
  CHECK_FALSE(
      hub.server.replace_certificate({a.certificate_chain_pem, test::hub_certificate().key_pem}));
}
