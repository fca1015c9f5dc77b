// Internal to net: the WebSocket over TLS. The only file that instantiates Beast's stream is its .cpp.
//
// Thread rule: as MessageStream.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/place.h"
#include "net/tls_context.h"

namespace fieldpost::net {

struct StreamSettings {
  std::int64_t handshake_timeout_ms;
  std::int64_t idle_timeout_ms;
  std::int64_t close_timeout_ms;
  std::int64_t message_timeout_ms;  ///< for one whole message, in either direction
};

/// Server: answers the upgrade request with 101. `guard` is let go when the stream is destroyed.
void accept_websocket(TlsSocket socket, const HttpRequest& request, const StreamSettings& settings,
                      std::shared_ptr<Place> guard, StreamCallback callback);

/// Client: asks for the upgrade. `where` is "host:port", for sentences.
/// Returns the means to give up (the callback then comes with `Errc::closed`).
Cancel request_websocket(TlsSocket socket, const std::string& host, const std::string& path,
                         const std::string& where, const StreamSettings& settings,
                         StreamCallback callback);

/// "address:port", or "unknown" when the socket is no longer connected.
std::string remote_text(const boost::asio::ip::tcp::socket& socket);

}  // namespace fieldpost::net
