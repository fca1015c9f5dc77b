// Who may speak to the loopback API: programs of this installation, and pages the agent itself served.
//
// Thread rule: pure functions.
// Invariants:
//   1. A foreign Host is refused before anything else (DNS rebinding), then a foreign Origin, then a
//      missing or wrong token. The token is compared in constant time.
#pragma once

#include <optional>
#include <string>

#include "net/http.h"

namespace fieldpost::agent {

struct ApiGate {
  std::uint16_t port = 0;
  std::string token;
};

/// The refusal, or nothing when the request may pass.
std::optional<net::HttpResponse> refuse(const net::HttpRequest& request, const ApiGate& gate);

}  // namespace fieldpost::agent
