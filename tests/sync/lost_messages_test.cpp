// Links that break at the worst moment: nothing acknowledged is lost, nothing is applied twice.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

TEST_CASE("a lost acknowledgement is made good by the next verdict") {
  SyncWorld world(10);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  world.write(true);
  world.cut(tablet);
  CHECK(tablet.waiting() == 5);
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  CHECK(tablet.waiting() == 0);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 5);
}

TEST_CASE("a lost push is sent again") {
  SyncWorld world(11);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  greet(world, tablet);
  CHECK_FALSE(tablet.link->up.empty());
  world.cut(tablet);
  CHECK(tablet.estimate.push_bytes < 256 * 1024);  // a poor link gets smaller pushes
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 5);
}

TEST_CASE("batches of a lost connection that are committed after the next hello are acknowledged") {
  SyncWorld world(12);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  const bool all_bad = GENERATE(false, true);
  if (all_bad) {
    world.check = [](const model::Change& c) {
      return wire::ChangeException{
          c.dot.actor, c.dot.counter, c.record,          wire::ExceptionKind::quarantined,
          "enum",      "note",        "not a known note"};
    };
  }
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  const bool more_meanwhile = GENERATE(false, true);
  const std::size_t cut_anew = GENERATE(std::size_t{256} * 1024, std::size_t{1});
  world.cut(tablet);
  if (more_meanwhile) world.record_many(tablet, 3);
  tablet.estimate.push_bytes = cut_anew;
  greet(world, tablet);  // the hub's head is still 0
  world.write(true);     // the first connection's batch
  world.settle(false);
  // A state that shows what was not acknowledged yet makes the tablet connect again.
  if (!tablet.link) world.sync(tablet);
  CHECK(tablet.waiting() == 0);
  CHECK(tablet.in_sync());
  CHECK(tablet.store->exceptions()->size() ==
        (all_bad ? tablet.store->state().current()->head.value : 0));
  CHECK(world.verify_hub().has_value());
  if (!all_bad) heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == (more_meanwhile ? 8u : 5u));
}

TEST_CASE("the same batches twice in one commit are applied once") {
  SyncWorld world(13);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  world.cut(tablet);
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  CHECK(world.batches_waiting() == 2);
  world.settle();
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 5);
}

TEST_CASE("the hub restarts while a push is under way") {
  SyncWorld world(14);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  world.sync(tablet);
  const auto cursors = tablet.store->state().cursors;
  world.record_many(tablet, 5);
  world.restart_hub();
  CHECK_FALSE(tablet.in_sync());
  world.sync(tablet);
  CHECK(tablet.link->sent_down.states == 0);  // the cursor of an earlier start is still good
  CHECK(tablet.store->state().cursors != cursors);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 10);
}

TEST_CASE("a hub commit whose fate is unknown") {
  const auto fate = GENERATE(storage::CommitFate::fail_before, storage::CommitFate::fail_after);
  SyncWorld world(15);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 5);
  greet(world, tablet);
  move_up_through(world, tablet, "push");
  world.write(true);
  world.record_many(tablet, 5);
  world.settle();
  world.record_many(tablet, 5);
  while (world.move_up(tablet)) {
  }
  world.hub_kv(0).set_faults({[&](std::uint64_t, storage::UpdateKind) { return fate; }});
  world.write(true);
  CHECK(world.hub_crashes() == 1);
  CHECK(tablet.waiting() == 5);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 15);
}

TEST_CASE("a lost delivery and a lost `got` cost a repetition, nothing else") {
  SyncWorld world(16);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  world.record_many(one, 20);
  world.sync(one);
  const bool delivered = GENERATE(false, true);
  greet(world, two);
  move_down_through(world, two, "welcome");
  if (delivered) move_down_through(world, two, "deliver");
  world.cut(two);
  world.sync(two);
  CHECK(two.in_sync());
  CHECK(two.link->sent_down.states == (delivered ? 0u : 20u));  // the tablet's cursor decides
  heal_and_check(world);
}

TEST_CASE("a tablet's own commit fails while it takes in a delivery") {
  const auto fate = GENERATE(storage::CommitFate::fail_before, storage::CommitFate::fail_after);
  SyncWorld world(17);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  world.record_many(one, 20);
  world.sync(one);
  greet(world, two);
  move_down_through(world, two, "welcome");
  two.kv->set_faults({[&](std::uint64_t, storage::UpdateKind) { return fate; }});
  move_down_through(world, two, "deliver");
  REQUIRE(two.closed);
  CHECK(two.closed->is(Errc::store_failed));
  CHECK_FALSE(two.in_sync());
  world.restart_tablet(two);
  heal_and_check(world);
}

TEST_CASE(
    "the last push of a long backlog is quarantined whole: the tablet still hears that it has "
    "everything") {
  SyncWorld world(18);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  // More than the hub sends ahead, so that the end of the feed is told only after an answer.
  const RandomSource random = world.random();
  for (int i = 0; i < 400; ++i) {
    std::vector<model::FieldValue> fields;
    Bytes noise(7'000);
    random(noise);
    fields.push_back(field("note", to_hex(noise)));
    world.record(one, std::move(fields));
  }
  world.sync(one);
  world.check = [](const model::Change& c) -> std::optional<wire::ChangeException> {
    if (c.author != "officer-T02") return std::nullopt;
    return wire::ChangeException{
        c.dot.actor, c.dot.counter, c.record,          wire::ExceptionKind::quarantined,
        "enum",      "note",        "not a known note"};
  };
  greet(world, two);
  move_down_through(world, two, "welcome");
  while (world.move_down(two)) {
  }
  world.record(two, {field("note", std::string("bad"))});
  while (world.move_up(two) || world.move_down(two)) {
  }
  CHECK(world.batches_waiting() == 1);
  world.settle();
  CHECK(two.in_sync());
}
