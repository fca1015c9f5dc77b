// What must hold after every scenario.
//
// Thread rule: free functions.
#pragma once

#include "tests/support/catch.h"
#include "tests/support/sync_world.h"

namespace fieldpost::test {

/// Connects everybody and lets everything move: then all agree, and the hub can prove it.
inline void heal_and_check(SyncWorld& world) {
  for (int round = 0; round < 3; ++round) {
    for (Tablet& tablet : world.tablets()) {
      if (!tablet.link) world.connect(tablet);
    }
    world.settle();
  }
  for (Tablet& tablet : world.tablets()) {
    if (tablet.gone) continue;
    INFO("tablet " << tablet.name
                   << (tablet.closed ? ": " + tablet.closed->message() : std::string()));
    CHECK(tablet.in_sync());
    CHECK(tablet.waiting() == 0);
    CHECK(tablet.digest() == world.hub_digest(tablet.unit));
    const Status sound = tablet.store->verify([](std::uint64_t) {});
    INFO((sound ? std::string() : sound.error().message()));
    CHECK(sound.has_value());
  }
  const Status verified = world.verify_hub();
  INFO((verified ? std::string() : verified.error().message()));
  CHECK(verified.has_value());
}

inline std::uint64_t changes_at_hub(SyncWorld& world, const std::string& unit) {
  return world.reader(unit).counts()->changes;
}

/// Moves frames up until one of this kind has been taken in by the hub.
inline void move_up_through(SyncWorld& world, Tablet& tablet, const std::string& kind) {
  for (bool last = false; !last;) {
    REQUIRE(tablet.link);
    REQUIRE_FALSE(tablet.link->up.empty());
    last = wire::message_name(open_frame(tablet.link->up.front()).message) == kind;
    world.move_up(tablet);
  }
}

inline void move_down_through(SyncWorld& world, Tablet& tablet, const std::string& kind) {
  for (bool last = false; !last;) {
    REQUIRE(tablet.link);
    REQUIRE_FALSE(tablet.link->down.empty());
    last = wire::message_name(open_frame(tablet.link->down.front()).message) == kind;
    world.move_down(tablet);
  }
}

/// Connects and moves frames until the tablet has its welcome; its first push, if any, is under way.
inline void greet(SyncWorld& world, Tablet& tablet) {
  world.connect(tablet);
  move_down_through(world, tablet, "challenge");
  move_up_through(world, tablet, "hello");
}

inline void hear_all(SyncWorld& world) {
  const auto all = world.connections();
  for (const auto& connection : all) {
    while (world.hear_writer(*connection)) {
    }
  }
}

}  // namespace fieldpost::test
