// Tablets that have removed from their chains what every backup of the hub has.
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// Everything that the hub has of this tablet now is in all its backups; the tablet hears of it, and removes
/// what it can.
void back_up_and_remove(SyncWorld& world, Tablet& tablet) {
  storage::ActorHeads heads;
  for (const storage::OwnActor& own : tablet.store->state().actors) {
    if (const auto known = *world.reader("PPT").actor(own.actor))
      heads.emplace_back(own.actor, known->head);
  }
  REQUIRE(world.store("PPT").put_backed_up(heads, storage::HubStore::BackedUp::restate));
  world.cut(tablet);
  sync_through(world, tablet);
  REQUIRE(tablet.store->purge(Instant{world.now().wall.ms + 1}, 1'000));
}

}  // namespace

TEST_CASE("an edit after a refused one is written anew over changes that were removed") {
  SyncWorld world(80);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  REQUIRE(world.edit(tablet, id, {field("plate", std::string("2A-0"))}));
  world.record_many(tablet, 2);
  sync_through(world, tablet);
  back_up_and_remove(world, tablet);
  const ActorId actor = tablet.store->state().current()->actor;
  CHECK(tablet.store->state().current()->purged_to == Sequence{3});
  sync_through(world, other);
  world.cut(tablet);
  tablet.unit = "BTB";  // a change that lies about the record's unit
  REQUIRE(world.edit(tablet, id, {field("note", std::string("refused"))}));
  tablet.unit = "PPT";
  for (const char* plate : {"2A-1", "2A-2"}) {
    auto seen = tablet.view(id).record.vv;
    seen.add({actor, tablet.store->state().current()->head});
    REQUIRE(world.edit(tablet, id, {field("plate", std::string(plate))}, seen));
  }
  if (GENERATE(false, true)) world.restart_hub();
  sync_through(world, tablet);
  heal_and_check(world);
  const auto at_hub = world.reader("PPT").record(id)->value();
  CHECK(*model::shown(at_hub, "note") == model::Value(std::string("first")));
  CHECK(*model::shown(at_hub, "plate") == model::Value(std::string("2A-2")));
  // It had seen what was removed since: replaced, not beside it.
  CHECK(model::siblings(at_hub, "plate").size() == 1);
  CHECK(world.reader("PPT").held(10)->empty());
  CHECK(world.reader("PPT").conflicts(RecordId{}, 10)->empty());
}

TEST_CASE("a copy of a tablet that has removed its oldest changes goes on apart from it") {
  SyncWorld world(81);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("first"))});
  world.record_many(tablet, 5);
  sync_through(world, tablet);
  back_up_and_remove(world, tablet);
  REQUIRE(tablet.store->state().current()->purged_to == Sequence{5});
  Tablet& copy = copy_of(world, tablet, "T01 again");
  REQUIRE(world.edit(tablet, id, {field("note", std::string("by one"))}));
  REQUIRE(world.edit(copy, id, {field("plate", std::string("by two"))}));
  sync_through(world, tablet);
  sync_through(world, copy);
  heal_and_check(world);
  const auto at_hub = world.reader("PPT").record(id)->value();
  CHECK(*model::shown(at_hub, "note") == model::Value(std::string("by one")));
  CHECK(*model::shown(at_hub, "plate") == model::Value(std::string("by two")));
  CHECK(world.reader("PPT").conflicts(RecordId{}, 10)->empty());
  CHECK(changes_at_hub(world, "PPT") == 8);
}

namespace {

/// A hub put back to before what it had promised to be in all its backups.
struct BrokenPromise {
  SyncWorld world;
  Tablet& tablet;
  Tablet& other;
  RecordId known;  ///< in the backup; edited later: by what was removed, then again
  RecordId lost;   ///< made after the backup, and removed
  RecordId kept;   ///< made last: still in the chain
  std::size_t at_backup = 0;

  explicit BrokenPromise(std::uint64_t seed)
      : world(seed), tablet(world.add_tablet("T01", "PPT")), other(world.add_tablet("T02", "PPT")) {
    known = world.record(tablet, {field("note", std::string("first"))});
    both_sync();
    const auto backup = world.hub_disks();
    REQUIRE(world.edit(tablet, known, {field("note", std::string("second"))}));
    lost = world.record(tablet, {field("note", std::string("removed"))});
    both_sync();
    back_up_and_remove(world, tablet);
    REQUIRE(world.edit(tablet, known, {field("plate", std::string("2A-1"))}));
    kept = world.record(tablet, {field("note", std::string("kept"))});
    both_sync();
    back_up_and_remove(world, tablet);
    const storage::OwnActor& own = *tablet.store->state().current();
    REQUIRE(own.head == Sequence{5});
    REQUIRE(own.purged_to == Sequence{4});
    world.put_back_hub(backup);
    at_backup = changes_at_hub(world, "PPT");
  }

  void both_sync() {
    for (int round = 0; round < 4; ++round) {
      for (Tablet& one : world.tablets()) {
        if (!one.link && !one.gone) world.connect(one);
      }
      world.settle();
    }
  }

  storage::HubReader::VerifyReport verified() {
    const auto report = world.reader("PPT").verify([](std::uint64_t) {});
    INFO((report ? std::string() : report.error().message()));
    REQUIRE(report.has_value());
    return *report;
  }
};

}  // namespace

TEST_CASE(
    "a hub put back to before its backups: the gap is signed, and what copies hold is joined") {
  BrokenPromise broken(82);
  SyncWorld& world = broken.world;
  Tablet& tablet = broken.tablet;
  CHECK(broken.at_backup == 1);
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  // From the hub's first word on the tablet does not call safe what the hub has lost.
  CHECK_FALSE(tablet.view(broken.known).at_hub);
  CHECK_FALSE(tablet.view(broken.lost).at_hub);
  broken.both_sync();
  CHECK(tablet.in_sync());
  CHECK(tablet.waiting() == 0);
  CHECK_FALSE(tablet.view(broken.lost).at_hub);
  CHECK(changes_at_hub(world, "PPT") == 2);
  const auto report = broken.verified();
  CHECK(report.gaps == 1);
  CHECK(report.missing == 3);
  CHECK((*world.reader("PPT").record(broken.kept)).has_value());
  CHECK_FALSE((*world.reader("PPT").record(broken.lost)).has_value());
  // Both tablets' copies were asked for.
  REQUIRE(world.recover("PPT", broken.known));
  REQUIRE(world.recover("PPT", broken.lost));
  broken.both_sync();
  heal_and_check(world);
  const auto known = **world.reader("PPT").record(broken.known);
  CHECK(*model::shown(known, "note") == model::Value(std::string("second")));
  CHECK(*model::shown(known, "plate") == model::Value(std::string("2A-1")));
  CHECK(tablet.view(broken.known).at_hub);
  CHECK(tablet.view(broken.lost).at_hub);
  // It goes on as any other chain, over another put-back too.
  REQUIRE(world.edit(tablet, broken.lost, {field("note", std::string("later"))}));
  broken.both_sync();
  const auto disks = world.hub_disks();
  REQUIRE(world.edit(tablet, broken.lost, {field("note", std::string("latest"))}));
  broken.both_sync();
  world.put_back_hub(disks);
  broken.both_sync();
  heal_and_check(world);
  CHECK(*model::shown(**world.reader("PPT").record(broken.lost), "note") ==
        model::Value(std::string("latest")));
  CHECK(broken.verified().gaps == 1);
}

TEST_CASE("a change that rests on one in a gap is held until its predecessors are given up") {
  BrokenPromise broken(83);
  SyncWorld& world = broken.world;
  Tablet& tablet = broken.tablet;
  broken.both_sync();
  REQUIRE(world.edit(tablet, broken.known, {field("plate", std::string("2A-9"))}));
  broken.both_sync();
  const auto held = *world.reader("PPT").held(10);
  REQUIRE(held.size() == 1);
  CHECK(held.front().record == broken.known);
  CHECK_FALSE(tablet.view(broken.known).at_hub);
  // Not while somebody's copy has them: what it says would be taken for replaced.
  const Status refused = world.recover("PPT", broken.known, storage::HubStore::Recovery::release);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is(Errc::conflict));
  REQUIRE(world.recover("PPT", broken.known, storage::HubStore::Recovery::refuse));
  REQUIRE(world.recover("PPT", broken.known, storage::HubStore::Recovery::release));
  broken.both_sync();
  CHECK(world.reader("PPT").held(10)->empty());
  const auto known = **world.reader("PPT").record(broken.known);
  CHECK(*model::shown(known, "plate") == model::Value(std::string("2A-9")));
  CHECK(broken.verified().gaps == 1);
}

TEST_CASE("a gap whose acknowledgement was lost is told again, and is there once") {
  BrokenPromise broken(84);
  SyncWorld& world = broken.world;
  Tablet& tablet = broken.tablet;
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  while (world.move_up(tablet)) {
  }
  world.write(GENERATE(true, false));
  world.restart_tablet(tablet);
  if (GENERATE(false, true)) world.restart_hub();
  broken.both_sync();
  CHECK(tablet.in_sync());
  CHECK(tablet.waiting() == 0);
  CHECK(broken.verified().gaps == 1);
  CHECK(changes_at_hub(world, "PPT") == 2);
}

TEST_CASE("a gap that nobody may claim is refused, and nothing of it is stored") {
  SyncWorld world(85);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record_many(tablet, 4);
  sync_through(world, tablet);
  sync_through(world, other);
  world.cut(tablet);
  world.record_many(tablet, 3);
  greet(world, tablet);
  tablet.link->up.clear();  // its first push
  const storage::OwnActor own = *tablet.store->state().current();
  wire::Gap gap{own.actor, Sequence{5}, Sequence{6}, {}, {}};
  const crypto::SigningKey* key = &tablet.identity.key;
  auto code = wire::ErrorCode::chain_broken;
  SECTION("signed by another device") {
    key = &other.identity.key;
    code = wire::ErrorCode::bad_signature;
  }
  SECTION("over what the hub has") { gap.from = Sequence{3}; }
  SECTION("inside what the hub has") {
    gap.from = Sequence{2};
    gap.to = Sequence{3};
  }
  SECTION("beyond the end of the chain") { gap.to = Sequence{8}; }
  SECTION("of another's chain") {
    gap.actor = other.store->state().current()->actor;
    code = wire::ErrorCode::not_granted;
  }
  wire::sign_gap(*key, tablet.identity.device, gap);
  tablet.link->up.push_back(frame_of(gap));
  world.move_up(tablet);
  CHECK(tablet.link->hub_closed);
  const wire::Decoded said = open_frame(tablet.link->down.back());
  const auto* error = std::get_if<wire::ErrorMessage>(&said.message);
  REQUIRE(error != nullptr);
  CHECK(error->code == code);
  CHECK(world.batches_waiting() == 0);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 7);
  CHECK(world.reader("PPT").verify([](std::uint64_t) {})->gaps == 0);
}

TEST_CASE("a gap that does not begin behind the hub's head is sent back to there") {
  SyncWorld world(86);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 4);
  greet(world, tablet);
  tablet.link->up.clear();
  wire::Gap gap{tablet.store->state().current()->actor, Sequence{3}, Sequence{4}, {}, {}};
  wire::sign_gap(tablet.identity.key, tablet.identity.device, gap);
  tablet.link->up.push_back(frame_of(gap));
  world.move_up(tablet);
  CHECK(tablet.link->sent_down.messages["rewind"] == 1);
  CHECK(world.batches_waiting() == 0);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 4);
}
