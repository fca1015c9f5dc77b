// The agent as a process that stays: it syncs, and answers on loopback.
//
// Thread rule: both functions block the calling thread, which becomes the store's thread.
// Invariants:
//   1. Two threads: this one has the store, the other the network; they only post to each other.
//   2. run.json is there while the API answers, and gone after a clean stop.
#pragma once

#include "agent/app.h"

namespace fieldpost::agent {

/// Until SIGINT or SIGTERM. Errors: those of App::open, and of the listening port.
Status run_daemon(const AppOptions& options, std::uint16_t port);

/// Connects until everything is exchanged. Errors: at once what no further attempt can change
/// (Progress::verdict); `timeout` with the driver's last sentence.
Result<nlohmann::json> sync_once(const AppOptions& options, std::int64_t timeout_ms);

}  // namespace fieldpost::agent
