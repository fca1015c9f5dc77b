// A hub and three tablets in memory with a little of everything: records, a conflict, a change in quarantine and one
// that waits behind it, own changes that were never sent. What targets bend and what they ask about.
//
// Thread rule: one thread.
#pragma once

#include "tests/support/sync_world.h"

namespace fieldpost::fuzz {

struct SmallWorld {
  SmallWorld();

  test::SyncWorld world{7};
  test::Tablet* t07 = nullptr;
  test::Tablet* t08 = nullptr;
  test::Tablet* rh1 = nullptr;  ///< of the other compartment
  std::vector<RecordId> records;
};

}  // namespace fieldpost::fuzz
