// The one thread that writes a hub store: drains a bounded mailbox, commits once, then answers.
//
// Thread rule: submit, run, confirm and contact may be called from any thread; callbacks run on the
// writer thread and must only hand on (post).
// Invariants:
//   1. Answers come after the commit is durable, in the order submitted; outcome and feed news of a
//      commit come after all its answers.
//   2. The mailbox holds at most kMailboxBytesMax of batches and of what `later` was given; above it both say busy.
//   3. When the store fails, every batch of that commit is answered with the error; what the store itself
//      then refuses is answered likewise. `figures().fault` says so until a commit succeeds.
//   4. A batch that alone makes a commit fail (a damaged record, say) does not fail the others of its group.
//   5. Contacts and confirmations wait kSideDelay at most, however busy the mailbox is; the waiting ones
//      are bounded (one contact a device, kConfirmedMax confirmations).
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "storage/hub_store.h"

namespace fieldpost::hub {

class Writer {
 public:
  static constexpr std::size_t kMailboxBytesMax = limits::kMailboxBytesMax;
  /// Changes in one commit: enough to make the sync cheap, few enough to answer within a blink.
  static constexpr std::size_t kCommitChangesMax = 8192;
  /// A thousand tablets report each minute: together they cost two syncs a second, not a sync each.
  static constexpr std::chrono::milliseconds kSideDelay{500};
  /// Above it confirmations are dropped: the exception is repeated and confirmed again.
  static constexpr std::size_t kConfirmedMax = 65'536;

  using Done = std::function<void(Result<storage::BatchResult>)>;
  /// The new ends of the feeds that one commit moved, by unit.
  using FeedEnds = std::map<std::string, std::uint64_t>;
  using FeedNews = std::function<void(FeedEnds ends)>;
  using OutcomeNews = std::function<void(const std::vector<model::Dot>& changes)>;
  using Job = std::function<void(storage::HubStore&)>;

  Writer(storage::HubStore& store, FeedNews on_feed, OutcomeNews on_outcomes = {});
  ~Writer();

  /// Errors: `closed` when stopping, `store_full` (busy) when the mailbox is full.
  Status submit(storage::IncomingBatch batch, Done done);
  /// An administrative act, alone in its commit; waits for it, and does nothing once the writer stops.
  /// Not from the writer thread.
  void run(const Job& job);
  /// An act that nobody waits for, which keeps `bytes` in memory until it is done; as with `submit`, what is to be
  /// told is handed on by the job itself. Errors: as `submit`.
  Status later(Job job, std::size_t bytes);
  /// Written when there is time; a later one for the same device replaces it.
  void contact(storage::Device device);
  void confirm(std::vector<wire::Confirm::Item> items);
  /// Waits until the contacts and confirmations handed in so far are written: who asks about devices
  /// is told what the hub knows, not what it has got round to storing. Not from the writer thread.
  void settle();
  /// Finishes what is in the mailbox and ends the thread.
  void stop();

  struct Figures {
    std::uint64_t commits = 0;
    std::uint64_t changes = 0;
    std::size_t mailbox_bytes = 0;
    std::uint64_t failures = 0;
    std::optional<Error> fault;  ///< why the store as a whole takes nothing; none after a success
  };
  Figures figures() const;
  /// Tells sessions what an administrative act moved, and which changes it settled otherwise than before.
  void announce(const storage::BatchResult& result);

 private:
  using Clock = std::chrono::steady_clock;
  struct Submitted {
    storage::IncomingBatch batch;
    Done done;
    std::size_t bytes = 0;
  };
  struct Waiting {
    std::function<void()> job;
    std::size_t bytes = 0;
  };
  /// What the thread takes in one round.
  struct Round {
    std::vector<Submitted> batches;
    std::vector<Waiting> jobs;
    std::map<DeviceId, storage::Device> contacts;
    std::vector<wire::Confirm::Item> confirmed;
    bool empty() const {
      return batches.empty() && jobs.empty() && contacts.empty() && confirmed.empty();
    }
  };
  void loop();
  void wait(std::unique_lock<std::mutex>& lock);
  bool side_due() const;
  Round take();
  void side_waits();
  void commit(std::vector<Submitted> submitted);
  std::vector<Result<storage::BatchResult>> apply(
      const std::vector<storage::IncomingBatch>& batches);
  void commit_side(std::map<DeviceId, storage::Device>&& contacts,
                   const std::vector<wire::Confirm::Item>& confirmed);
  void note(const std::optional<Error>& error, std::uint64_t changes);
  void announce_touched(const std::vector<storage::Touched>& touched);

  storage::HubStore& store_;
  FeedNews on_feed_;
  OutcomeNews on_outcomes_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Submitted> mailbox_;
  std::vector<Waiting> jobs_;
  std::map<DeviceId, storage::Device> contacts_;
  std::vector<wire::Confirm::Item> confirmed_;
  std::optional<Clock::time_point> side_since_;  ///< when the oldest contact or confirmation came
  Figures figures_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fieldpost::hub
