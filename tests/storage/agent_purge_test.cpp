// What a tablet removes of its own chains, and what it never does, over every engine.
#include "storage/agent_state_codec.h"
#include "storage/pack.h"
#include "tests/storage/tablet_store.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

/// All changes of the fixture were made at 0 by their own times.
constexpr Instant kLater{1};

AgentStore::WelcomeFacts told(Sequence acked, Sequence backed_up) {
  AgentStore::WelcomeFacts facts;
  facts.epoch.bytes.fill(1);
  facts.acked = {{kOwnActor, acked, backed_up, false}};
  return facts;
}

Sequence purged(const TabletStore& tablet) {
  return tablet.store->state().find(kOwnActor)->purged_to;
}

/// The counters that are still kept.
std::vector<std::uint64_t> kept(const TabletStore& tablet) {
  std::vector<std::uint64_t> counters;
  for (const ChainEntry& entry : *tablet.store->chain_page(kOwnActor, Sequence{1}, SIZE_MAX, 100))
    counters.push_back(entry.counter.value);
  return counters;
}

AgentStore::Purged purge(TabletStore& tablet, Instant before = kLater, std::size_t most = 100) {
  const auto done = tablet.store->purge(before, most);
  REQUIRE(done.has_value());
  return *done;
}

using Counters = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("agent purge: what every backup has goes, from the beginning, and the records stay") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3}), 0, {}));
  REQUIRE(tablet.store->append(tablet.batch({1, 4}), 0, {}));
  const Hash third = **tablet.store->chain_hash(kOwnActor, Sequence{3});
  REQUIRE(tablet.store->welcome(told(Sequence{5}, Sequence{3})));
  const Hash digest = *tablet.store->digest("PPT");
  const auto done = purge(tablet);
  CHECK(done.entries == 3);
  CHECK_FALSE(done.more);
  CHECK(kept(tablet) == Counters{4, 5});
  CHECK(*tablet.store->digest("PPT") == digest);
  tablet.verify();
  tablet.reopen();
  CHECK(purged(tablet) == Sequence{3});
  CHECK(*tablet.store->chain_hash(kOwnActor, Sequence{3}) == third);
  CHECK_FALSE(tablet.store->chain_hash(kOwnActor, Sequence{2})->has_value());
  CHECK(*tablet.store->digest("PPT") == digest);
  CHECK(tablet.store->counts()->records == 4);
  for (std::uint8_t name : {1, 2, 3, 4}) {
    const auto view = **tablet.store->load(TabletStore::record(name));
    CHECK(view.at_hub);
    CHECK(model::shown(view.record, "note") != nullptr);
  }
  CHECK((*tablet.store->load(TabletStore::record(1)))->own.size() == 1);  // the fourth change
  CHECK(purge(tablet).entries == 0);
  // It goes on from there.
  REQUIRE(tablet.store->append(tablet.batch({2}), 0, {}));
  const auto second = **tablet.store->load(TabletStore::record(2));
  REQUIRE(second.own.size() == 1);
  CHECK(second.own[0].change.prev == Sequence{2});
  CHECK(second.own[0].applied);
  CHECK_FALSE(second.at_hub);
  tablet.verify();
}

TEST_CASE("agent purge: the newest entry of a chain stays, whatever the backups have") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3}), 0, {}));
  REQUIRE(tablet.store->welcome(told(Sequence{3}, Sequence{3})));
  CHECK(purge(tablet).entries == 2);
  CHECK(kept(tablet) == Counters{3});
  CHECK(purge(tablet).entries == 0);
  tablet.verify();
}

TEST_CASE("agent purge: a pass is bounded, and says when there is more") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3, 4, 5}), 0, {}));
  REQUIRE(tablet.store->welcome(told(Sequence{5}, Sequence{5})));
  CHECK(purge(tablet, kLater, 3).more);
  CHECK(kept(tablet) == Counters{4, 5});
  const auto rest = purge(tablet, kLater, 3);
  CHECK(rest.entries == 1);
  CHECK_FALSE(rest.more);
  tablet.verify();
}

TEST_CASE("agent purge: nothing goes that is younger, unacknowledged, not backed up or a problem") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3, 4}), 0, {}));
  const auto problem = [](wire::ExceptionKind kind) {
    return wire::ChangeException{kOwnActor, Sequence{2}, TabletStore::record(2), kind, "enum",
                                 "note",    "not known"};
  };
  SECTION("nobody spoke of backups") {
    REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{4}, {}));
    CHECK(purge(tablet).entries == 0);
  }
  SECTION("a watermark above what is acknowledged counts only up to there") {
    REQUIRE(tablet.store->welcome(told(Sequence{2}, Sequence{4})));
    CHECK(purge(tablet).entries == 2);
    CHECK(kept(tablet) == Counters{3, 4});
  }
  SECTION("younger") {
    REQUIRE(tablet.store->welcome(told(Sequence{4}, Sequence{4})));
    CHECK(purge(tablet, Instant{0}).entries == 0);
  }
  SECTION("a problem, and what stands after it") {
    const auto kind = GENERATE(wire::ExceptionKind::quarantined, wire::ExceptionKind::held,
                               wire::ExceptionKind::unauthorised);
    auto facts = told(Sequence{4}, Sequence{4});
    facts.exceptions = {problem(kind)};
    REQUIRE(tablet.store->welcome(facts));
    CHECK(purge(tablet).entries == 1);
    CHECK(kept(tablet) == Counters{2, 3, 4});
    CHECK(tablet.store->exceptions()->size() == 1);
  }
  SECTION("a record of which the hub lacks something") {
    REQUIRE(tablet.store->welcome(told(Sequence{4}, Sequence{4})));
    REQUIRE(tablet.store->integrate("PPT", Bytes{1}, {tablet.state(2)}));
    REQUIRE(tablet.store->note_lost_at_hub({TabletStore::record(2)}));
    CHECK(purge(tablet).entries == 1);
  }
  SECTION("a chain of which the hub has another history") {
    auto facts = told(Sequence{4}, Sequence{4});
    facts.acked.front().forked = true;
    REQUIRE(tablet.store->welcome(facts));
    CHECK(purge(tablet).entries == 0);
  }
  SECTION("a hub put back takes the mark back with it") {
    REQUIRE(tablet.store->welcome(told(Sequence{4}, Sequence{4})));
    auto facts = told(Sequence{1}, Sequence{});
    facts.epoch.bytes.fill(2);
    facts.new_epoch = true;
    REQUIRE(tablet.store->welcome(facts));
    CHECK(purge(tablet).entries == 0);
    CHECK(kept(tablet) == Counters{1, 2, 3, 4});
  }
  tablet.verify();
  tablet.reopen();
  tablet.verify();
}

TEST_CASE("agent purge: a hub put back to before its backups: what it lost is not called safe") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3, 4}), 0, {}));
  REQUIRE(tablet.store->welcome(told(Sequence{4}, Sequence{3})));
  CHECK(purge(tablet).entries == 3);
  auto facts = told(Sequence{1}, Sequence{});
  facts.epoch.bytes.fill(2);
  facts.new_epoch = true;
  REQUIRE(tablet.store->welcome(facts));
  CHECK(tablet.store->state().waiting == 3);
  const auto safe = [&](std::uint8_t name) {
    return (*tablet.store->load(TabletStore::record(name)))->at_hub;
  };
  CHECK(safe(1));
  CHECK_FALSE(safe(2));
  CHECK_FALSE(safe(3));
  CHECK_FALSE(safe(4));
  // The hub was told that they are missing, and has the last one again.
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{4}, {}));
  tablet.reopen();
  CHECK_FALSE(safe(2));
  CHECK_FALSE(safe(3));
  CHECK(safe(4));
  // What it delivers, it has.
  const model::Record base = **tablet.store->base(TabletStore::record(2));
  REQUIRE(tablet.store->integrate("PPT", Bytes{2}, {base}));
  CHECK(safe(2));
  CHECK_FALSE(safe(3));
  tablet.verify();
}

TEST_CASE(
    "agent purge: what a hub put back says of a change that was removed is over when it delivers "
    "it") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2}), 0, {}));
  REQUIRE(tablet.store->welcome(told(Sequence{2}, Sequence{2})));
  CHECK(purge(tablet).entries == 1);
  const model::Record base = **tablet.store->base(TabletStore::record(1));
  // Another copy of this tablet had sent it again, and there it waits for something.
  auto facts = told(Sequence{2}, Sequence{});
  facts.epoch.bytes.fill(2);
  facts.new_epoch = true;
  facts.exceptions = {{kOwnActor, Sequence{1}, TabletStore::record(1), wire::ExceptionKind::held,
                       "held", "", "waits"}};
  REQUIRE(tablet.store->welcome(facts));
  CHECK(tablet.store->exceptions()->size() == 1);
  CHECK_FALSE((*tablet.store->load(TabletStore::record(1)))->at_hub);
  REQUIRE(tablet.store->integrate("PPT", Bytes{1}, {base}));
  CHECK(tablet.store->exceptions()->empty());
  CHECK((*tablet.store->load(TabletStore::record(1)))->at_hub);
  tablet.verify();
}

TEST_CASE("agent purge: a damaged value stays where it is found, and is not written over") {
  // As in kv_agent_tables.h: this reaches under the store, as rot does.
  constexpr TableId kChain = 1;
  constexpr TableId kBase = 2;
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3, 4}), 0, {}));
  REQUIRE(tablet.store->integrate("PPT", Bytes{1}, {tablet.state(2)}));
  REQUIRE(tablet.store->welcome(told(Sequence{4}, Sequence{4})));
  const bool base = GENERATE(true, false);
  const Bytes key = base ? to_bytes(TabletStore::record(2).view())
                         : Packer().actor(kOwnActor).seq(Sequence{2}).take();
  const TableId table = base ? kBase : kChain;
  Bytes rotten;
  REQUIRE(tablet.kv->update([&](KvWrite& write) -> Status {
    FP_TRY(const auto value, write.get(table, key));
    rotten = to_bytes(*value);
    rotten[rotten.size() / 2] ^= 0x10;
    return write.put(table, key, rotten);
  }));
  CHECK(purge(tablet).entries == 1);
  CHECK(tablet.kv->view([&](const KvRead& read) -> Status {
    FP_TRY(const auto value, read.get(table, key));
    CHECK(to_bytes(*value) == rotten);
    return {};
  }));
  // Nor while it waits to be delivered again.
  REQUIRE(tablet.store->settle_damage(Instant{9}));
  CHECK(purge(tablet).entries == 0);
  CHECK_FALSE(tablet.store->damages()->empty());
}

TEST_CASE("agent purge: a failed commit leaves all or nothing") {
  const auto fate = GENERATE(CommitFate::fail_before, CommitFate::fail_after);
  TabletStore tablet(Engine::memory);
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3}), 0, {}));
  REQUIRE(tablet.store->welcome(told(Sequence{3}, Sequence{3})));
  const Hash digest = *tablet.store->digest("PPT");
  tablet.memory().set_faults(MemoryFaults::at(tablet.memory().commits() + 1, fate));
  REQUIRE_FALSE(tablet.store->purge(kLater, 100).has_value());
  CHECK(purged(tablet) == Sequence{});
  tablet.reopen();
  tablet.verify();
  CHECK(*tablet.store->digest("PPT") == digest);
  CHECK(kept(tablet).size() == (fate == CommitFate::fail_before ? 3 : 1));
}

TEST_CASE("agent purge: a store from before it could be done opens, with nothing removed") {
  StoredAgentState stored;
  stored.state.actors.push_back({kOwnActor, Sequence{5}, Hash{}, Sequence{4}, Sequence{3}, true,
                                 false, false, Sequence{2}, Hash{}, Sequence{1}, Sequence{2}});
  const Bytes today = pack_state(stored);
  const auto read = unpack_state(today);
  REQUIRE(read.has_value());
  CHECK(read->state.actors.front().purged_to == Sequence{2});
  CHECK(read->state.actors.front().lost_from == Sequence{1});
  CHECK(read->state.actors.front().lost_to == Sequence{2});
  // The older form: neither chains nor the tablet have the parts that came later, and the format is 2.
  constexpr std::size_t kAdded = 8 + Hash::kSize + 8 + 8;
  constexpr std::size_t kListsAfter = 3 * 8;        // cursors, again, grants: all empty
  constexpr std::size_t kEndAdded = 8 + 8 + 1 + 8;  // the claimed dot, sweep, ungranted
  Bytes older = today;
  older.front() = 2;
  older.resize(older.size() - kEndAdded);
  older.erase(older.end() - kListsAfter - kAdded, older.end() - kListsAfter);
  const auto old = unpack_state(older);
  REQUIRE(old.has_value());
  CHECK(old->state.actors.front().head == Sequence{5});
  CHECK(old->state.actors.front().forked);
  CHECK(old->state.actors.front().purged_to == Sequence{});
  CHECK(old->state.waiting == 1);
  CHECK(old->state.sweep);          // nobody has looked yet
  CHECK(old->state.again.empty());  // no unit was ever delivered
  older.front() = 5;
  CHECK(unpack_state(older).error().is(Errc::unsupported));
}
