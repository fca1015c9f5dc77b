// The servers: HTTPS with the sync WebSocket (hub), and plain HTTP on loopback (agent).
//
// Thread rule: the caller owns the io_contexts and runs each on exactly one thread. start() and stop() may
// be called from any thread; counters() too. Handlers run on the connection's thread.
// Invariants:
//   1. A connection is pinned to one io_context for life, chosen round robin.
//   2. TLS 1.3 only, no resumption, no tickets: every connection proves itself anew.
//   3. Every wait has a timeout and every buffer a limit; a refused accept backs off and never spins.
//   4. Strangers have places of their own: however many hold one, who is known keeps theirs (net/registry.h).
//   5. The server may be destroyed only after its io_contexts have stopped running.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http.h"
#include "net/message_stream.h"

namespace fieldpost::net {

/// The path and subprotocol of the sync WebSocket.
inline constexpr std::string_view kSyncPath = "/v1/sync";
inline constexpr std::string_view kSyncProtocol = "fieldpost.v1";

struct ServerConfig {
  std::string address = "127.0.0.1";     ///< IP address to listen on
  std::uint16_t port = 0;                ///< 0: any free port, see port()
  std::size_t connections_max = 16'384;  ///< above it a new connection is closed at once
  /// Connections of peers that have not proven who they are (HttpRequest::known, MessageStream::known).
  /// Above it the oldest of the source with the most of them makes room: twice a fleet that returns at once.
  std::size_t strangers_max = 4096;
  int backlog = 4096;  ///< of the listening socket: a fleet connects at once after an outage
  std::size_t header_bytes_max = 8 * 1024;
  std::size_t body_bytes_max = 1024 * 1024;
  /// A larger (or smaller) limit for some requests, asked once the header is there; 0: the default.
  std::function<std::size_t(const HttpRequest&)> body_limit;
  std::int64_t handshake_timeout_ms = 10'000;
  /// From the first byte of a request to its header's end; also from the handshake to the first byte.
  std::int64_t header_timeout_ms = 10'000;
  std::int64_t body_timeout_ms = 60'000;  ///< for a body, and for writing an answer
  std::int64_t idle_timeout_ms = 60'000;  ///< between requests
  /// WebSocket: silent for half of it, a ping is sent; silent for all of it, the link is dead.
  std::int64_t stream_idle_timeout_ms = 120'000;
  std::int64_t stream_close_timeout_ms = 5'000;
  /// For one whole message, in either direction, from its first byte: 256 KiB take 210 s at 10 kbit/s.
  std::int64_t stream_message_timeout_ms = 300'000;
};

struct TlsServerConfig {
  /// The server's certificate followed by its CA's: an enrolling device learns the CA from it.
  std::string certificate_chain_pem;
  std::string key_pem;
};

struct ServerCounters {
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_accepted{0};
  std::atomic<std::uint64_t> connections_refused{0};  ///< above connections_max
  std::atomic<std::uint64_t> strangers_open{0};       ///< of connections_open
  std::atomic<std::uint64_t> strangers_dropped{0};    ///< to make room, above strangers_max
  std::atomic<std::uint64_t> accept_errors{0};
  std::atomic<std::uint64_t> handshakes_failed{0};
  std::atomic<std::uint64_t> streams_open{0};
  std::atomic<std::uint64_t> requests{0};
};

/// A WebSocket of the sync subprotocol; call start() on it before returning, or abort() it.
using StreamHandler =
    std::function<void(std::shared_ptr<MessageStream>, boost::asio::any_io_executor)>;

class Listener;

class HttpsServer {
 public:
  /// `contexts`: at least one. Without `on_stream`, /v1/sync is an ordinary path.
  HttpsServer(std::vector<boost::asio::io_context*> contexts, ServerConfig config,
              TlsServerConfig tls, HttpHandler on_request, StreamHandler on_stream);
  ~HttpsServer();

  /// Errors: `invalid_argument` for a certificate, key or address that cannot be used; `io` when the port
  /// cannot be opened; each a sentence.
  Status start();
  /// Stops accepting, closes streams with 1001, lets answers under way finish, closes idle connections.
  void stop();
  std::uint16_t port() const;
  const ServerCounters& counters() const;
  /// For connections accepted from now on: a renewed certificate needs no restart.
  Status replace_certificate(const TlsServerConfig& tls);

 private:
  std::shared_ptr<Listener> listener_;
  TlsServerConfig tls_;
};

/// Plain HTTP. Refuses to start on an address that is not loopback.
class HttpServer {
 public:
  HttpServer(std::vector<boost::asio::io_context*> contexts, ServerConfig config,
             HttpHandler on_request);
  ~HttpServer();

  Status start();
  void stop();
  std::uint16_t port() const;
  const ServerCounters& counters() const;

 private:
  std::shared_ptr<Listener> listener_;
};

}  // namespace fieldpost::net
