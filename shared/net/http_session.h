// Internal to net: one HTTP/1.1 connection of a server, whatever carries it.
//
// Thread rule: the connection's io_context thread; answers may come from any thread (Responder).
// Invariants:
//   1. One request at a time: the next is parsed after the answer to this one is written.
//   2. Header and body are bounded before they are kept; every wait for the peer has a timer.
//   3. What has arrived and is not parsed is bounded too: a line without an end is refused.
//   4. No answer goes out without the security headers.
#pragma once

#include <memory>

#include "net/place.h"
#include "net/server.h"
#include "net/transport.h"

namespace fieldpost::net {

/// What every connection of one server shares; outlives them.
struct SessionShared {
  ServerConfig config;
  HttpHandler on_request;
  bool tls = false;
  std::shared_ptr<ServerCounters> counters;
  /// Takes over the connection of a valid upgrade request; null when there is no sync WebSocket here.
  std::function<void(HttpRequest, TlsSocket, std::shared_ptr<Place> guard)> on_upgrade;
};

class HttpSession;

/// Begins to read requests. `guard` is let go when the connection ends (or handed to the WebSocket).
std::shared_ptr<HttpSession> start_http_session(std::shared_ptr<const SessionShared> shared,
                                                std::unique_ptr<Transport> transport,
                                                std::shared_ptr<Place> guard);
/// Closes the connection now if idle, else after the answer under way. On the connection's thread.
void stop_http_session(HttpSession& session);
/// Closes the connection now, whatever is under way. On the connection's thread.
void drop_http_session(HttpSession& session);

}  // namespace fieldpost::net
