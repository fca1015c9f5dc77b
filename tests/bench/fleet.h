// A thousand agents in one process: production sessions (sync/agent_session.h) over TLS WebSockets and
// production stores over memory instead of a disk each, on two threads: one alone is slower than the hub.
//
// Thread rule: called from one thread; while a call runs, each lane has a thread for its half of the agents.
// Invariants:
//   1. Stores are prepared and signed before the first connection.
//   2. Waits between dials are those of the program (sync/backoff.h).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "agent/store/identity.h"
#include "tests/bench/need.h"

namespace fieldpost::bench {

class Fleet {
 public:
  Fleet(const std::vector<agent::Identity>& identities, std::uint16_t port);
  ~Fleet();

  /// `count` records in each store.
  void prepare(std::size_t count);
  /// All dial at once; returns when every one is live and has nothing waiting. Seconds from the common start
  /// to each agent's last durable ack.
  std::vector<double> connect_and_push();
  /// Agent 0 records one more; milliseconds until it is in the store of each of the others.
  std::vector<double> deliver_one();
  /// From here on an agent whose connection ends waits and dials again, as the program does.
  void come_back_by_themselves();
  /// Runs `meanwhile` while the agents live; returns when it has returned and every agent is in sync.
  void until_all_in_sync(const std::function<void()>& meanwhile);
  /// Dials since come_back_by_themselves.
  std::size_t attempts() const;
  /// Lets the connections live for so long.
  void idle(std::chrono::seconds how_long);
  std::size_t live() const;

 private:
  class Lane;
  /// Runs `work` for each lane at a time; the first failure is thrown when all have ended.
  void each(const std::function<void(Lane&)>& work);
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::uint64_t delivered_ = 0;
};

}  // namespace fieldpost::bench
