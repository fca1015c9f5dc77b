// Gaps: parts of a tablet's chain that this hub lost, in all its backups, and the tablet no longer keeps.
//
// The tablet says so, signed, with the hash on which its chain goes on. The changes are not here and nobody claims
// that they are: what rests on them is held until an operator gives them up (hub_recovery.h).
//
// Thread rule: free functions.
// Invariants:
//   1. A gap begins behind the head that the chain had, and is written in the commit that moves the head to its
//      end: no two overlap, and the log has nothing inside one.
#pragma once

#include <optional>
#include <vector>

#include "storage/hub_store.h"
#include "storage/kv.h"

namespace fieldpost::storage {

struct StoredGap {
  wire::Gap gap;
  Instant received;
};

/// Of one chain, ascending.
Result<std::vector<StoredGap>> read_gaps(const KvRead& read, ActorId actor);
/// The batch's gap, which begins behind `head`: moves the head to its end.
Status put_gap(KvWrite& write, const IncomingBatch& batch, ActorHeadState& head);

}  // namespace fieldpost::storage
