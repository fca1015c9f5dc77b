#include "agent/api/guard.h"

#include <algorithm>
#include <array>

#include "crypto/crypto.h"

namespace fieldpost::agent {

namespace {

bool is_own_host(std::string_view host, std::uint16_t port) {
  const std::string suffix = ":" + std::to_string(port);
  constexpr std::array kNames{"127.0.0.1", "localhost", "[::1]"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* name) { return host == name + suffix; });
}

}  // namespace

std::optional<net::HttpResponse> refuse(const net::HttpRequest& request, const ApiGate& gate) {
  const std::string* host = request.header("Host");
  if (host == nullptr || net::count_headers(request, "Host") != 1 ||
      !is_own_host(*host, gate.port)) {
    return net::error_response(
        403, "host",
        "This is a tablet's own interface: it answers only to http://127.0.0.1:" +
            std::to_string(gate.port) + " and http://localhost:" + std::to_string(gate.port) + ".");
  }
  if (const std::string* origin = request.header("Origin")) {
    constexpr std::string_view kScheme = "http://";
    const bool own = origin->starts_with(kScheme) &&
                     is_own_host(std::string_view(*origin).substr(kScheme.size()), gate.port);
    if (!own || net::count_headers(request, "Origin") != 1) {
      return net::error_response(403, "origin",
                                 "A page of another site asked; only pages of this agent may.");
    }
  }
  const std::string* given = request.header("Authorization");
  constexpr std::string_view kBearer = "Bearer ";
  const bool right = given != nullptr && net::count_headers(request, "Authorization") == 1 &&
                     given->starts_with(kBearer) && !gate.token.empty() &&
                     crypto::equal_secret(as_bytes(std::string_view(*given).substr(kBearer.size())),
                                          as_bytes(gate.token));
  if (!right) {
    auto response =
        net::error_response(401, "token",
                            "Send the installation's token, which stands in api.token of the "
                            "agent's data folder, as 'Authorization: Bearer TOKEN'.");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  return std::nullopt;
}

}  // namespace fieldpost::agent
