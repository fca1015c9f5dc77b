// Tablets that were copied, restored, or lost their newest part: noticed, nothing lost, nothing doubled.
#include "base/limits.h"
#include "sync/fork_repair.h"
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// The changes at the hub that set `path` to `text`, each by its first name.
std::size_t written(SyncWorld& world, const RecordId& id, const std::string& path,
                    const std::string& text) {
  std::size_t count = 0;
  for (const storage::LogEntry& entry : *world.reader("PPT").history(id)) {
    const model::Change change = *wire::decode_change(entry.actor, entry.frame);
    for (const model::FieldValue& edit : change.edits)
      count += edit.path == path && edit.value == model::Value(text) ? 1 : 0;
  }
  return count;
}

std::vector<model::Change> history(SyncWorld& world, const RecordId& id) {
  std::vector<model::Change> changes;
  for (const storage::LogEntry& entry : *world.reader("PPT").history(id))
    changes.push_back(*wire::decode_change(entry.actor, entry.frame));
  return changes;
}

}  // namespace

TEST_CASE("a copied tablet goes on apart, and both copies' records reach the hub") {
  SyncWorld world(46);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 3);
  world.sync(tablet);
  const std::size_t by_copy =
      GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{300});
  const bool live = GENERATE(false, true);
  CAPTURE(by_copy, live);
  const ActorId before = tablet.store->state().current()->actor;
  Tablet& copy = copy_of(world, tablet, "T01 again");
  if (live) sync_through(world, copy);
  world.record_many(tablet, 2);
  world.settle();
  world.record_many(copy, by_copy);
  world.settle();
  sync_through(world, copy);
  heal_and_check(world);
  CHECK(world.reader("PPT").counts()->records == 5 + by_copy);
  CHECK(changes_at_hub(world, "PPT") == 5 + by_copy);
  CHECK(world.reader("PPT").held(1)->empty());
  CHECK(tablet.store->state().current()->actor == before);
  CHECK(tablet.digest() == copy.digest());
  if (by_copy == 0) return;
  world.write(true);  // what the hub noted of its devices, too
  const auto notes = (*world.reader("PPT").device(tablet.identity.device))->forks;
  CHECK(notes.times == 1);
  CHECK(notes.rewritten == by_copy);
  CHECK(notes.hub_head == Sequence{5});
  CHECK(copy.store->state().find(before)->closed);
  CHECK(copy.store->state().current()->actor != before);
  // From here on nothing is left of it but the name.
  world.record_many(copy, 2);
  world.record_many(tablet, 2);
  heal_and_check(world);
  CHECK(world.reader("PPT").counts()->records == 9 + by_copy);
}

TEST_CASE(
    "a tablet that lost its newest part after the acknowledgement gets it back from the hub") {
  SyncWorld world(47);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 3);
  world.sync(tablet);
  const Snapshot old = tablet.kv->snapshot();
  const auto lost = world.record_many(tablet, 4);
  world.settle();
  REQUIRE(tablet.in_sync());
  put_back(world, tablet, old);
  SECTION("with nothing written since") {}
  SECTION("with new records written since") { world.record_many(tablet, 2); }
  sync_through(world, tablet);
  heal_and_check(world);
  for (const RecordId& id : lost) CHECK(tablet.view(id).at_hub);
}

TEST_CASE("both copies return, in any order, again and again, with acknowledgements lost between") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    INFO("seed " << seed);
    SyncWorld world(5'000 + seed);
    Tablet& one = world.add_tablet("T01", "PPT");
    const RecordId shared = world.record(one, {field("note", std::string("first"))});
    world.sync(one);
    Tablet& two = copy_of(world, one, "T01 again");
    Dice& dice = world.dice();
    std::vector<std::string> said;
    for (int round = 0; round < 6; ++round) {
      Tablet& tablet = dice.one_in(2) ? one : two;
      const std::string text = "round " + std::to_string(round);
      REQUIRE(world.edit(tablet, shared, {field("note", text)}));
      said.push_back(text);
      if (dice.one_in(3)) continue;
      if (!tablet.link) world.connect(tablet);
      for (std::size_t n = dice.below(10); n > 0; --n) {
        world.move_up(tablet);
        world.move_down(tablet);
        if (dice.one_in(2)) world.write(true);
        hear_all(world);
      }
      if (dice.one_in(2)) world.cut(tablet);
    }
    heal_and_check(world);
    CHECK(world.reader("PPT").held(1)->empty());
    for (const std::string& text : said) {
      INFO(text);
      // Twice only when the hub had it already under its first name and the answer was lost.
      const std::size_t times = written(world, shared, "note", text);
      CHECK(times >= 1);
      std::size_t first_names = 0;
      for (const model::Change& change : history(world, shared)) {
        const bool sets = change.edits.front().value == model::Value(text);
        first_names += sets && !change.origin ? 1 : 0;
      }
      CHECK(times - first_names <= 1);
    }
  }
}

TEST_CASE("a context across two records is renamed after a fork") {
  SyncWorld world(48);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId a = world.record(tablet, {field("note", std::string("a1"))});
  const RecordId b = world.record(tablet, {field("note", std::string("b1"))});
  world.sync(tablet);
  Tablet& copy = copy_of(world, tablet, "T01 again");
  world.cut(tablet);
  // The copy: a, then b, then a again on top of its own edit of a, offline.
  REQUIRE(world.edit(copy, a, {field("note", std::string("a2"))}));
  REQUIRE(world.edit(copy, b, {field("note", std::string("b2"))}));
  const auto opened = copy.view(a).record.vv;
  const ActorId opened_under = copy.store->state().current()->actor;
  REQUIRE(world.edit(copy, a, {field("note", std::string("a3"))}));
  // Meanwhile the original takes the same numbers, and its push arrives first.
  world.record_many(tablet, 3);
  sync_through(world, tablet);
  sync_through(world, copy);
  heal_and_check(world);
  const auto record = **world.reader("PPT").record(a);
  CHECK(model::conflicts(record).empty());
  CHECK(*model::shown(record, "note") == model::Value(std::string("a3")));
  CHECK(model::conflicts(**world.reader("PPT").record(b)).empty());
  const auto changes = history(world, a);
  REQUIRE(changes.size() == 3);
  CHECK(changes[1].origin);
  CHECK(changes[2].prev == changes[1].dot.counter);
  CHECK(changes[2].context.covers(changes[1].dot));
  // A form that was open since before the fork still knows what its author had seen.
  const auto seen = *copy.store->renamed(a, opened, opened_under);
  CHECK(seen.covers(changes[1].dot));
  CHECK_FALSE(seen.covers(changes[2].dot));
  REQUIRE(world.edit(copy, a, {field("note", std::string("from the open form"))}, seen));
  heal_and_check(world);
  CHECK(model::siblings(**world.reader("PPT").record(a), "note").size() == 2);
  CHECK(*copy.store->renamed(a, opened, copy.store->state().current()->actor) == opened);
}

TEST_CASE(
    "a restore noticed at start while old changes are pending, and the old chain turns out "
    "forked") {
  SyncWorld world(49);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId a = world.record(tablet, {field("note", std::string("a1"))});
  world.sync(tablet);
  world.cut(tablet);
  REQUIRE(world.edit(tablet, a, {field("note", std::string("pending"))}));
  const Snapshot old = tablet.kv->snapshot();
  const bool forked = GENERATE(false, true);
  CAPTURE(forked);
  if (forked) {
    put_back(world, tablet, old);
    // The same number was given to another change, which reached the hub.
    const auto first = world.record_many(tablet, 1);
    sync_through(world, tablet);
    world.cut(tablet);
    Tablet& other = copy_of(world, tablet, "seen");
    world.cut(other);
  }
  put_back(world, tablet, old);
  if (forked) {
    // What the agent does when it notices: new changes on a fresh chain, the old tail where it is.
  }
  const ActorId fresh = random_actor(world.random());
  REQUIRE(tablet.store->add_actor(
      fresh, wire::chain_start(world.hub_id(), tablet.identity.device, fresh)));
  REQUIRE(world.edit(tablet, a, {field("note", std::string("after the restore"))}));
  world.connect(tablet);
  move_down_through(world, tablet, "challenge");
  // A new chain's change is not pushed before the old tail's verdict.
  CHECK(tablet.link->sent_up.messages.count("push") == 0);
  sync_through(world, tablet);
  heal_and_check(world);
  CHECK(written(world, a, "note", "pending") == 1);
  CHECK(written(world, a, "note", "after the restore") == 1);
  CHECK(model::conflicts(**world.reader("PPT").record(a)).empty());
}

TEST_CASE(
    "a copy pushes while the original is connected, and the original's next counter is taken") {
  SyncWorld world(50);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 2);
  world.sync(tablet);
  Tablet& copy = copy_of(world, tablet, "T01 again");
  sync_through(world, copy);
  REQUIRE(tablet.link);
  world.record_many(copy, 2);
  world.settle();
  world.record_many(tablet, 2);
  world.settle();
  heal_and_check(world);
  CHECK(world.reader("PPT").counts()->records == 6);
  CHECK(changes_at_hub(world, "PPT") == 6);
}

TEST_CASE(
    "a chain that another device began is foreign, and what is new is written apart from it") {
  SyncWorld world(45);
  Tablet& owner = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  world.record_many(owner, 2);
  world.sync(owner);
  put_back(world, other, owner.kv->snapshot());
  world.record_many(other, 1);
  sync_through(world, other);
  CHECK(changes_at_hub(world, "PPT") == 3);
  heal_and_check(world);
}

TEST_CASE("a crash in the middle of the repair leaves all of it or nothing") {
  for (std::uint64_t commit = 1; commit < 12; ++commit) {
    for (const auto fate : {storage::CommitFate::fail_before, storage::CommitFate::fail_after}) {
      INFO("commit " << commit << ", fate " << static_cast<int>(fate));
      SyncWorld world(51);
      Tablet& tablet = world.add_tablet("T01", "PPT");
      const RecordId a = world.record(tablet, {field("note", std::string("a1"))});
      world.sync(tablet);
      Tablet& copy = copy_of(world, tablet, "T01 again");
      world.record_many(tablet, 2);
      world.settle();
      REQUIRE(world.edit(copy, a, {field("note", std::string("a2"))}));
      world.record_many(copy, 2);
      copy.kv->set_faults(storage::MemoryFaults::at(copy.kv->commits() + commit, fate));
      for (int round = 0; round < 4; ++round) {
        if (!copy.link) world.connect(copy);
        world.settle();
      }
      put_back(world, copy, copy.kv->snapshot());
      heal_and_check(world);
      CHECK(world.reader("PPT").counts()->records == 5);
      CHECK(written(world, a, "note", "a2") == 1);
    }
  }
}

TEST_CASE("the search finds the last common point in few questions, wherever it lies") {
  SyncWorld world(52);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 1'000);
  const storage::OwnActor own = *tablet.store->state().current();
  for (const std::uint64_t common : {0, 1, 2, 255, 256, 257, 511, 998, 999, 1'000}) {
    INFO("common " << common);
    sync::ForkSearch search(*tablet.store);
    search.add(own.actor, own.head);
    int questions = 0;
    while (const auto question = search.question()) {
      REQUIRE(++questions <= 2);
      CHECK(question->counters.size() <= limits::kHashQueryMax);
      wire::HashReply reply{own.actor, {}};
      for (const Sequence counter : question->counters) {
        Hash hash = **tablet.store->chain_hash(own.actor, counter);
        if (counter.value > common) hash.bytes[0] ^= 1;
        reply.hashes.push_back({own.actor, counter, hash});
      }
      REQUIRE(search.answer(reply));
    }
    REQUIRE(search.found().size() == 1);
    CHECK(search.found().front().last_common == Sequence{common});
  }
}

TEST_CASE("one copy confirms an exception, and the other must still hear it") {
  SyncWorld world(53);
  world.check = [](const model::Change& change) -> std::optional<wire::ChangeException> {
    if (change.edits.front().value != model::Value(std::string("bad"))) return std::nullopt;
    return wire::ChangeException{change.dot.actor, change.dot.counter,
                                 change.record,    wire::ExceptionKind::quarantined,
                                 "enum",           "note",
                                 "not a choice"};
  };
  Tablet& one = world.add_tablet("T01", "PPT");
  world.record_many(one, 1);
  world.sync(one);
  world.cut(one);
  const RecordId bad = world.record(one, {field("note", std::string("bad"))});
  const RecordId good = world.record(one, {field("note", std::string("good"))});
  const bool acknowledged = GENERATE(false, true);
  CAPTURE(acknowledged);
  if (acknowledged) sync_through(world, one);
  // Now there are two, and both have the change; one of them has all of it over again after a restore.
  Tablet& two = copy_of(world, one, "T01 again");
  sync_through(world, one);
  CHECK(one.view(bad).own.front().exception);
  sync_through(world, two);
  REQUIRE(two.view(bad).own.size() == 1);
  REQUIRE(two.view(bad).own.front().exception);
  CHECK(two.view(bad).own.front().exception->kind == wire::ExceptionKind::quarantined);
  CHECK_FALSE(two.view(bad).at_hub);
  CHECK(two.view(good).at_hub);
  // And of the ruling, both.
  const model::Dot dot = two.view(bad).own.front().change.dot;
  world.cut(two);
  REQUIRE(world.rule("PPT", dot.actor, dot.counter, storage::HubStore::Ruling::accept));
  world.settle();
  sync_through(world, two);
  heal_and_check(world);
  CHECK(one.view(bad).at_hub);
  CHECK(two.view(bad).at_hub);
  CHECK(two.store->counts()->exceptions == 0);
}

TEST_CASE("a context keeps what it covered on the part of the chain that stays") {
  SyncWorld world(54);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId a =
      world.record(tablet, {field("note", std::string("n1")), field("plate", std::string("p1"))});
  world.sync(tablet);
  Tablet& copy = copy_of(world, tablet, "T01 again");
  world.cut(tablet);
  REQUIRE(world.edit(copy, a, {field("note", std::string("n2"))}));
  REQUIRE(world.edit(copy, a, {field("plate", std::string("p2"))}));
  world.record_many(tablet, 2);
  sync_through(world, tablet);
  sync_through(world, copy);
  heal_and_check(world);
  // The second edit named only the copy's own lost dot, through which it had seen the first plate.
  const auto record = **world.reader("PPT").record(a);
  CHECK(model::conflicts(record).empty());
  CHECK(*model::shown(record, "plate") == model::Value(std::string("p2")));
}

TEST_CASE("a change written anew twice is still known by its first name") {
  SyncWorld world(55);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record(tablet, {field("note", std::string("x"))});
  const ActorId first = tablet.store->state().current()->actor;
  const Bytes frame = tablet.store->chain_page(first, Sequence{1}, SIZE_MAX, 1)->front().frame;
  for (int round = 0; round < 2; ++round) {
    const auto plan =
        sync::plan_restamp(*tablet.store, world.hub_id(), tablet.identity.device,
                           {{tablet.store->state().current()->actor, Sequence{}}}, world.random());
    REQUIRE(plan);
    REQUIRE(plan->changes.size() == 1);
    REQUIRE(plan->changes.front().change.change.origin);
    CHECK(plan->changes.front().change.change.origin->dot == model::Dot{first, Sequence{1}});
    CHECK(plan->changes.front().change.change.origin->hash == wire::change_hash(frame));
    REQUIRE(tablet.store->restamp(*plan));
  }
  CHECK(tablet.store->state().actors.size() == 3);
  CHECK(tablet.waiting() == 1);
  heal_and_check(world);
}
