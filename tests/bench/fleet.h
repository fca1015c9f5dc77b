// A thousand agents in one process: production sessions (sync/agent_session.h) over TLS WebSockets and
// production stores over memory instead of a disk each, all on one thread.
//
// Thread rule: one thread; run() runs the io_context.
// Invariants:
//   1. Stores are prepared and signed before the first connection.
#pragma once

#include <boost/asio/io_context.hpp>
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
  /// Lets the connections live for so long.
  void idle(std::chrono::seconds how_long);
  std::size_t live() const;

 private:
  class Agent;
  void run_until(const std::function<bool()>& done, std::chrono::seconds patience,
                 const char* what);

  boost::asio::io_context context_{1};
  struct Shared;
  std::unique_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Agent>> agents_;
};

}  // namespace fieldpost::bench
