// Disks of tablets that are copied and put back.
//
// Thread rule: free functions.
#pragma once

#include "tests/sync/checks.h"

namespace fieldpost::test {

using Snapshot = storage::MemoryKv::Snapshot;

/// The tablet's disk as it once was; its process starts again over it.
inline void put_back(SyncWorld& world, Tablet& tablet, const Snapshot& snapshot) {
  world.cut(tablet);
  tablet.store.reset();
  tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, snapshot);
  tablet.store = *storage::open_agent_store(*tablet.kv, *tablet.codec);
}

/// A second tablet with the first one's keys and data.
inline Tablet& copy_of(SyncWorld& world, Tablet& tablet, const std::string& name) {
  const Snapshot snapshot = tablet.kv->snapshot();
  Tablet& copy = world.add_tablet(name, tablet.unit);
  copy.identity = tablet.identity;
  put_back(world, copy, snapshot);
  return copy;
}

/// Connects until nothing is left to repair: three times is enough for one fork.
inline void sync_through(SyncWorld& world, Tablet& tablet) {
  for (int round = 0; round < 3 && !tablet.in_sync(); ++round) {
    if (!tablet.link) world.connect(tablet);
    world.settle();
  }
  INFO((tablet.closed ? tablet.closed->message() : std::string()));
  CHECK(tablet.in_sync());
}

}  // namespace fieldpost::test
