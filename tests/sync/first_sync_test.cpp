// One tablet and a hub: what was recorded offline arrives, once, and comes back to nobody who has it.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

TEST_CASE("one record made offline reaches the hub") {
  SyncWorld world(1);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("direction", std::string("in"))});
  CHECK_FALSE(tablet.view(id).at_hub);
  CHECK(tablet.waiting() == 1);

  world.connect(tablet);
  CHECK_FALSE(tablet.in_sync());
  world.settle();

  CHECK(tablet.in_sync());
  CHECK(tablet.waiting() == 0);
  CHECK(tablet.view(id).at_hub);
  CHECK(world.reader("PPT").counts()->records == 1);
  CHECK(tablet.link->sent_down.states == 0);
  heal_and_check(world);
}

TEST_CASE("ten thousand records go up in few pushes, within the window, and do not come back") {
  SyncWorld world(2);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 10'000);
  world.connect(tablet);
  world.settle();
  CHECK(tablet.in_sync());
  CHECK(world.reader("PPT").counts()->records == 10'000);
  CHECK(tablet.link->sent_up.messages["push"] <= 16);
  CHECK(tablet.link->most_pushes_in_flight <= limits::kWindowPushes);
  CHECK(tablet.link->sent_down.states == 0);
  CHECK(tablet.link->sent_down.bytes < 4'000);
  CHECK(tablet.link->sent_down.messages["deliver"] == 4);  // at the hello, then one cursor a commit
  heal_and_check(world);
}

TEST_CASE("before the welcome one push goes out, afterwards as many as the window allows") {
  SyncWorld world(3);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  tablet.estimate.push_bytes = sync::LinkEstimate::kPushBytesMin;
  world.record_many(tablet, 4'000);
  world.connect(tablet);
  move_down_through(world, tablet, "challenge");
  CHECK(tablet.link->sent_up.messages["push"] == 1);
  move_up_through(world, tablet, "hello");
  move_down_through(world, tablet, "welcome");
  CHECK(tablet.link->agent->pushes_in_flight() == limits::kWindowPushes);
  world.settle(false);
  CHECK(tablet.last_link->most_pushes_in_flight == limits::kWindowPushes);
  heal_and_check(world);
}

TEST_CASE("a change names the last welcome that its tablet had stored") {
  SyncWorld world(4);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("before"))});
  world.sync(tablet);
  world.record(tablet, {field("note", std::string("after"))});
  const auto& own = *tablet.store->state().current();
  const auto page = tablet.store->chain_page(own.actor, Sequence{1}, 1 << 20, 10);
  REQUIRE(page->size() == 2);
  CHECK(wire::decode_change(own.actor, (*page)[0].frame)->welcome == 0);
  CHECK(wire::decode_change(own.actor, (*page)[1].frame)->welcome ==
        tablet.store->state().welcome_id);
  CHECK(tablet.store->state().welcome_id != 0);
}

TEST_CASE("a welcome says how far the oldest restorable backup reaches, and the tablet keeps it") {
  SyncWorld world(6);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 3);
  world.connect(tablet);
  world.settle();
  const auto told = [&] { return tablet.store->state().current()->backed_up.value; };
  const ActorId actor = tablet.store->state().current()->actor;
  CHECK(told() == 0);
  world.cut(tablet);
  REQUIRE(
      world.store("PPT").put_backed_up({{actor, Sequence{2}}}, storage::HubStore::BackedUp::raise));
  world.connect(tablet);
  world.settle();
  CHECK(told() == 2);
  heal_and_check(world);
}

TEST_CASE("records that do not compress go up and down in frames that the other side takes") {
  SyncWorld world(5);
  Tablet& tablet = world.add_tablet("R01", "REHAB1", "health");
  const RandomSource random = world.random();
  for (int i = 0; i < 60; ++i) {
    model::Seal seal;
    seal.id = random_id<SealId>(random);
    seal.boxes.push_back({random_id<KeyId>(random), Bytes(80, 1)});
    model::Sealed sealed{seal.id, Bytes(12 * 1024)};
    random(sealed.ciphertext);
    model::Change change = world.draft_change(tablet, make_record_id(Instant{1'000 + i}, {}),
                                              {field("content", sealed)});
    change.seals = {seal};
    const auto frame = wire::encode_change(change);
    REQUIRE(frame.has_value());
    world.append_raw(tablet, change, *frame);
  }
  world.sync(tablet);
  CHECK(tablet.in_sync());
  Tablet& other = world.add_tablet("R02", "REHAB1", "health");
  world.sync(other);
  CHECK(other.in_sync());
  heal_and_check(world);
}

TEST_CASE(
    "the hub's word on the last complete sync moves with each, also for a tablet that only sends") {
  SyncWorld world(9);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& mate = world.add_tablet("T02", "PPT");
  const auto complete = [&](const Tablet& tablet) {
    return (*world.reader("PPT").device(tablet.identity.device))->last_complete;
  };
  const auto later = [&] {
    world.pass(60'000);
    return world.now().wall;
  };
  CHECK_FALSE(complete(one).has_value());
  world.record(one, {field("direction", std::string("in"))});
  world.connect(one);
  world.settle();
  CHECK(complete(one) == world.now().wall);
  // It stays connected, and sends what it records.
  Instant now = later();
  world.record(one, {field("direction", std::string("in"))});
  world.local_change(one);
  world.settle();
  REQUIRE(one.in_sync());
  CHECK(complete(one) >= now);
  // It gets what another records, and has nothing to send itself.
  now = later();
  world.record(mate, {field("direction", std::string("out"))});
  world.connect(mate);
  world.settle();
  CHECK(complete(one) >= now);
  CHECK(complete(mate) >= now);
  // It goes as soon as it is in sync: its last words arrive, what the hub says after them does not.
  world.cut(one);
  world.settle();
  now = later();
  world.record(one, {field("direction", std::string("in"))});
  world.connect(one);
  while (!one.in_sync()) {
    const bool moved = world.move_up(one) || world.hear_writer(*one.link) || world.write(true) ||
                       world.move_down(one);
    REQUIRE(moved);
  }
  const auto ended = world.leave(one);
  while (world.move_up(ended)) {
  }
  world.write(true);
  CHECK(complete(one) >= now);
  // What it has not confirmed is no complete sync, whatever it says of its own.
  const auto before = complete(one);
  world.settle();
  later();
  world.record(mate, {field("direction", std::string("out"))});
  world.local_change(mate);
  world.settle();
  later();
  world.connect(one);
  while (one.link->sent_down.states == 0) {
    const bool moved = world.move_up(one) || world.hear_writer(*one.link) || world.move_down(one);
    REQUIRE(moved);
  }
  world.cut(one);
  world.write(true);
  CHECK(complete(one) == before);
  heal_and_check(world);
}
