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
