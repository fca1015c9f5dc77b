// Two tablets of one checkpoint: disjoint edits merge, equal fields conflict, nobody is told what they know.
#include "base/limits.h"
#include "tests/sync/checks.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

struct Pair {
  SyncWorld world;
  Tablet& one;
  Tablet& two;
  explicit Pair(std::uint64_t seed)
      : world(seed), one(world.add_tablet("T01", "PPT")), two(world.add_tablet("T02", "PPT")) {}
};

std::string shown_text(const model::Record& record, std::string_view path) {
  const model::Value* value = model::shown(record, path);
  return value != nullptr && std::holds_alternative<std::string>(*value)
             ? std::get<std::string>(*value)
             : "";
}

}  // namespace

TEST_CASE("a record reaches the other connected tablet at once") {
  Pair p(20);
  p.world.sync(p.one);
  p.world.sync(p.two);
  const RecordId id = p.world.record(p.one, {field("direction", std::string("in"))});
  p.world.settle();
  CHECK(shown_text(p.two.view(id).record, "direction") == "in");
  CHECK(p.two.link->sent_down.states == 1);
  CHECK(p.one.link->sent_down.states == 0);
  CHECK(p.one.in_sync());
  CHECK(p.two.in_sync());
  heal_and_check(p.world);
}

TEST_CASE("different fields merge; who pushed into a merge of others is told the result") {
  Pair p(21);
  const RecordId id = p.world.record(p.one, {field("direction", std::string("in"))});
  p.world.sync(p.one);
  p.world.sync(p.two);
  const bool same_commit = GENERATE(true, false);
  CHECK(p.world.edit(p.one, id, {field("note", std::string("one"))}));
  CHECK(p.world.edit(p.two, id, {field("plate", std::string("2AB-1234"))}));
  const std::size_t before = p.one.link->sent_down.states;
  p.world.settle(same_commit);
  CHECK(p.one.link->sent_down.states > before);
  for (Tablet* tablet : {&p.one, &p.two}) {
    const auto view = tablet->view(id);
    CHECK(shown_text(view.record, "note") == "one");
    CHECK(shown_text(view.record, "plate") == "2AB-1234");
    CHECK(model::conflicts(view.record).empty());
  }
  heal_and_check(p.world);
}

TEST_CASE("an edit of a record that the tablet had from the hub is not sent back") {
  Pair p(22);
  const RecordId id = p.world.record(p.one, {field("direction", std::string("in"))});
  p.world.sync(p.one);
  p.world.sync(p.two);
  const std::size_t before = p.two.link->sent_down.states;
  CHECK(p.world.edit(p.two, id, {field("note", std::string("two"))}));
  p.world.settle();
  CHECK(p.world.edit(p.two, id, {field("note", std::string("three"))}));
  p.world.settle();
  CHECK(p.two.link->sent_down.states == before);
  CHECK(p.one.link->sent_down.states == 2);
  heal_and_check(p.world);
}

TEST_CASE("the same field twice: both values everywhere, settled once, converged") {
  Pair p(23);
  const RecordId id = p.world.record(p.one, {field("direction", std::string("in"))});
  p.world.sync(p.one);
  p.world.sync(p.two);
  p.world.cut(p.one);
  p.world.cut(p.two);
  CHECK(p.world.edit(p.one, id, {field("direction", std::string("out"))}));
  CHECK(p.world.edit(p.two, id, {field("direction", std::string("transit"))}));
  heal_and_check(p.world);
  CHECK(p.world.reader("PPT").conflicts(RecordId{}, 10)->size() == 1);
  for (Tablet* tablet : {&p.one, &p.two}) {
    CHECK(model::siblings(tablet->view(id).record, "direction").size() == 2);
    CHECK(model::conflicts(tablet->view(id).record) == std::vector<std::string>{"direction"});
    CHECK(tablet->view(id).at_hub);
  }
  CHECK(p.world.resolve("PPT", id, {field("direction", std::string("out"))}));
  p.world.settle();
  CHECK(p.world.reader("PPT").conflicts(RecordId{}, 10)->empty());
  for (Tablet* tablet : {&p.one, &p.two}) {
    CHECK(model::conflicts(tablet->view(id).record).empty());
    CHECK(shown_text(tablet->view(id).record, "direction") == "out");
  }
  heal_and_check(p.world);
}

TEST_CASE("a form opened long ago says so, and keeps what it did not see as a sibling") {
  Pair p(24);
  const RecordId id = p.world.record(p.one, {field("note", std::string("first"))});
  p.world.sync(p.one);
  p.world.sync(p.two);
  const model::VersionVector opened = p.one.view(id).record.vv;
  CHECK(p.world.edit(p.two, id, {field("note", std::string("second"))}));
  p.world.settle();
  CHECK(p.world.edit(p.one, id, {field("note", std::string("from the old form"))}, opened));
  p.world.settle();
  CHECK(model::siblings(p.two.view(id).record, "note").size() == 2);
  heal_and_check(p.world);
}

TEST_CASE("a record larger than a frame comes in chunks") {
  Pair p(25);
  const RecordId id = p.world.record(p.one, {field("note", std::string("large"))});
  const RandomSource random = p.world.random();
  for (int i = 0; i < 30; ++i) {
    Bytes noise(6'000);
    random(noise);
    CHECK(p.world.edit(p.one, id, {field("items/i" + std::to_string(i) + "/note", to_hex(noise))}));
  }
  p.world.record_many(p.one, 10);
  p.world.sync(p.one);
  const auto state = wire::encode_record(*p.world.reader("PPT").record(id).value());
  CHECK(state->size() > 256 * 1024);
  greet(p.world, p.two);
  move_down_through(p.world, p.two, "state_chunk");
  p.world.cut(p.two);  // in the middle of it
  p.world.sync(p.two);
  CHECK(p.two.link->sent_down.messages["state_chunk"] >= 3);
  CHECK(p.two.view(id).record.groups.size() == 31);
  heal_and_check(p.world);
}

TEST_CASE("health and enforcement never see each other's records") {
  SyncWorld world(26);
  Tablet& checkpoint = world.add_tablet("T01", "PPT");
  Tablet& rehab = world.add_tablet("R01", "REHAB1", "health");
  const RecordId stop = world.record(checkpoint, {field("direction", std::string("in"))});
  const RecordId visit = world.record(rehab, {field("state", std::string("final"))});
  world.sync(checkpoint);
  world.sync(rehab);
  CHECK_FALSE(checkpoint.store->load(visit)->has_value());
  CHECK_FALSE(rehab.store->load(stop)->has_value());
  CHECK_FALSE(world.reader("PPT").record(visit)->has_value());
  CHECK_FALSE(world.reader("REHAB1").record(stop)->has_value());
  CHECK(checkpoint.store->state().compartment == "enforcement");
  CHECK(rehab.store->state().compartment == "health");
  heal_and_check(world);
}

TEST_CASE("tablets of other units are not told") {
  SyncWorld world(27);
  Tablet& here = world.add_tablet("T01", "PPT");
  Tablet& there = world.add_tablet("T02", "BTB");
  world.sync(here);
  world.sync(there);
  const RecordId id = world.record(here, {field("direction", std::string("in"))});
  world.settle();
  CHECK_FALSE(there.store->load(id)->has_value());
  CHECK(there.in_sync());
  heal_and_check(world);
}
