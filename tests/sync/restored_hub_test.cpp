// A hub that was put back to an older state: tablets send again what it lost, and what only other tablets'
// copies still hold comes back when an operator says so.
#include <set>

#include "base/limits.h"
#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

using Recovery = storage::HubStore::Recovery;

/// Connects everybody until nothing moves any more.
void everybody_syncs(SyncWorld& world) {
  for (int round = 0; round < 4; ++round) {
    for (Tablet& tablet : world.tablets()) {
      if (!tablet.link) world.connect(tablet);
    }
    world.settle();
  }
}

std::vector<storage::StagedState> staged(SyncWorld& world) {
  return *world.reader("PPT").staged(1'000);
}

std::string shown_text(const model::Record& record, const std::string& path) {
  const model::Value* value = model::shown(record, path);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  return text == nullptr ? "" : *text;
}

/// The different values of a field, in no order.
std::set<std::string> values_of(const model::Record& record, const std::string& path) {
  std::set<std::string> values;
  for (const model::Sibling& sibling : model::siblings(record, path))
    values.insert(std::get<std::string>(*sibling.value));
  return values;
}

/// A tablet that will never come again.
void destroy(SyncWorld& world, Tablet& tablet) {
  world.cut(tablet);
  tablet.gone = true;
}

}  // namespace

TEST_CASE("a hub that stopped cleanly goes on in its epoch, and nobody writes anything anew") {
  SyncWorld world(60);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.record_many(tablet, 3);
  world.sync(tablet);
  const Epoch before = world.store("PPT").identity().epoch;
  const ActorId actor = tablet.store->state().current()->actor;
  const bool clean = GENERATE(true, false);
  world.restart_hub(clean);
  CHECK((world.store("PPT").identity().epoch == before) == clean);
  world.record_many(tablet, 2);
  world.sync(tablet);
  CHECK(tablet.in_sync());
  CHECK((tablet.store->state().current()->actor == actor) == clean);
  // Nothing was lost, so nothing is delivered again: the positions of the start before still count.
  CHECK(tablet.last_link->sent_down.states == 0);
  CHECK(tablet.last_link->sent_down.messages["recover"] == 0);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 5);
}

TEST_CASE(
    "everything acknowledged, nothing pending, and the hub is restored: the tablet sends it "
    "again") {
  SyncWorld world(61);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  const auto kept = world.record_many(tablet, 3);
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  const auto lost = world.record_many(tablet, 4);
  REQUIRE(world.edit(tablet, kept[0], {field("note", std::string("after the backup"))}));
  everybody_syncs(world);
  const auto dots = tablet.view(lost[0]).record.vv;
  world.put_back_hub(backup);
  CHECK(changes_at_hub(world, "PPT") == 3);
  // It does not know yet; but from the hub's first word on it must not claim more than is true.
  greet(world, tablet);
  move_down_through(world, tablet, "welcome");
  CHECK(tablet.waiting() == 5);
  for (const RecordId& id : lost) CHECK_FALSE(tablet.view(id).at_hub);
  CHECK_FALSE(tablet.view(kept[0]).at_hub);
  CHECK(tablet.view(kept[1]).at_hub);
  world.settle();
  everybody_syncs(world);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == 8);
  // The same changes under the same names: what other tablets were told fits.
  CHECK(tablet.view(lost[0]).record.vv == dots);
  CHECK(other.view(kept[0]).record == **world.reader("PPT").record(kept[0]));
  CHECK(world.reader("PPT").conflicts(RecordId{}, 10)->empty());
  // The other tablet offered what the hub lacked then; by now the author's own word has come.
  for (const auto& one : staged(world)) CHECK_FALSE(*world.reader("PPT").lacks(one.state));
}

TEST_CASE("a hub that loses power every day of a year: more chains than a hello can name") {
  SyncWorld world(59);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  const RecordId id = world.record(tablet, {field("note", std::string("day 0"))});
  world.sync(tablet);
  const std::size_t days = limits::kHelloActorsMax + 20;
  for (std::size_t day = 1; day <= days; ++day) {
    world.restart_hub();
    REQUIRE(world.edit(tablet, id, {field("note", "day " + std::to_string(day))}));
    world.sync(tablet);
    REQUIRE(tablet.in_sync());
  }
  CHECK(tablet.store->state().actors.size() > limits::kHelloActorsMax);
  heal_and_check(world);
  CHECK(changes_at_hub(world, "PPT") == days + 1);
  CHECK(shown_text(**world.reader("PPT").record(id), "note") == "day " + std::to_string(days));
}

TEST_CASE("the same backup restored twice, and an older one after a newer one") {
  SyncWorld world(62);
  Tablet& tablet = world.add_tablet("T01", "PPT");
  world.add_tablet("T02", "PPT");
  world.record_many(tablet, 2);
  everybody_syncs(world);
  const auto older = world.hub_disks();
  world.record_many(tablet, 2);
  everybody_syncs(world);
  const auto newer = world.hub_disks();
  world.record_many(tablet, 2);
  everybody_syncs(world);
  std::set<Epoch> epochs;
  for (const auto& disks : {newer, newer, older, newer, older}) {
    world.put_back_hub(disks);
    CHECK(epochs.insert(world.store("PPT").identity().epoch).second);
    world.record_many(tablet, 1);
    everybody_syncs(world);
    heal_and_check(world);
  }
  CHECK(changes_at_hub(world, "PPT") == 11);
}

TEST_CASE(
    "a hub restored between two clones' pushes, with a third tablet having seen one of them") {
  SyncWorld world(63);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& third = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(one, {field("note", std::string("first"))});
  everybody_syncs(world);
  Tablet& two = copy_of(world, one, "T01 again");
  const auto backup = world.hub_disks();
  // Both hold the same next counter, with different words.
  REQUIRE(world.edit(one, id, {field("note", std::string("by one"))}));
  REQUIRE(world.edit(two, id, {field("note", std::string("by two"))}));
  world.sync(one);
  world.sync(third);
  REQUIRE(shown_text(third.view(id).record, "note") == "by one");
  world.put_back_hub(backup);
  const bool one_first = GENERATE(true, false);
  CAPTURE(one_first);
  sync_through(world, one_first ? one : two);
  sync_through(world, one_first ? two : one);
  everybody_syncs(world);
  heal_and_check(world);
  // Two people wrote without knowing of each other: nobody's word is gone, on any side.
  const std::set<std::string> both = {"by one", "by two"};
  CHECK(values_of(**world.reader("PPT").record(id), "note") == both);
  CHECK(values_of(third.view(id).record, "note") == both);
}

TEST_CASE(
    "what only a destroyed tablet had sent comes back from another's copy, when somebody says so") {
  SyncWorld world(64);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  const RecordId known = world.record(author, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  // An actor that the restored hub has never met, and an edit of a record that it knows.
  Tablet& stranger = world.add_tablet("T03", "PPT");
  const RecordId created = world.record(stranger, {field("note", std::string("by a stranger"))});
  everybody_syncs(world);
  REQUIRE(world.edit(author, known, {field("note", std::string("second"))}));
  everybody_syncs(world);
  destroy(world, stranger);
  destroy(world, author);
  world.put_back_hub(backup);
  everybody_syncs(world);
  CHECK(witness.in_sync());
  CHECK_FALSE(*world.reader("PPT").record(created));
  REQUIRE(staged(world).size() == 2);
  CHECK(world.reader("PPT").counts()->staged == 2);
  // The screen of the tablet that has them says that the hub has not.
  CHECK_FALSE(witness.view(created).at_hub);
  CHECK(witness.view(created).lost_at_hub);
  CHECK(shown_text(witness.view(created).record, "note") == "by a stranger");
  SECTION("joined") {
    REQUIRE(world.recover("PPT", created));
    REQUIRE(world.recover("PPT", known));
    everybody_syncs(world);
    CHECK(staged(world).empty());
    CHECK(shown_text(**world.reader("PPT").record(created), "note") == "by a stranger");
    CHECK(shown_text(**world.reader("PPT").record(known), "note") == "second");
    CHECK(witness.view(created).at_hub);
    CHECK_FALSE(witness.view(created).lost_at_hub);
    const auto decided = *world.reader("PPT").recovered(created);
    REQUIRE(decided.size() == 1);
    CHECK(decided[0].device == witness.identity.device);
    CHECK(decided[0].author == "operator");
    heal_and_check(world);
    // It goes on from there as from any other state.
    REQUIRE(world.edit(witness, created, {field("note", std::string("third"))}));
    heal_and_check(world);
    CHECK(shown_text(**world.reader("PPT").record(created), "note") == "third");
  }
  SECTION("refused, it is kept aside, and the tablet keeps saying so") {
    REQUIRE(world.recover("PPT", created, Recovery::refuse));
    everybody_syncs(world);
    CHECK_FALSE(*world.reader("PPT").record(created));
    CHECK(world.reader("PPT").recovered(created)->front().kind ==
          storage::RecoveredEntry::Kind::refused);
    CHECK(witness.view(created).lost_at_hub);
    CHECK(world.verify_hub());
  }
  SECTION("an edit on top of it waits until then") {
    REQUIRE(world.edit(witness, created, {field("note", std::string("on top"))}));
    everybody_syncs(world);
    REQUIRE(world.reader("PPT").held(10)->size() == 1);
    REQUIRE(world.recover("PPT", created));
    everybody_syncs(world);
    CHECK(world.reader("PPT").held(10)->empty());
    CHECK(shown_text(**world.reader("PPT").record(created), "note") == "on top");
    REQUIRE(world.recover("PPT", known));
    heal_and_check(world);
  }
}

TEST_CASE("recovery interrupted, at any message: what the tablet holds is asked for again") {
  for (std::size_t cut_after = 0; cut_after < 12; ++cut_after) {
    CAPTURE(cut_after);
    SyncWorld world(65);
    Tablet& author = world.add_tablet("T01", "PPT");
    Tablet& witness = world.add_tablet("T02", "PPT");
    world.record_many(author, 2);
    everybody_syncs(world);
    const auto backup = world.hub_disks();
    const auto lost = world.record_many(author, 3);
    everybody_syncs(world);
    destroy(world, author);
    world.put_back_hub(backup);
    world.connect(witness);
    // One thing at a time, until the cut; the hub's commits in between.
    std::size_t moved = 0;
    for (bool more = true; more && moved < cut_after;) {
      more = world.move_down(witness) || world.move_up(witness) || world.write(true);
      hear_all(world);
      moved += more ? 1 : 0;
    }
    const bool hub_too = GENERATE(false, true);
    if (hub_too) world.restart_hub();
    world.cut(witness);
    everybody_syncs(world);
    CHECK(witness.in_sync());
    CHECK(staged(world).size() == 3);
    for (const RecordId& id : lost) {
      CHECK_FALSE(witness.view(id).at_hub);
      REQUIRE(world.recover("PPT", id));
    }
    everybody_syncs(world);
    heal_and_check(world);
    CHECK(world.reader("PPT").counts()->records == 5);
  }
}

TEST_CASE("a virtual machine's snapshot rolls the hub back while two clones are out") {
  SyncWorld world(66);
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& third = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(one, {field("note", std::string("first"))});
  everybody_syncs(world);
  Tablet& two = copy_of(world, one, "T01 again");
  world.cut(one);
  world.cut(third);
  const auto snapshot = world.hub_disks();
  REQUIRE(world.edit(one, id, {field("note", std::string("by one"))}));
  REQUIRE(world.edit(two, id, {field("note", std::string("by two"))}));
  world.sync(one);
  world.sync(third);
  REQUIRE(shown_text(third.view(id).record, "note") == "by one");
  const Epoch before = world.store("PPT").identity().epoch;
  world.roll_back_hub(snapshot);
  CHECK(world.store("PPT").identity().epoch == before);
  const bool one_is_lost = GENERATE(false, true);
  const bool two_first = GENERATE(false, true);
  CAPTURE(one_is_lost, two_first);
  // Nobody has noticed when the second clone comes: its words go in under the name that the first one's had,
  // and at the place in the feed. Then only the clock shows it; else the third tablet's cursor does.
  if (two_first) {
    sync_through(world, two);
    world.doubt_hub();
  }
  if (one_is_lost) destroy(world, one);
  everybody_syncs(world);
  CHECK(world.rollbacks_noticed() > 0);
  CHECK(world.store("PPT").identity().epoch != before);
  everybody_syncs(world);
  for (const auto& state : staged(world)) {
    if (*world.reader("PPT").lacks(state.state)) REQUIRE(world.recover("PPT", state.state.id));
  }
  everybody_syncs(world);
  heal_and_check(world);
  const std::set<std::string> both = {"by one", "by two"};
  CHECK(values_of(**world.reader("PPT").record(id), "note") == both);
  CHECK(values_of(third.view(id).record, "note") == both);
}

TEST_CASE(
    "a signed change that comes after its recovery is kept, and told apart if it says otherwise") {
  SyncWorld world(67);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  world.record_many(author, 1);
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  Tablet& clone = copy_of(world, author, "T01 again");
  world.cut(clone);
  const RecordId id = world.record(author, {field("note", std::string("as written"))});
  everybody_syncs(world);
  world.cut(author);
  world.put_back_hub(backup);
  world.sync(witness);
  REQUIRE(world.recover("PPT", id));
  everybody_syncs(world);
  heal_and_check(world);
  CHECK(world.reader("PPT").quarantine(10)->empty());
  CHECK(world.reader("PPT").history(id)->size() == 1);
  CHECK(author.view(id).at_hub);
}

TEST_CASE("a state with a change that this hub set aside is not joined before that is settled") {
  SyncWorld world(68);
  world.check = [](const model::Change& change) -> std::optional<wire::ChangeException> {
    const bool bad = std::any_of(change.edits.begin(), change.edits.end(), [](const auto& edit) {
      return edit.value == model::Value(std::string("bad"));
    });
    if (!bad) return std::nullopt;
    return wire::ChangeException{change.dot.actor, change.dot.counter,
                                 change.record,    wire::ExceptionKind::quarantined,
                                 "enum",           "plate",
                                 "not a plate"};
  };
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(author, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  REQUIRE(world.edit(author, id, {field("plate", std::string("bad"))}));
  everybody_syncs(world);
  const auto entry = world.reader("PPT").quarantine(1)->front().exception;
  REQUIRE(world.rule("PPT", entry.actor, entry.counter, storage::HubStore::Ruling::accept));
  everybody_syncs(world);
  REQUIRE(shown_text(witness.view(id).record, "plate") == "bad");
  // The ruling is lost with the rest.
  world.put_back_hub(backup);
  everybody_syncs(world);
  REQUIRE(world.reader("PPT").quarantine(10)->size() == 1);
  REQUIRE_FALSE(staged(world).empty());
  const Status early = world.recover("PPT", id);
  REQUIRE_FALSE(early);
  CHECK(early.error().is(Errc::conflict));
  REQUIRE(world.rule("PPT", entry.actor, entry.counter, storage::HubStore::Ruling::accept));
  everybody_syncs(world);
  for (const auto& one : staged(world)) CHECK_FALSE(*world.reader("PPT").lacks(one.state));
  heal_and_check(world);
}

TEST_CASE("what is given up takes nothing along that stands of the same writer") {
  SyncWorld world(70);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(author, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  REQUIRE(world.edit(author, id, {field("plate", std::string("2A-1"))}));
  everybody_syncs(world);
  world.cut(author);
  REQUIRE(world.edit(witness, id, {field("colour", std::string("red"))}));
  destroy(world, author);
  world.put_back_hub(backup);
  everybody_syncs(world);
  REQUIRE(world.recover("PPT", id, Recovery::refuse));
  REQUIRE(world.recover("PPT", id, Recovery::release));
  everybody_syncs(world);
  heal_and_check(world);
  for (const model::Record& record : {**world.reader("PPT").record(id), witness.view(id).record}) {
    CHECK(shown_text(record, "note") == "first");
    CHECK(shown_text(record, "colour") == "red");
    CHECK(shown_text(record, "plate").empty());
  }
}

TEST_CASE("predecessors lost for good: what waits for them is released, and marked") {
  SyncWorld world(69);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  const RecordId id = world.record(author, {field("note", std::string("first"))});
  everybody_syncs(world);
  const auto backup = world.hub_disks();
  REQUIRE(world.edit(author, id, {field("plate", std::string("2A-1"))}));
  everybody_syncs(world);
  world.cut(author);
  REQUIRE(world.edit(witness, id, {field("note", std::string("rests on it"))}));
  destroy(world, author);
  world.put_back_hub(backup);
  everybody_syncs(world);
  REQUIRE(world.reader("PPT").held(10)->size() == 1);
  REQUIRE(world.recover("PPT", id, Recovery::refuse));
  REQUIRE(world.recover("PPT", id, Recovery::release));
  everybody_syncs(world);
  CHECK(world.reader("PPT").held(10)->empty());
  const model::Record record = **world.reader("PPT").record(id);
  CHECK(shown_text(record, "note") == "rests on it");
  CHECK(shown_text(record, "plate").empty());
  CHECK(world.verify_hub());
  CHECK(world.recover("PPT", id, Recovery::release).error().is(Errc::not_found));
}
