// Internal to net: what both ends of TLS agree on, and why a handshake failed, in words.
//
// Thread rule: a context is filled once and then shared by connections on any thread.
// Invariants:
//   1. TLS 1.3 only; no session is ever resumed; X25519 is offered first.
//   2. A client verifies against its TlsTrust and nothing else: chain, purpose, name, and the dates by the
//      rule of client.h.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <optional>
#include <string>

#include "net/client.h"
#include "net/server.h"

namespace fieldpost::net {

using TlsSocket = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;
using TlsContext = boost::asio::ssl::context;

/// Errors: `invalid_argument`: the certificate or key cannot be read or do not belong together.
Result<std::shared_ptr<TlsContext>> make_server_context(const TlsServerConfig& config);

/// What a client found out about the server's chain; outlives the handshake it is attached to.
struct Verification {
  int error = 0;                ///< X509_V_…, 0 when it verified
  bool no_fingerprint = false;  ///< no certificate of the chain has the fingerprint asked for
  std::string subject;          ///< of the certificate at fault
  std::string names;            ///< its names, for people
  Instant not_before;
  Instant not_after;
  Instant judged_at;         ///< hub time known, or the wall clock
  bool start_counts = true;  ///< the dates are judged by the wall clock
  std::string ca_pem;        ///< the trusted CA that the chain leads to
};

/// Puts trust, name and time on a connection before its handshake. Errors: `invalid_argument` name.
Status attach_verification(TlsSocket& socket, const TlsTrust& trust, const std::string& server_name,
                           std::optional<Instant> hub_time_at_least, Verification& verification);

TlsContext& context_of(const TlsTrust& trust);

struct HandshakePlace {
  std::string where;  ///< "host:port"
  std::string server_name;
  std::optional<Instant> hub_time_at_least;
};
/// The sentence for a client's failed handshake.
Error handshake_error(const boost::system::error_code& ec, const Verification& verification,
                      const HandshakePlace& place);

/// When the peer's certificate ends; nothing when it showed none.
std::optional<Instant> certificate_end_of(TlsSocket& socket);

/// RFC 9266, of an established connection.
wire::ChannelBinding channel_binding_of(TlsSocket& socket);

}  // namespace fieldpost::net
