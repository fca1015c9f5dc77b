// Histories in which a hub goes through two pasts: it is put back, goes on, gives out the same places in the feed and
// lets the same names be used once more, and later one of the two pasts is put back over the other.
#include <set>

#include "tests/sync/disks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

void everybody_syncs(SyncWorld& world) {
  for (int round = 0; round < 4; ++round) {
    for (Tablet& tablet : world.tablets()) {
      if (!tablet.link) world.connect(tablet);
    }
    world.settle();
  }
}

void everybody_leaves(SyncWorld& world) {
  for (Tablet& tablet : world.tablets()) world.cut(tablet);
}

/// What the hub lacks and tablets' copies have: joined. How many decisions that took.
std::size_t join_all(SyncWorld& world) {
  std::set<RecordId> lacking;
  for (const auto& one : *world.reader("PPT").staged(1'000)) {
    if (*world.reader("PPT").lacks(one.state)) lacking.insert(one.state.id);
  }
  for (const RecordId& id : lacking) REQUIRE(world.recover("PPT", id));
  return lacking.size();
}

model::Dot first_name(const model::Change& change) {
  return change.origin ? change.origin->dot : change.dot;
}

/// The changes of a record that set `note` to this.
std::vector<model::Change> saying(SyncWorld& world, const RecordId& id, const std::string& note) {
  std::vector<model::Change> found;
  for (const storage::LogEntry& entry : *world.reader("PPT").history(id)) {
    const model::Change change = *wire::decode_change(entry.actor, entry.frame);
    if (change.edits == std::vector<model::FieldValue>{field("note", note)})
      found.push_back(change);
  }
  return found;
}

std::vector<std::string> notes(const model::Record& record) {
  std::vector<std::string> values;
  for (const model::Sibling& sibling : model::siblings(record, "note"))
    values.push_back(std::get<std::string>(*sibling.value));
  std::sort(values.begin(), values.end());
  return values;
}

/// One name for two edits: a tablet's and its copy's. The hub takes the copy's, is put back while it runs, takes the
/// tablet's. A third tablet has seen the first past.
struct OneNameTwice {
  SyncWorld world{71};
  Tablet& one = world.add_tablet("T01", "PPT");
  Tablet& third = world.add_tablet("T02", "PPT");
  RecordId id = world.record(one, {field("note", std::string("first"))});
  Tablet* two = nullptr;

  OneNameTwice() {
    everybody_syncs(world);
    two = &copy_of(world, one, "T01 again");
    everybody_leaves(world);
    const auto snapshot = world.hub_disks();
    REQUIRE(world.edit(one, id, {field("note", std::string("by one"))}));
    REQUIRE(world.edit(*two, id, {field("note", std::string("by two"))}));
    world.sync(*two);
    world.sync(third);
    REQUIRE(notes(third.view(id).record) == std::vector<std::string>{"by two"});
    everybody_leaves(world);
    world.roll_back_hub(snapshot);
    world.sync(one);
    REQUIRE(saying(world, id, "by one").size() == 1);
    world.cut(one);
    world.doubt_hub();
  }
};

}  // namespace

TEST_CASE("an edit that came again under a new name is not put beside itself from a copy") {
  OneNameTwice at;
  at.world.sync(at.third);
  REQUIRE(at.world.reader("PPT").staged(10)->size() == 1);
  CHECK(*at.world.reader("PPT").lacks(at.world.reader("PPT").staged(1)->front().state));
  // Its tablet writes it anew, because its name is taken; the third tablet's copy has it under the old one.
  sync_through(at.world, *at.two);
  CHECK_FALSE(*at.world.reader("PPT").lacks(at.world.reader("PPT").staged(1)->front().state));
  // Joined all the same, as with other copies of the record that say more.
  REQUIRE(at.world.recover("PPT", at.id));
  everybody_syncs(at.world);
  heal_and_check(at.world);
  const auto found = saying(at.world, at.id, "by two");
  REQUIRE(found.size() == 1);
  CHECK(found.front().origin);
  CHECK(notes(at.third.view(at.id).record) == std::vector<std::string>{"by one", "by two"});
}

TEST_CASE("an edit that was put beside from a copy has the first name of the change that said so") {
  OneNameTwice at;
  const model::Dot name = first_name(saying(at.world, at.id, "by one").front());
  at.world.sync(at.third);
  REQUIRE(join_all(at.world) == 1);
  REQUIRE(saying(at.world, at.id, "by two").size() == 1);
  CHECK(first_name(saying(at.world, at.id, "by two").front()) == name);
  // A second copy says nothing new, and the signed change comes as the same edit.
  Tablet& fourth = copy_of(at.world, at.third, "T02 again");
  everybody_syncs(at.world);
  CHECK(join_all(at.world) == 0);
  everybody_syncs(at.world);
  CHECK(fourth.in_sync());
  heal_and_check(at.world);
  const auto found = saying(at.world, at.id, "by two");
  CHECK(found.size() == 2);
  for (const model::Change& change : found) CHECK(first_name(change) == name);
}

TEST_CASE("a backup of a past that was rolled away knows the cursors of the other one") {
  SyncWorld world(72);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  Tablet& witness = world.add_tablet("T03", "PPT");
  world.record_many(author, 2);
  everybody_syncs(world);
  everybody_leaves(world);
  const auto snapshot = world.hub_disks();
  // The past that is rolled away, and its backup.
  const auto first = world.record_many(author, 3);
  world.sync(author);
  everybody_leaves(world);
  const auto backup = world.hub_disks();
  // The same start gives out the same places once more.
  world.roll_back_hub(snapshot);
  const auto second = world.record_many(other, 3);
  world.sync(other);
  world.sync(witness);
  for (const RecordId& id : second) REQUIRE(witness.store->load(id)->has_value());
  everybody_leaves(world);
  const bool noticed = GENERATE(false, true);
  CAPTURE(noticed);
  if (noticed) world.doubt_hub();
  // Whoever made the second past's records is gone; only the witness has them.
  other.gone = true;
  world.put_back_hub(backup);
  everybody_syncs(world);
  CHECK(world.reader("PPT").staged(10)->size() == 3);
  CHECK(join_all(world) == 3);
  everybody_syncs(world);
  heal_and_check(world);
  for (const auto& ids : {first, second}) {
    for (const RecordId& id : ids) CHECK(witness.store->load(id)->has_value());
  }
}

TEST_CASE(
    "a tablet of a past that was rolled away is noticed when the other one has overtaken it") {
  SyncWorld world(73);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& other = world.add_tablet("T02", "PPT");
  Tablet& witness = world.add_tablet("T03", "PPT");
  world.record_many(author, 2);
  everybody_syncs(world);
  everybody_leaves(world);
  const auto snapshot = world.hub_disks();
  const auto lost = world.record_many(author, 2);
  world.sync(author);
  world.sync(witness);
  everybody_leaves(world);
  author.gone = true;
  world.roll_back_hub(snapshot);
  world.record_many(other, 5);
  world.sync(other);
  CHECK(world.rollbacks_noticed() == 0);
  everybody_syncs(world);
  CHECK(world.rollbacks_noticed() == 1);
  CHECK(join_all(world) == lost.size());
  everybody_syncs(world);
  heal_and_check(world);
  CHECK(world.reader("PPT").counts()->records == 9);
}

TEST_CASE("a snapshot that is put back brings nobody anew what both pasts gave out") {
  SyncWorld world(74);
  Tablet& author = world.add_tablet("T01", "PPT");
  Tablet& witness = world.add_tablet("T02", "PPT");
  world.record_many(author, 20);
  everybody_syncs(world);
  everybody_leaves(world);
  const auto snapshot = world.hub_disks();
  world.record_many(author, 1);
  world.sync(author);
  everybody_leaves(world);
  const bool doubted = GENERATE(false, true);
  CAPTURE(doubted);
  if (doubted) {
    world.roll_back_hub(snapshot);
    world.doubt_hub();
  } else {
    world.put_back_hub(snapshot);
  }
  world.sync(witness);
  CHECK(witness.in_sync());
  CHECK(witness.link->sent_down.states == 0);
  CHECK(witness.link->sent_down.messages["recover"] == 0);
  everybody_syncs(world);
  heal_and_check(world);
}

TEST_CASE("a change whose chain went on otherwise in a past that is given up comes in beside") {
  using Recovery = storage::HubStore::Recovery;
  std::size_t beside = 0;
  for (std::uint64_t seed = 75; seed < 83; ++seed) {
    CAPTURE(seed);
    SyncWorld world(seed);
    Tablet& one = world.add_tablet("T01", "PPT");
    Tablet& writer = world.add_tablet("T02", "PPT");
    Tablet& third = world.add_tablet("T03", "PPT");
    const RecordId shared = world.record(writer, {field("note", std::string("first"))});
    const RecordId other = world.record(one, {field("note", std::string("other"))});
    everybody_syncs(world);
    // Something that the hub lost and tablets' copies have.
    const auto backup = world.hub_disks();
    REQUIRE(world.edit(writer, shared, {field("plate", std::string("2A-1"))}));
    everybody_syncs(world);
    everybody_leaves(world);
    writer.gone = true;
    world.put_back_hub(backup);
    everybody_syncs(world);
    everybody_leaves(world);
    const auto snapshot = world.hub_disks();
    Tablet& two = copy_of(world, one, "T01 again");
    const auto& chain = *one.store->state().current();
    // In the first past it is joined, the copy's next change is of that record, and a third tablet builds on it.
    REQUIRE(world.recover("PPT", shared, Recovery::join));
    REQUIRE(world.edit(two, shared, {field("note", std::string("by two"))}));
    world.sync(two);
    world.sync(third);
    everybody_leaves(world);
    REQUIRE(world.edit(third, shared, {field("colour", std::string("red"))}));
    two.gone = true;
    // In the second the chain's next change is of another record. The one after it waits for what was lost.
    world.roll_back_hub(snapshot);
    REQUIRE(world.edit(one, other, {field("note", std::string("again"))}));
    REQUIRE(world.edit(one, shared, {field("note", std::string("by one"))}));
    const model::Dot name{chain.actor, chain.head};
    world.sync(one);
    everybody_leaves(world);
    REQUIRE(world.reader("PPT").held(10)->size() == 1);
    world.doubt_hub();
    everybody_syncs(world);
    REQUIRE(world.reader("PPT").held(10)->size() == 2);
    REQUIRE(world.recover("PPT", shared, Recovery::refuse));
    REQUIRE(world.recover("PPT", shared, Recovery::release));
    everybody_syncs(world);
    heal_and_check(world);
    CHECK(world.reader("PPT").held(10)->empty());
    const auto said = saying(world, shared, "by one");
    for (const model::Change& change : said) CHECK(first_name(change) == name);
    // Merged it replaces what its author had seen; put beside it replaces nothing.
    std::vector<std::string> expected = {"by one"};
    if (said.size() > 1) expected.emplace_back("first");
    CHECK(notes(one.view(shared).record) == expected);
    beside += said.size() - 1;
    REQUIRE(world.edit(one, shared, {field("note", std::string("settled"))}));
    everybody_syncs(world);
    heal_and_check(world);
    CHECK(notes(third.view(shared).record) == std::vector<std::string>{"settled"});
  }
  // The order of the chains' names decides which of the two is looked at first.
  CHECK(beside > 0);
}
