// Internal to net: from a host name to a connected, verified Transport.
//
// Thread rule: the executor's single thread.
// Invariants: as client.h; without trust the connection is plain and goes to loopback addresses only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/client.h"
#include "net/transport.h"

namespace fieldpost::net {

struct ConnectSettings {
  std::string host;
  std::uint16_t port = 0;
  std::string server_name;
  std::shared_ptr<const TlsTrust> trust;
  std::optional<Instant> hub_time_at_least;
  std::int64_t connect_timeout_ms = 0;
  std::int64_t handshake_timeout_ms = 0;
};

struct Connected {
  std::unique_ptr<Transport> transport;
  std::string ca_pem;
  std::optional<Instant> certificate_end;
};

using ConnectCallback = std::function<void(Result<Connected>)>;

/// "host:port", with brackets round an IPv6 address.
std::string host_and_port(const std::string& host, std::uint16_t port);

Cancel connect(boost::asio::any_io_executor executor, ConnectSettings settings,
               ConnectCallback callback);

}  // namespace fieldpost::net
