// What a tablet's user and the hub's operator should know of its disk, in sentences.
//
// Thread rule: the store's thread.
// Invariants:
//   1. A warning comes while recording still works: room is short long before it has run out.
//   2. What the disk damaged is said as long as it is not settled.
#pragma once

#include <string>
#include <vector>

#include "agent/store/directory.h"
#include "storage/agent_store.h"

namespace fieldpost::agent {

/// Below it a tablet warns: some thousand records, or a morning of photographs.
inline constexpr std::uint64_t kRoomWarnBytes = std::uint64_t{64} << 20;

struct Alarms {
  std::vector<std::string> warnings;  ///< gravest first
  std::uint64_t room_bytes = 0;
  std::uint64_t damaged = 0;     ///< records that are fetched again, drafts that are gone
  std::uint64_t unsendable = 0;  ///< own changes that cannot be read and are not at the hub

  /// For the status message; empty when all is well.
  std::string text() const;
};

Result<Alarms> look_for_alarms(const DataDirectory& data, const storage::AgentStore& store);

/// Copies of the store from before an update; kept until somebody removes them.
std::vector<std::filesystem::path> copies_from_before(const std::filesystem::path& store);

}  // namespace fieldpost::agent
