// The clauses of shared/storage/agent_store.h, over every engine.
#include "tests/storage/tablet_store.h"

using namespace fieldpost;
using namespace fieldpost::test;

TEST_CASE("agent store: what was appended is there after reopening, waiting, in chain order") {
  TabletStore tablet(any_engine());
  Draft draft{TabletStore::record(1), "stop", Instant{5}, Bytes{'{', '}'}};
  REQUIRE(tablet.store->put_draft(draft));
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3}), 17, {draft.id}));
  REQUIRE(tablet.store->append(tablet.batch({1}), 0, {}));
  tablet.reopen();
  const AgentState& state = tablet.store->state();
  CHECK(state.waiting == 4);
  CHECK(state.ref_counter == 17);
  CHECK(state.current()->head == Sequence{4});
  CHECK(tablet.store->drafts()->empty());
  CHECK(tablet.store->counts()->records == 3);
  const auto view = **tablet.store->load(TabletStore::record(1));
  CHECK_FALSE(view.at_hub);
  REQUIRE(view.own.size() == 2);
  CHECK(view.own[1].change.prev == Sequence{1});
  CHECK(view.own[1].applied);
  const auto page = tablet.store->chain_page(kOwnActor, Sequence{2}, 1 << 20, 2);
  REQUIRE(page->size() == 2);
  CHECK((*page)[0].counter == Sequence{2});
  CHECK(tablet.store->chain_page(kOwnActor, Sequence{1}, 1, 100)->size() == 1);
  CHECK(*tablet.store->chain_hash(kOwnActor, Sequence{4}) == state.current()->hash);
  CHECK_FALSE(tablet.store->chain_hash(kOwnActor, Sequence{5})->has_value());
  tablet.verify();
}

TEST_CASE(
    "agent store: a change that does not follow the head is refused, and the whole batch with it") {
  TabletStore tablet(any_engine());
  auto changes = tablet.batch({1, 2, 3});
  changes.erase(changes.begin() + 1);
  const Status refused = tablet.store->append(changes, 9, {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().is(Errc::conflict));
  CHECK(tablet.store->state().waiting == 0);
  CHECK(tablet.store->state().ref_counter == 0);
  CHECK_FALSE(tablet.store->load(TabletStore::record(1))->has_value());
  CHECK(tablet.store->ids_after(RecordId{}, 10)->empty());
  CHECK(tablet.store->add_actor(kOwnActor, Hash{}).error().is(Errc::already_exists));
}

TEST_CASE("agent store: acknowledged is what the hub has, with its exceptions, for good") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2}), 0, {}));
  const wire::ChangeException exception{
      kOwnActor, Sequence{2}, TabletStore::record(2), wire::ExceptionKind::quarantined, "enum",
      "note",    "not known"};
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{2}, {exception}));
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{1}, {}));  // an older one changes nothing
  tablet.reopen();
  CHECK(tablet.store->state().waiting == 0);
  CHECK((*tablet.store->load(TabletStore::record(1)))->at_hub);
  const auto bad = **tablet.store->load(TabletStore::record(2));
  CHECK_FALSE(bad.at_hub);
  CHECK(bad.own[0].exception == exception);
  CHECK(tablet.store->exceptions()->size() == 1);
  // The hub merged it after all: a delivery that covers it clears the exception.
  REQUIRE(tablet.store->integrate("PPT", Bytes{1}, {tablet.state(2, {bad.own[0].change})}));
  CHECK(tablet.store->exceptions()->empty());
  CHECK((*tablet.store->load(TabletStore::record(2)))->at_hub);
  CHECK((*tablet.store->load(TabletStore::record(2)))->own.empty());
  CHECK(tablet.store->counts()->records == 2);
  tablet.verify();
}

TEST_CASE("agent store: a refused change is listed, and is not part of the record") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1}), 0, {}));
  REQUIRE(tablet.store->acknowledge(
      kOwnActor, Sequence{1},
      {{kOwnActor, Sequence{1}, TabletStore::record(1), wire::ExceptionKind::unauthorised,
        "not_granted", "", "may not"}}));
  const auto view = **tablet.store->load(TabletStore::record(1));
  REQUIRE(view.own.size() == 1);
  CHECK_FALSE(view.own[0].applied);
  CHECK(view.record.vv.empty());
  CHECK_FALSE(view.at_hub);
  tablet.verify();
}

TEST_CASE("agent store: states and the cursor that covers them come together; twice is once") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1}), 0, {}));
  const std::vector<model::Record> states = {tablet.state(1), tablet.state(2)};
  REQUIRE(tablet.store->integrate("PPT", Bytes{1, 2}, states));
  const Hash digest = *tablet.store->digest("PPT");
  REQUIRE(tablet.store->integrate("PPT", Bytes{1, 2}, states));
  REQUIRE(tablet.store->integrate("BTB", Bytes{9}, {}));
  tablet.reopen();
  CHECK(*tablet.store->digest("PPT") == digest);
  REQUIRE(tablet.store->state().cursors.size() == 2);
  CHECK(tablet.store->state().cursors[0].unit == "BTB");
  CHECK(tablet.store->state().cursors[1].cursor == Bytes{1, 2});
  CHECK(tablet.store->counts()->records == 2);
  CHECK(*tablet.store->ids_after(RecordId{}, 10) ==
        std::vector<RecordId>{TabletStore::record(1), TabletStore::record(2)});
  CHECK(*tablet.store->ids_after(TabletStore::record(1), 10) ==
        std::vector<RecordId>{TabletStore::record(2)});
  const auto view = **tablet.store->load(TabletStore::record(1));
  CHECK(view.own.size() == 1);  // still waiting, on top of the base
  CHECK(model::shown(view.record, "plate") != nullptr);
  CHECK(model::shown(view.record, "note") != nullptr);
  tablet.verify();
}

TEST_CASE("agent store: a failed commit leaves all or nothing, and the retry is safe") {
  const auto fate = GENERATE(CommitFate::fail_before, CommitFate::fail_after, CommitFate::full);
  TabletStore tablet(Engine::memory);
  REQUIRE(tablet.store->append(tablet.batch({1}), 1, {}));
  const model::Change own = (*tablet.store->load(TabletStore::record(1)))->own[0].change;
  const auto changes = tablet.batch({2, 3});
  const std::vector<model::Record> states = {tablet.state(1, {own}), tablet.state(4)};
  std::function<Status()> verb;
  SECTION("append") {
    verb = [&] { return tablet.store->append(changes, 3, {}); };
  }
  SECTION("integrate") {
    verb = [&] { return tablet.store->integrate("PPT", Bytes{7}, states); };
  }
  SECTION("acknowledge") {
    verb = [&] {
      return tablet.store->acknowledge(kOwnActor, Sequence{1},
                                       {{kOwnActor, Sequence{1}, TabletStore::record(1),
                                         wire::ExceptionKind::held, "held", "", "waits"}});
    };
  }
  if (!verb) return;
  const Hash before = *tablet.store->digest("PPT");
  const std::uint64_t waiting = tablet.store->state().waiting;
  tablet.memory().set_faults(MemoryFaults::at(tablet.memory().commits() + 1, fate));
  REQUIRE_FALSE(verb().has_value());
  CHECK(tablet.store->state().waiting == waiting);  // what is shown follows only success
  if (fate == CommitFate::full) {
    tablet.memory().set_faults({});
  } else {
    CHECK_FALSE(verb().has_value());
    tablet.reopen();
  }
  tablet.verify();
  if (fate != CommitFate::fail_after) {
    CHECK(*tablet.store->digest("PPT") == before);
    CHECK(tablet.store->state().waiting == waiting);
    CHECK(verb().has_value());
  } else {
    const Hash applied = *tablet.store->digest("PPT");
    const Status again = verb();
    CHECK((again.has_value() ||
           again.error().is(Errc::conflict)));  // an append is there: its place is taken
    CHECK(*tablet.store->digest("PPT") == applied);
  }
  const AgentCounts counts = *tablet.store->counts();
  CHECK(counts.records == tablet.store->ids_after(RecordId{}, 100)->size());
  tablet.verify();
}

TEST_CASE(
    "agent store: a restamp is whole or not at all, and a base that held a cut dot is fetched "
    "anew") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({2}), 0, {}));
  REQUIRE(tablet.store->append(tablet.batch({2, 3}), 0, {}));
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{3}, {}));
  // The hub delivered record 2 with both own changes in it, record 3 without.
  const auto page = *tablet.store->chain_page(kOwnActor, Sequence{1}, SIZE_MAX, 10);
  const auto kept = *wire::decode_change(kOwnActor, page[0].frame);
  const auto lost = *wire::decode_change(kOwnActor, page[1].frame);
  REQUIRE(
      tablet.store->integrate("PPT", Bytes{9}, {tablet.state(2, {kept, lost}), tablet.state(3)}));
  REQUIRE_FALSE(tablet.store->state().cursors.empty());

  const ActorId fresh{0xF1};
  Restamp plan;
  plan.fresh = OwnActor{fresh, {}, Hash{}, {}, {}, false, false};
  for (std::uint8_t name : {2, 3}) {
    NewChange made;
    made.change = tablet.change({fresh, Sequence{plan.changes.size() + 1}},
                                TabletStore::record(name), {}, {}, "note", "own");
    made.frame = *wire::encode_change(made.change);
    made.hash = wire::chain_next(plan.fresh->hash, made.frame);
    plan.fresh->head = made.change.dot.counter;
    plan.fresh->hash = made.hash;
    plan.changes.push_back({std::move(made), {kOwnActor, Sequence{name}}, {}});
  }
  plan.cuts = {{kOwnActor, Sequence{1}, page[0].hash}};
  SECTION("a plan for other chains changes nothing") {
    Restamp wrong = plan;
    wrong.cuts[0].last = Sequence{4};
    CHECK(tablet.store->restamp(wrong).error().is(Errc::conflict));
    wrong = plan;
    wrong.fresh->actor = kOwnActor;
    CHECK(tablet.store->restamp(wrong).error().is(Errc::conflict));
    wrong = plan;
    wrong.fresh.reset();
    CHECK(tablet.store->restamp(wrong).error().is(Errc::conflict));
    CHECK(tablet.store->state().actors.size() == 1);
    CHECK(tablet.store->chain_page(kOwnActor, Sequence{1}, SIZE_MAX, 10)->size() == 3);
  }
  REQUIRE(tablet.store->restamp(plan));
  tablet.reopen();
  const AgentState& state = tablet.store->state();
  CHECK(state.find(kOwnActor)->closed);
  CHECK(state.find(kOwnActor)->head == Sequence{1});
  CHECK(state.current()->actor == fresh);
  CHECK(state.waiting == 2);
  CHECK(state.again.size() == state.cursors.size());
  CHECK(tablet.store->counts()->records == 2);
  // Record 2 stands on its own changes until the rest is delivered again; record 3's base held no own dot.
  const auto second = *tablet.store->load(TabletStore::record(2));
  CHECK_FALSE(second->record.vv.covers({kOther, Sequence{2}}));
  CHECK_FALSE(second->record.vv.covers({kOwnActor, Sequence{2}}));
  CHECK(second->record.vv.covers({kOwnActor, Sequence{1}}));
  CHECK(second->record.vv.covers({fresh, Sequence{1}}));
  const auto third = *tablet.store->load(TabletStore::record(3));
  CHECK(third->record.vv.covers({kOther, Sequence{3}}));
  CHECK(third->record.vv.covers({fresh, Sequence{2}}));
  CHECK(tablet.store->restamp(plan).error().is(Errc::conflict));
  tablet.verify();
}

TEST_CASE("agent store: a start is noted, with a fresh chain when one is asked for") {
  TabletStore tablet(any_engine());
  AgentStore::Start start{7, crypto::hash("m", {}), {}};
  REQUIRE(tablet.store->begin(start));
  tablet.reopen();
  CHECK(tablet.store->state().generation == 7);
  CHECK(tablet.store->state().machine == start.machine);
  CHECK(tablet.store->state().current()->actor == kOwnActor);
  start.fresh = OwnActor{ActorId{0xF1}, {}, Hash{}, {}, {}, false, false};
  REQUIRE(tablet.store->begin(start));
  CHECK(tablet.store->begin(start).error().is(Errc::already_exists));
  tablet.reopen();
  CHECK(tablet.store->state().current()->actor == ActorId{0xF1});
  CHECK_FALSE(tablet.store->state().find(kOwnActor)->closed);
}
