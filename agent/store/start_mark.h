// Noticing at start that the store was put back or copied, before anything is written.
//
// Each start counts one up, outside the store first (start.json) and then inside it. A store put back is behind
// the file by more than the one that a crash between the two explains; a store on another machine says so
// itself. A whole folder put back agrees with itself: that, only the hub can notice, and it does.
//
// Thread rule: at start, on the store's thread.
// Invariants:
//   1. Crash anywhere: the next start notices what this one would have.
//   2. Nothing is refused or deleted here. What was noticed costs a fresh chain, no more.
#pragma once

#include <string>

#include "agent/store/directory.h"
#include "storage/agent_store.h"

namespace fieldpost::agent {

/// What a start found; the words are for the log and for `status`.
struct StartFound {
  bool put_back = false;
  std::string words;
};

/// `machine`: a hash of what names this machine, zero when nothing does. A disk that cannot be written (full)
/// stops no start: then the marks stay as they are.
Result<StartFound> mark_start(const DataDirectory& data, storage::AgentStore& store,
                              const HubId& hub, const DeviceId& device, const Hash& machine,
                              const RandomSource& random);

/// BLAKE2b of /etc/machine-id, or zero where there is none.
Hash this_machine();

}  // namespace fieldpost::agent
