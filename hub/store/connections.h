// How many connections a hub takes and how long it waits for them: the member "connections" of hub.json.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace fieldpost::hub {

/// Each with its default; docs/operations.md says what they mean to an operator.
struct ConnectionSettings {
  std::uint32_t connections_max = 16'384;  ///< 64 to 65,536
  std::uint32_t strangers_max = 4'096;     ///< 16 to 65,536, below connections_max
  std::uint32_t handshake_ms = 10'000;     ///< the timers: 100 to 3,600,000
  std::uint32_t header_ms = 10'000;
  std::uint32_t body_ms = 60'000;
  std::uint32_t idle_ms = 60'000;
  std::uint32_t greeting_ms = 30'000;
  std::uint32_t silence_ms = 120'000;
  std::uint32_t message_ms = 300'000;
  std::uint32_t close_ms = 5'000;

  bool operator==(const ConnectionSettings&) const = default;
};

/// From the JSON object. Errors: `malformed`, naming the member.
Result<ConnectionSettings> connection_settings(const nlohmann::json& object);

/// Raises this process's limit of open files as far as it may and cuts the caps to what it then allows, with
/// `beside` descriptors left for stores, backups and the like.
ConnectionSettings fit_to_open_files(ConnectionSettings wanted, std::uint32_t beside = 128);

}  // namespace fieldpost::hub
