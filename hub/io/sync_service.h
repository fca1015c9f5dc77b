// The sync connections of a hub: each stream gets a session, pinned to its thread.
//
// Thread rule: constructed before the io_contexts run and destroyed after they stopped; `accept` is called
// on a connection's thread; `feed_moved`, `outcomes` and `sessions` from any thread.
// Invariants:
//   1. A session, its compressor and its readers are used by one thread only.
//   2. A peer that does not read what it is sent is dropped at kQueuedBytesMax; its records are not.
//   3. A peer that does not say which device it is in time is dropped: a stranger holds no place.
//   4. Connections that still stand at the end are cut: their peers notice at once.
//   5. A session hears of every feed move and outcome after the feed end it read: both happen on its
//      thread, and it is in the lane's set before it reads.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/limits.h"
#include "hub/io/writer.h"
#include "net/message_stream.h"
#include "sync/hub_session.h"

namespace fieldpost::hub {

/// One of the hub's stores with its writer.
struct StoreParts {
  std::string name;  ///< "enforcement" or "health"
  storage::HubStore* store = nullptr;
  Writer* writer = nullptr;
  std::vector<std::string> foreign_types;  ///< of records that belong to another compartment
};

class SyncService {
 public:
  /// A full deliver window and the largest record behind it, and answers beside them: a peer within its
  /// window is never dropped for its size, one that does not read costs no more.
  static constexpr std::size_t kQueuedBytesMax =
      limits::kDeliverWindowBytes + limits::kRecordBytesMax + limits::kMessageBytesMax;
  /// Until the hello, unless told otherwise. A tablet at the edge of coverage needs seconds, not minutes.
  static constexpr std::chrono::seconds kGreeting{30};

  SyncService(const std::vector<boost::asio::io_context*>& contexts, std::vector<StoreParts> stores,
              const crypto::SigningKey& key, const sync::ChangeCheck& check, RandomSource random,
              std::function<Instant()> clock, std::function<void()> on_rolled_back = {},
              std::chrono::milliseconds greeting = kGreeting);
  ~SyncService();

  void accept(std::shared_ptr<net::MessageStream> stream,
              const boost::asio::any_io_executor& executor);
  /// A commit in `store` moved these units' feeds to these ends.
  void feed_moved(std::size_t store, Writer::FeedEnds ends);
  /// The exceptions of these changes are others now: whose tablet is connected is told at once.
  void outcomes(std::size_t store, const std::vector<model::Dot>& changes);
  /// Grants or standing are others now: its connections end, and it is greeted anew.
  void device_changed(const DeviceId& device);
  std::size_t sessions() const;

 private:
  struct Lane;
  class Connection;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<StoreParts> stores_;
  crypto::SigningKey key_;
  RandomSource random_;
  std::function<Instant()> clock_;
  std::chrono::milliseconds greeting_;
  std::function<void()> on_rolled_back_;  ///< this hub's data is older than what tablets were told
};

}  // namespace fieldpost::hub
