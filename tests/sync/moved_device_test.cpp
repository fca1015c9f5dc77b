// A device that is moved to another unit while it is offline: nothing refused that was honest, nothing kept that
// is no longer granted.
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

void move(SyncWorld& world, Tablet& tablet, const std::string& unit) {
  world.pass(1'000);
  REQUIRE(world.store("PPT").move_device(tablet.identity.device, unit, world.now().wall));
}

/// What the desk does: new records are of the unit that the last welcome granted.
void settle_in(Tablet& tablet) {
  REQUIRE(tablet.store->state().grants.size() == 1);
  tablet.unit = tablet.store->state().grants.front().unit;
}

struct Units {
  SyncWorld world;
  Tablet& tablet;
  Tablet& old_mate;
  Tablet& new_mate;
  explicit Units(std::uint64_t seed)
      : world(seed),
        tablet(world.add_tablet("T01", "PPT")),
        old_mate(world.add_tablet("T02", "PPT")),
        new_mate(world.add_tablet("B01", "BTB")) {
    world.sync(old_mate);
    world.sync(new_mate);
    world.sync(tablet);
    world.cut(tablet);
  }
};

}  // namespace

TEST_CASE(
    "a device is moved while it has a month of unsent work: all of it arrives, then the unit's "
    "records go") {
  Units at(80);
  const auto work = at.world.record_many(at.tablet, 40);
  REQUIRE(at.world.edit(at.tablet, work[0], {field("note", std::string("looked at again"))}));
  const auto theirs = at.world.record_many(at.new_mate, 3);
  at.world.settle();
  move(at.world, at.tablet, "BTB");
  at.world.sync(at.tablet);
  at.world.settle();
  CHECK(at.tablet.in_sync());
  CHECK(at.world.reader("PPT").quarantine(10)->empty());
  CHECK(at.world.reader("PPT").held(10)->empty());
  for (const RecordId& id : work) CHECK(at.world.reader("PPT").record(id)->has_value());
  CHECK(at.tablet.store->state().grants.front().unit == "BTB");
  // Of its old unit nothing is left to be seen here; of the new one it has everything.
  for (const RecordId& id : work) CHECK_FALSE(at.tablet.store->load(id)->has_value());
  for (const RecordId& id : theirs) CHECK(at.tablet.store->load(id)->has_value());
  CHECK(at.tablet.store->counts()->records == 3);
  CHECK(at.tablet.store->verify([](std::uint64_t) {}));
  settle_in(at.tablet);
  at.world.record_many(at.tablet, 2);
  heal_and_check(at.world);
  CHECK(at.world.reader("PPT").verify([](std::uint64_t) {}));
}

TEST_CASE("the device is moved, the welcome is lost, the device reconnects") {
  Units at(81);
  const auto before = at.world.record_many(at.tablet, 3);
  move(at.world, at.tablet, "BTB");
  greet(at.world, at.tablet);  // the hub has answered, and noted it
  at.world.write(true);
  at.world.cut(at.tablet);
  const auto after = at.world.record_many(at.tablet, 2);  // by somebody who could not know
  const bool hub_killed = GENERATE(false, true);
  if (hub_killed) at.world.restart_hub();
  at.world.sync(at.tablet);
  at.world.settle();
  CHECK(at.tablet.in_sync());
  CHECK(at.world.reader("PPT").quarantine(10)->empty());
  for (const auto& ids : {before, after}) {
    for (const RecordId& id : ids) CHECK(at.world.reader("PPT").record(id)->has_value());
  }
  settle_in(at.tablet);
  heal_and_check(at.world);
}

TEST_CASE(
    "what a device writes to its old unit after it knew is refused, whatever welcome it names") {
  Units at(82);
  move(at.world, at.tablet, "BTB");
  at.world.sync(at.tablet);
  REQUIRE(at.tablet.in_sync());
  // It is still set to its old unit: a tablet that was tampered with, say.
  const RecordId late = at.world.record(at.tablet, {field("note", std::string("too late"))});
  at.world.settle();
  CHECK_FALSE(at.world.reader("PPT").record(late)->has_value());
  REQUIRE(at.tablet.store->exceptions()->size() == 1);
  CHECK(at.tablet.store->exceptions()->front().rule == "not_granted");
  // Naming an old welcome does not help: the chain has named a newer one.
  model::Change change = at.world.draft_change(at.tablet, make_record_id(at.world.now().wall, {1}),
                                               {field("note", std::string("dated back"))});
  change.welcome = 0;
  at.world.append_raw(at.tablet, change, *wire::encode_change(change));
  at.world.settle();
  CHECK_FALSE(at.world.reader("PPT").record(change.record)->has_value());
  CHECK(at.tablet.store->exceptions()->size() == 2);
  CHECK(at.world.verify_hub());
}

TEST_CASE(
    "a hub is put back to before a moved device's last work: it is sent again, and forgotten "
    "again") {
  Units at(84);
  at.world.record_many(at.tablet, 1);  // the hub knows this chain from before
  at.world.sync(at.tablet);
  at.world.settle();
  at.world.cut(at.tablet);
  const auto work = at.world.record_many(at.tablet, 3);
  move(at.world, at.tablet, "BTB");
  const auto backup = at.world.hub_disks();
  at.world.sync(at.tablet);
  at.world.settle();
  settle_in(at.tablet);
  for (const RecordId& id : work) REQUIRE_FALSE(at.tablet.store->load(id)->has_value());
  at.world.put_back_hub(backup);
  at.world.sync(at.tablet);
  at.world.settle();
  CHECK(at.tablet.in_sync());
  for (const RecordId& id : work) {
    CHECK(at.world.reader("PPT").record(id)->has_value());
    CHECK_FALSE(at.tablet.store->load(id)->has_value());
  }
  CHECK(at.tablet.store->counts()->records == 0);
  heal_and_check(at.world);
}

TEST_CASE("a unit is taken away and given back while the device is offline") {
  Units at(83);
  const auto shared = at.world.record_many(at.old_mate, 2);
  at.world.sync(at.tablet);
  at.world.settle();
  at.world.cut(at.tablet);
  const auto first = at.world.record_many(at.tablet, 2);
  move(at.world, at.tablet, "BTB");
  SECTION("and it never heard of it") {}
  SECTION("and it had been there") {
    at.world.sync(at.tablet);
    REQUIRE(at.tablet.in_sync());
    CHECK_FALSE(at.tablet.store->load(shared[0])->has_value());
    settle_in(at.tablet);
    at.world.record_many(at.tablet, 2);
    at.world.settle();
    at.world.cut(at.tablet);
  }
  move(at.world, at.tablet, "PPT");
  at.world.sync(at.tablet);
  at.world.settle();
  settle_in(at.tablet);
  CHECK(at.tablet.unit == "PPT");
  CHECK(at.world.reader("PPT").quarantine(10)->empty());
  for (const auto& ids : {shared, first}) {
    for (const RecordId& id : ids) CHECK(at.tablet.store->load(id)->has_value());
  }
  heal_and_check(at.world);
}
