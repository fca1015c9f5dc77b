// Records erased at the hub, as tablets hear of it: gone there, too; not back by any way; and no unsent work lost.
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// Everything that is there now is old.
Status erase(SyncWorld& world, const std::string& unit, const std::vector<RecordId>& ids) {
  world.pass(1);
  storage::ErasureOrder order;
  order.records = ids;
  for (const char* type : {"stop", "visit"})
    order.rules[type] = {Instant{world.now().wall.ms + 1}, std::string(type) + ": 5 years"};
  order.references = [](const model::Record&) { return std::vector<RecordId>{}; };
  order.at = world.now().wall;
  order.author = "retention";
  FP_TRY(const auto report, world.store(unit).erase(order));
  world.feed_moved(unit);
  return report.erased.size() == ids.size() ? Status{} : fail(Errc::conflict, "not all were due");
}

model::FieldValue direction(const char* value) { return field("direction", std::string(value)); }

bool holds(const Tablet& tablet, const RecordId& id) {
  return (*tablet.store->load(id)).has_value();
}

}  // namespace

TEST_CASE("erasure: live tablets drop the record, and everyone agrees") {
  SyncWorld world(21);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& two = world.add_tablet("T02", "PPT");
  world.connect(one);
  world.connect(two);
  const RecordId gone = world.record(one, {direction("entry")});
  const RecordId stays = world.record(two, {direction("exit")});
  world.settle();
  REQUIRE(world.edit(two, gone, {direction("internal")}));
  world.settle();
  REQUIRE(holds(one, gone));
  REQUIRE(holds(two, gone));
  REQUIRE(erase(world, "PPT", {gone}));
  world.settle();
  for (Tablet* tablet : {&one, &two}) {
    CHECK_FALSE(holds(*tablet, gone));
    CHECK(holds(*tablet, stays));
    CHECK(tablet->in_sync());
    CHECK(tablet->store->counts()->records == 1);
    CHECK(tablet->digest() == world.hub_digest("PPT"));
    CHECK(tablet->store->verify([](std::uint64_t) {}));
  }
  CHECK(world.verify_hub());
  // The chains go on.
  world.record(one, {direction("exit")});
  world.settle();
  CHECK(two.digest() == world.hub_digest("PPT"));
  CHECK(world.verify_hub());
}

TEST_CASE(
    "erasure: a tablet that was away hears of it when it comes back; a new one never sees it") {
  SyncWorld world(22);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& away = world.add_tablet("T02", "PPT");
  const RecordId gone = world.record(one, {direction("entry")});
  world.sync(one);
  world.sync(away);
  world.cut(away);
  REQUIRE(holds(away, gone));
  REQUIRE(erase(world, "PPT", {gone}));
  world.settle();
  Tablet& fresh = world.add_tablet("T03", "PPT");
  for (Tablet* tablet : {&away, &fresh}) {
    world.sync(*tablet);
    CHECK_FALSE(holds(*tablet, gone));
    CHECK(tablet->in_sync());
    CHECK(tablet->digest() == world.hub_digest("PPT"));
  }
}

TEST_CASE(
    "erasure: an unsent edit of an erased record arrives, is set aside and shown; an operator "
    "decides") {
  const auto ruling =
      GENERATE(storage::HubStore::Ruling::accept, storage::HubStore::Ruling::reject);
  SyncWorld world(23);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& away = world.add_tablet("T02", "PPT");
  const RecordId gone = world.record(one, {direction("entry")});
  world.sync(one);
  world.sync(away);
  world.cut(away);
  REQUIRE(world.edit(away, gone, {direction("exit")}));
  REQUIRE(world.edit(away, gone, {direction("internal")}));
  REQUIRE(erase(world, "PPT", {gone}));
  world.settle();
  world.connect(away);
  world.settle();
  CHECK(away.waiting() == 0);
  const auto problems = *away.store->exceptions();
  REQUIRE(problems.size() == 2);
  for (const wire::ChangeException& problem : problems) {
    CHECK(problem.kind == wire::ExceptionKind::quarantined);
    CHECK(problem.rule == storage::kErasedRule);
    CHECK(problem.record == gone);
  }
  REQUIRE(holds(away, gone));  // what is left: the two edits
  CHECK(away.view(gone).own.size() == 2);
  CHECK_FALSE(away.view(gone).at_hub);
  CHECK_FALSE(holds(one, gone));
  CHECK_FALSE(world.reader("PPT").record(gone)->has_value());
  CHECK(world.verify_hub());
  for (const wire::ChangeException& problem : problems)
    REQUIRE(world.rule("PPT", problem.actor, problem.counter, ruling));
  world.settle();
  CHECK(world.verify_hub());
  const auto decided = *away.store->exceptions();
  REQUIRE(decided.size() == 2);
  CHECK(decided.front().kind == wire::ExceptionKind::unauthorised);
  CHECK_FALSE(world.reader("PPT").record(gone)->has_value());
  const std::size_t anew = ruling == storage::HubStore::Ruling::accept ? 2 : 0;
  CHECK(world.reader("PPT").ids_after({}, 10)->size() == anew);
  CHECK(one.digest() == world.hub_digest("PPT"));
  CHECK(away.digest() == world.hub_digest("PPT"));
}

TEST_CASE(
    "erasure: acknowledged while the erasure is on its way, an own edit leaves nothing behind") {
  SyncWorld world(24);
  Tablet& one = world.add_tablet("T01", "PPT");
  world.connect(one);
  const RecordId gone = world.record(one, {direction("entry")});
  world.settle();
  REQUIRE(world.edit(one, gone, {direction("exit")}));
  world.local_change(one);
  while (world.move_up(one)) {
  }
  REQUIRE(world.write(true));  // committed; the acknowledgement is under way
  REQUIRE(erase(world, "PPT", {gone}));
  world.settle();
  CHECK_FALSE(holds(one, gone));
  CHECK(one.store->counts()->records == 0);
  CHECK(one.store->exceptions()->empty());
  CHECK(one.digest() == world.hub_digest("PPT"));
}

TEST_CASE("erasure: a hub put back to before it, with its ledger, does not take the record back") {
  SyncWorld world(25);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& reader = world.add_tablet("T02", "PPT");
  const RecordId gone = world.record(author, {direction("entry")});
  world.sync(author);
  world.sync(reader);
  const auto disks = world.hub_disks();
  // What the backup does not have: an edit by each, then the erasure.
  REQUIRE(world.edit(author, gone, {direction("exit")}));
  world.sync(author);
  world.sync(reader);
  REQUIRE(world.edit(reader, gone, {direction("internal")}));
  world.sync(reader);
  world.sync(author);
  const bool heard = GENERATE(true, false);  // before the hub's disk died
  if (!heard) {
    world.cut(author);
    world.cut(reader);
  }
  REQUIRE(erase(world, "PPT", {gone}));
  world.settle();
  CHECK(holds(author, gone) != heard);
  const auto ledger = world.reader("PPT").ledger();
  REQUIRE(ledger);
  world.put_back_hub(disks);
  REQUIRE(world.store("PPT").take_ledger({1, {}}, ledger->waiting)->erased == 1);
  world.restart_hub();
  for (Tablet* tablet : {&author, &reader}) world.sync(*tablet);
  for (Tablet* tablet : {&author, &reader}) world.sync(*tablet);
  CHECK(world.reader("PPT").staged(10)->empty());
  CHECK(world.reader("PPT").counts()->quarantined == 0);
  CHECK_FALSE(world.reader("PPT").record(gone)->has_value());
  CHECK(world.verify_hub());
  for (Tablet* tablet : {&author, &reader}) {
    CHECK(tablet->in_sync());
    CHECK_FALSE(holds(*tablet, gone));
    CHECK(tablet->store->exceptions()->empty());
    CHECK(tablet->store->counts()->records == 0);
    CHECK(tablet->store->verify([](std::uint64_t) {}));
    CHECK(tablet->digest() == world.hub_digest("PPT"));
  }
}

TEST_CASE("erasure: sealed visits are erased as everything else") {
  SyncWorld world(26);
  Tablet& unit = world.add_tablet("T01", "RH1", "health");
  unit.type = "visit";
  world.connect(unit);
  const RecordId gone = world.record(unit, {field("visit_month", std::string("2026-03"))});
  world.settle();
  REQUIRE(erase(world, "RH1", {gone}));
  world.settle();
  CHECK_FALSE(holds(unit, gone));
  CHECK(unit.digest() == world.hub_digest("RH1"));
  CHECK(world.verify_hub());
}

TEST_CASE("erasure: a hub may only erase records of the unit that it delivers") {
  SyncWorld world(27);
  Tablet& one = world.add_tablet("T01", "PPT");
  const RecordId mine = world.record(one, {direction("entry")});
  world.sync(one);
  CHECK(one.store->integrate("BVT", Bytes{1}, {}, {mine}).error().is(Errc::malformed));
  CHECK(holds(one, mine));
}
