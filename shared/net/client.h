// The client side: the sync WebSocket, and HTTP requests for enrolment and the command line.
//
// Thread rule: the asynchronous functions run on the executor given (a single-threaded io_context) and call
// back there, never from inside the call; a TlsTrust is immutable and may be shared by threads.
// Invariants:
//   1. TLS 1.3 only; the peer is verified against exactly the trust given, never the system's store.
//   2. Every error is a sentence that says what was tried, what was found and, where known, what to do.
//   3. The callback is called exactly once, also after cancel() (`Errc::closed`).
//   4. A certificate's dates are judged by hub time, of which a tablet knows only that it is at least so late.
//      Past its end by that: expired, whatever the wall clock says. Before its start by that: not refused, for
//      it may have been renewed since the hub was last met, and its authority dates none ahead. While no hub
//      time is known (enrolment) the wall clock judges both ends, and the sentence says so.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "net/http.h"
#include "net/message_stream.h"

namespace fieldpost::net {

/// Whom to believe: made once, used for any number of connections.
class TlsTrust;

/// Exactly the CA certificate(s) of this PEM. Errors: `malformed`.
Result<std::shared_ptr<const TlsTrust>> trust_ca(std::string_view ca_pem);
/// For enrolment: the chain must lead to a CA certificate, sent by the server, with this SHA-256.
Result<std::shared_ptr<const TlsTrust>> trust_fingerprint(const Fingerprint& fingerprint);

struct ClientTarget {
  std::string host;  ///< name or IP address to connect to
  std::uint16_t port = 0;
  std::string server_name;  ///< the name or IP the certificate must carry; empty: `host`
  std::string path = "/v1/sync";
  std::shared_ptr<const TlsTrust> trust;
  /// It is at least so late, by hub time (see invariant 4); nothing known: the wall clock judges.
  std::optional<Instant> hub_time_at_least;
  std::int64_t connect_timeout_ms = 15'000;    ///< name look-up and TCP
  std::int64_t handshake_timeout_ms = 15'000;  ///< TLS, then again for the upgrade
  std::int64_t idle_timeout_ms = 120'000;      ///< as ServerConfig::stream_idle_timeout_ms
  std::int64_t close_timeout_ms = 5'000;
  std::int64_t message_timeout_ms = 300'000;  ///< as ServerConfig::stream_message_timeout_ms
};

using StreamCallback = std::function<void(Result<std::shared_ptr<MessageStream>>)>;
using Cancel = std::function<void()>;

/// Connects, verifies and upgrades. The result is not started yet. The Cancel may be ignored; it is called on
/// the executor's thread.
Cancel connect_stream(boost::asio::any_io_executor executor, ClientTarget target,
                      StreamCallback callback);

struct ClientRequest {
  std::string method = "GET";
  std::string host;
  std::uint16_t port = 0;
  std::string server_name;  ///< as ClientTarget
  std::string target = "/";
  HttpHeaders headers;  ///< Host and Content-Length are added
  std::string body;
  std::string content_type = "application/json";  ///< sent when there is a body
  std::shared_ptr<const TlsTrust> trust;  ///< null: plain HTTP, allowed to loopback addresses only
  std::optional<Instant> hub_time_at_least;
  std::int64_t timeout_ms = 30'000;  ///< for everything together
  std::size_t header_bytes_max = 16 * 1024;
  std::size_t body_bytes_max = 16 * 1024 * 1024;
};

struct ClientResponse {
  HttpResponse response;
  std::string
      ca_pem;  ///< the CA certificate that was matched (trust_fingerprint) or used (trust_ca)
  std::optional<Instant> certificate_end;  ///< of the server's
};

using RequestCallback = std::function<void(Result<ClientResponse>)>;

/// Any status is a result; only a request that got no answer is an error.
Cancel async_http_request(boost::asio::any_io_executor executor, ClientRequest request,
                          RequestCallback callback);
/// The same, blocking the caller. Not for use on an io_context's thread.
Result<ClientResponse> http_request(ClientRequest request);

}  // namespace fieldpost::net
