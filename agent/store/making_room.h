// Removes from this tablet what the hub and all its backups have, once it is old enough.
//
// Thread rule: the store's thread.
// Invariants:
//   1. A pass is bounded; when there is more to do the next call goes on, otherwise the next pass is a day later.
//   2. Age is counted by hub time. What may go besides is the store's to say (AgentStore::purge).
#pragma once

#include "storage/agent_store.h"

namespace fieldpost::agent {

inline constexpr int kKeepDays = 90;
inline constexpr int kKeepDaysMax = 36'500;

class MakingRoom {
 public:
  /// So many entries of the own chains in a pass: a commit that nobody notices.
  static constexpr std::size_t kPassEntries = 500;

  explicit MakingRoom(int keep_days) : keep_days_(keep_days) {}

  /// Call it when everything is in sync. Answers how many entries went. Errors: the store's.
  Result<std::uint64_t> pass(storage::AgentStore& store, Instant hub_now,
                             std::uint64_t monotonic_ms);

 private:
  int keep_days_;
  std::uint64_t next_ms_ = 0;  ///< monotonic
};

/// Entries of the own chains that are no longer kept here.
std::uint64_t removed_entries(const storage::AgentState& state);

}  // namespace fieldpost::agent
