// What the tests of random histories share: which to run, and what must hold when all is healed.
//
// Thread rule: free functions.
#pragma once

#include <cstdlib>

#include "tests/support/oracle.h"
#include "tests/sync/checks.h"

namespace fieldpost::test {

/// FIELDPOST_SEED replays one history; FIELDPOST_HISTORIES runs more. `run` is told each seed.
/// Answers how many ran, or nothing for a replay.
template <class Run>
std::optional<std::size_t> for_each_seed(std::uint64_t first, std::size_t count, const Run& run) {
  const char* one = std::getenv("FIELDPOST_SEED");
  const char* many = std::getenv("FIELDPOST_HISTORIES");
  if (one != nullptr) first = std::strtoull(one, nullptr, 10), count = 1;
  if (one == nullptr && many != nullptr) count = std::strtoull(many, nullptr, 10);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    INFO("replay with FIELDPOST_SEED=" << seed);
    run(seed);
  }
  return one != nullptr ? std::nullopt : std::optional(count);
}

/// Nothing set aside or waiting, all tablets as the hub, every proof good.
inline void require_converged(SyncWorld& world, const std::string& unit) {
  REQUIRE(world.reader(unit).quarantine(10)->empty());
  REQUIRE(world.reader(unit).held(10)->empty());
  for (Tablet& tablet : world.tablets()) {
    if (tablet.gone) continue;
    INFO("tablet " << tablet.name
                   << (tablet.closed ? ": " + tablet.closed->message() : std::string()));
    REQUIRE(tablet.in_sync());
    REQUIRE(tablet.waiting() == 0);
    REQUIRE(tablet.store->counts()->exceptions == 0);
    REQUIRE(tablet.digest() == world.hub_digest(tablet.unit));
    const Status sound = tablet.store->verify([](std::uint64_t) {});
    INFO((sound ? std::string() : sound.error().message()));
    REQUIRE(sound);
    for (const RecordId& id : *tablet.store->ids_after(RecordId{}, 10'000))
      REQUIRE(tablet.view(id).at_hub);
  }
  const Status verified = world.verify_hub();
  INFO((verified ? std::string() : verified.error().message()));
  REQUIRE(verified);
}

/// Every change in the hub's log.
template <class Visit>
void each_logged(SyncWorld& world, const std::string& unit, const Visit& visit) {
  for (const RecordId& id : *world.reader(unit).ids_after(RecordId{}, 10'000)) {
    for (const storage::LogEntry& entry : *world.reader(unit).history(id))
      visit(*wire::decode_change(entry.actor, entry.frame));
  }
}

/// Every change in the hub's log, and the record that they give by the oracle is the one stored.
template <class Visit>
void require_log_gives_records(SyncWorld& world, const std::string& unit, const Visit& visit) {
  for (const RecordId& id : *world.reader(unit).ids_after(RecordId{}, 10'000)) {
    std::vector<model::Change> changes;
    for (const storage::LogEntry& entry : *world.reader(unit).history(id))
      changes.push_back(*wire::decode_change(entry.actor, entry.frame));
    Oracle oracle;
    for (const model::Change& change : changes) {
      oracle.receive(change);
      visit(change);
    }
    REQUIRE(oracle.admitted().size() == changes.size());
    const model::Record stored = **world.reader(unit).record(id);
    model::Record expected = oracle.record();
    expected.id = id;  // the oracle knows of one stop at one checkpoint only
    expected.unit = stored.unit;
    REQUIRE(expected == stored);
  }
}

}  // namespace fieldpost::test
