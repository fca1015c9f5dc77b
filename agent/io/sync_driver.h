// Keeps an agent connected: dials, feeds the session, waits, dials again.
//
// Thread rule: constructed and called on the store thread's executor ("store side"); network I/O runs on
// `network`, a single-threaded io_context. `on_change` is called on the store side.
// Invariants:
//   1. At most one connection at a time; the session touches the store only on the store side.
//   2. A connection that ends, however, is followed by a jittered wait, never by a tight loop; the wait
//      grows until a connection was of use (AgentSession::progressed), and is what a busy hub asks for at least.
//   3. Every failure ends in a sentence in `Progress::last_error`; nothing recorded is ever lost by it.
//   4. Online is what was heard from within `SyncTarget::silence_ms`: a half-open link is offline after that.
//   5. Certificates are judged by the last hub time kept (agent/store/hub_time.h), never by the wall clock once
//      a hub time is known.
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
  /// Nothing came back for so long (half of it after the last byte, a ping asks): the link is dead.
  std::int64_t silence_ms = 60'000;
  std::int64_t connect_timeout_ms = 15'000;
  std::int64_t handshake_timeout_ms = 20'000;
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
  std::optional<Instant> next_attempt;     ///< wall clock, while waiting
  std::optional<Instant> certificate_end;  ///< of the hub's, as last seen
  std::optional<Error> blocked;            ///< all else is sent: an own change cannot be read
  std::uint64_t bytes_sent = 0;            ///< TCP payload of the current or last connection
  std::uint64_t bytes_received = 0;
  std::uint64_t pushed_bytes = 0;  ///< frames of pushes, over all connections
  std::uint64_t lost_bytes = 0;    ///< of them: unacknowledged when their connection ended
};

class SyncDriver {
 public:
  struct Clocks {
    std::function<sync::TimeReading()> read;
    std::function<sync::DeviceFacts()> facts;
    /// The hub's clock as it was last heard, in this process or an earlier one.
    std::optional<sync::HubAnchor> hub = {};
    /// Called with each hub time that is worth keeping. May be null.
    std::function<void(const sync::HubAnchor&)> learned = {};
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
  /// The last signed hub time, for the times of changes made in the same boot.
  const std::optional<sync::HubAnchor>& anchor() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fieldpost::agent
