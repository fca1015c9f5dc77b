// Internal to net: who is connected to a server, and who makes room when too many strangers are.
//
// Thread rule: any thread. `stop` and `drop` of a connection run on that connection's thread.
// Invariants:
//   1. At most `strangers_max` connections are held by peers that have not proven who they are. One more
//      drops the oldest stranger of the source that has the most of them; a known peer is never dropped.
//   2. A source is an IPv4 address, or the first 64 bits of an IPv6 one: what one customer is given. Below
//      the cap nobody is counted by source: an office behind one address is many tablets.
//   3. Outlives the listener, and holds nothing of Asio but executors.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "net/server.h"

namespace fieldpost::net {

class Registry {
 public:
  using Id = std::uint64_t;
  /// What can be asked of a connection, as it stands now.
  struct Reach {
    std::function<void()> stop;  ///< in order: the program stops
    std::function<void()> drop;  ///< at once: its place is needed
  };

  Registry(std::size_t strangers_max, std::shared_ptr<ServerCounters> counters);

  /// A new connection, of a stranger.
  Id add(boost::asio::any_io_executor executor, const boost::asio::ip::address& from);
  /// False when the connection was dropped meanwhile: it is to end now.
  bool reach(Id id, Reach reach);
  void known(Id id);
  void remove(Id id);
  /// Every connection is asked to stop, and so is one that comes later.
  void stop_all();
  bool stopping() const { return stopping_; }
  ServerCounters& counters() { return *counters_; }

 private:
  using Source = std::array<std::uint8_t, 16>;
  struct Entry {
    boost::asio::any_io_executor executor;
    Source source;
    Reach reach;
    bool stranger = true;
    bool dropped = false;
  };
  /// Most strangers first, then whose oldest has been here longest.
  struct Rank {
    std::size_t strangers;
    Id oldest;
    Source source;
    bool operator<(const Rank& other) const;
  };

  static Source source_of(const boost::asio::ip::address& address);
  void rank(const Source& source, const std::set<Id>& ids, bool in);
  void welcome_stranger(Id id, const Source& source);
  void forget_stranger(Id id, Entry& entry);
  void make_room();

  const std::size_t strangers_max_;
  std::shared_ptr<ServerCounters> counters_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  Id last_id_ = 0;
  std::unordered_map<Id, Entry> entries_;
  std::map<Source, std::set<Id>> strangers_;  ///< ids grow with time
  std::set<Rank> ranks_;                      ///< one for each source in strangers_
};

}  // namespace fieldpost::net
