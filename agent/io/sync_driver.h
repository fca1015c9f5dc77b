// Keeps an agent connected: dials, feeds the session, waits, dials again.
//
// Thread rule: constructed and called on the store thread's executor ("store side"); network I/O runs on
// `network`, a single-threaded io_context. `on_change` is called on the store side.
// Invariants:
//   1. At most one connection at a time; the session touches the store only on the store side.
//   2. A connection that ends, however, is followed by a jittered wait, never by a tight loop; the wait
//      grows until a connection was of use (AgentSession::progressed), and is what a busy hub asks for at least.
//   3. Every failure ends in a sentence in `Progress::last_error`; nothing recorded is ever lost by it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "net/client.h"
#include "sync/agent_session.h"

namespace fieldpost::agent {

struct SyncTarget {
  std::string host;
  std::uint16_t port = 0;
  std::string server_name;
  std::string ca_pem;
};

/// What a screen may say. `online` is a live, welcomed session.
struct Progress {
  bool online = false;
  bool in_sync = false;
  std::optional<Instant> last_attempt;  ///< wall clock
  std::string last_error;               ///< empty while online
  /// How the last attempt ended, when only a person can change that (revoked, another hub, another
  /// version …). The driver goes on trying, ever more rarely: the person may do it at the hub.
  std::optional<Error> verdict;
  std::optional<Instant> next_attempt;  ///< wall clock, while waiting
  std::optional<Error> blocked;         ///< all else is sent: an own change cannot be read
  std::uint64_t bytes_sent = 0;         ///< TCP payload of the current or last connection
  std::uint64_t bytes_received = 0;
};

class SyncDriver {
 public:
  struct Clocks {
    std::function<sync::TimeReading()> read;
    std::function<sync::DeviceFacts()> facts;
  };

  SyncDriver(boost::asio::io_context& store_side, boost::asio::io_context& network,
             const sync::AgentIdentity& identity, SyncTarget target, storage::AgentStore& store,
             RandomSource random, Clocks clocks, std::function<void()> on_change);
  ~SyncDriver();

  /// Begins to dial and never gives up. Errors: `malformed` CA.
  Status start();
  /// Something was recorded: send it now if there is a link.
  void local_change();
  /// Dial now instead of at the end of the wait (the network came back, the user asked).
  void dial_now();
  /// Says good-bye and stops; `done` is called on the store side when the connection is closed.
  void stop(std::function<void()> done);

  const Progress& progress() const;
  /// The last signed hub time of this boot, for the times of changes.
  const std::optional<sync::HubAnchor>& anchor() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fieldpost::agent
