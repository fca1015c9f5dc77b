// Bit rot in a tablet's store: what is damaged is set aside, shown, fetched again; the rest goes on.
#include "tests/storage/tablet_store.h"

using namespace fieldpost;
using namespace fieldpost::test;

namespace {

// As in kv_agent_tables.h: these tests reach under the store, as rot does.
constexpr TableId kMeta = 0;
constexpr TableId kChain = 1;
constexpr TableId kBase = 2;
constexpr TableId kDrafts = 4;
constexpr TableId kExceptions = 5;
constexpr Instant kNow{1'700'000'000'000};

Bytes dot_key(Sequence counter) {
  Bytes key;
  for (const std::uint64_t part : {kOwnActor.value, counter.value}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      key.push_back(static_cast<std::uint8_t>(part >> shift));
  }
  return key;
}

/// One bit of a stored value, somewhere in its middle.
void rot(TabletStore& tablet, TableId table, BytesView key) {
  REQUIRE(tablet.kv->update([&](KvWrite& write) -> Status {
    FP_TRY(const auto value, write.get(table, key));
    REQUIRE(value.has_value());
    Bytes bytes = to_bytes(*value);
    bytes[bytes.size() / 2] ^= 0x10;
    return write.put(table, key, bytes);
  }));
}

std::vector<Damage> damages(const TabletStore& tablet) {
  auto all = tablet.store->damages();
  REQUIRE(all.has_value());
  return *std::move(all);
}

RecordView view_of(const TabletStore& tablet, std::uint8_t name) {
  auto view = tablet.store->load(TabletStore::record(name));
  INFO((view ? std::string() : view.error().message()));
  REQUIRE((view.has_value() && view->has_value()));
  return **std::move(view);
}

}  // namespace

TEST_CASE(
    "damage: a base that rotted is set aside, listed meanwhile, and whole when delivered again") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1}), 1, {}));
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{1}, {}));
  const model::Change own = view_of(tablet, 1).own[0].change;
  const std::vector<model::Record> states = {tablet.state(1, {own}), tablet.state(2)};
  REQUIRE(tablet.store->integrate("PPT", Bytes{5}, states));
  const Hash digest = *tablet.store->digest("PPT");
  rot(tablet, kBase, TabletStore::record(1).view());
  tablet.reopen();

  // Before it is set aside, and after: never silently missing, and the other record is as it was.
  for (const bool aside : {false, true}) {
    INFO("set aside: " << aside);
    CHECK(view_of(tablet, 1).damaged);
    CHECK_FALSE(view_of(tablet, 1).at_hub);
    CHECK_FALSE(view_of(tablet, 2).damaged);
    CHECK(*tablet.store->ids_after(RecordId{}, 10) ==
          std::vector<RecordId>{TabletStore::record(1), TabletStore::record(2)});
    CHECK(*tablet.store->digest("PPT") != digest);
    const Status verified = tablet.store->verify([](std::uint64_t) {});
    REQUIRE_FALSE(verified.has_value());
    CHECK(verified.error().is(Errc::corrupt));
    CHECK(verified.error().detail.find(to_text(TabletStore::record(1))) != std::string::npos);
    if (aside) break;
    CHECK(tablet.store->state().again.empty());
    CHECK(*tablet.store->settle_damage(kNow) == 1);
  }
  CHECK(tablet.store->state().again == std::vector<std::string>{"PPT"});
  CHECK(tablet.store->refetches() == 1);
  CHECK(tablet.store->counts()->records == 2);
  REQUIRE(damages(tablet).size() == 1);
  CHECK(damages(tablet)[0].kind == Damage::Kind::record);
  CHECK(damages(tablet)[0].record == TabletStore::record(1));
  CHECK(damages(tablet)[0].found == kNow);
  CHECK_FALSE(damages(tablet)[0].settled);
  CHECK(damages(tablet)[0].raw.size() > 40);  // what was found in its place
  // What this tablet wrote of it is shown.
  REQUIRE(view_of(tablet, 1).own.size() == 1);
  CHECK(model::shown(view_of(tablet, 1).record, "note") != nullptr);
  CHECK(*tablet.store->settle_damage(kNow) == 0);

  tablet.reopen();
  REQUIRE(tablet.store->integrate("PPT", Bytes{6}, states));
  CHECK_FALSE(view_of(tablet, 1).damaged);
  CHECK(view_of(tablet, 1).at_hub);
  CHECK(*tablet.store->digest("PPT") == digest);
  CHECK(tablet.store->counts()->records == 2);
  REQUIRE(damages(tablet).size() == 1);
  CHECK(damages(tablet)[0].settled);
  tablet.verify();
}

TEST_CASE("damage: a delivery that meets a rotten base takes its place at once") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->integrate("PPT", Bytes{5}, {tablet.state(1)}));
  rot(tablet, kBase, TabletStore::record(1).view());
  REQUIRE(tablet.store->integrate("PPT", Bytes{6}, {tablet.state(1)}));
  CHECK_FALSE(view_of(tablet, 1).damaged);
  CHECK(tablet.store->counts()->records == 1);
  REQUIRE(damages(tablet).size() == 1);
  CHECK(damages(tablet)[0].settled);
  // The note that reading left is no longer true, and costs nothing.
  REQUIRE(tablet.store->settle_damage(kNow));
  CHECK(tablet.store->state().again.empty());
  CHECK(tablet.store->refetches() == 0);
  tablet.verify();
}

TEST_CASE("damage: an acknowledged own change that rotted comes back with the hub's state") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2}), 2, {}));
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{2}, {}));
  REQUIRE(tablet.store->integrate("PPT", Bytes{5}, {}));
  const model::Change own = view_of(tablet, 1).own[0].change;
  rot(tablet, kChain, dot_key(Sequence{1}));
  tablet.reopen();
  CHECK(view_of(tablet, 1).damaged);
  CHECK(view_of(tablet, 1).unreadable == std::vector<model::Dot>{{kOwnActor, Sequence{1}}});
  CHECK_FALSE(view_of(tablet, 2).damaged);
  REQUIRE(*tablet.store->settle_damage(kNow) == 1);
  CHECK(tablet.store->state().again == std::vector<std::string>{"PPT"});
  REQUIRE(damages(tablet).size() == 2);  // the record that waits, and the change
  CHECK(damages(tablet)[1].acked);
  CHECK_FALSE(damages(tablet)[1].unsendable());
  REQUIRE(tablet.store->integrate("PPT", Bytes{6}, {tablet.state(1, {own})}));
  CHECK_FALSE(view_of(tablet, 1).damaged);
  CHECK(model::shown(view_of(tablet, 1).record, "note") != nullptr);
  for (const Damage& damage : damages(tablet)) CHECK(damage.settled);
}

TEST_CASE(
    "damage: an own change that was never sent is named, kept, and stops only its own chain") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1, 2, 3}), 3, {}));
  rot(tablet, kChain, dot_key(Sequence{2}));
  tablet.reopen();
  CHECK(view_of(tablet, 2).damaged);
  CHECK_FALSE(view_of(tablet, 3).damaged);
  // What stands before it can be sent; from it on, the error says which it is.
  CHECK(tablet.store->chain_page(kOwnActor, Sequence{1}, SIZE_MAX, 10)->size() == 1);
  const auto stopped = tablet.store->chain_page(kOwnActor, Sequence{2}, SIZE_MAX, 10);
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().is(Errc::corrupt));
  CHECK(stopped.error().detail.find("change 2") != std::string::npos);
  REQUIRE(tablet.store->chain_page(kOwnActor, Sequence{3}, SIZE_MAX, 10)->size() == 1);

  REQUIRE(*tablet.store->settle_damage(kNow) == 1);
  CHECK(tablet.store->refetches() == 0);  // the hub does not have it
  REQUIRE(damages(tablet).size() == 1);
  const Damage lost = damages(tablet)[0];
  CHECK(lost.unsendable());
  CHECK(lost.record == TabletStore::record(2));
  CHECK(lost.dot == model::Dot{kOwnActor, Sequence{2}});
  CHECK(lost.made_after.has_value());
  CHECK(lost.made_before.has_value());
  CHECK(lost.raw.size() > 40);
  const std::string words = damage_words(lost);
  CHECK(words.find(to_text(TabletStore::record(2))) != std::string::npos);
  CHECK(words.find("cannot be sent") != std::string::npos);
  // Recording goes on, and the damaged one stays listed.
  REQUIRE(tablet.store->append(tablet.batch({4}), 4, {}));
  CHECK(tablet.store->ids_after(RecordId{}, 10)->size() == 4);
  tablet.reopen();
  CHECK(*tablet.store->settle_damage(kNow) == 0);
  CHECK(view_of(tablet, 2).damaged);
  CHECK(damages(tablet).size() == 1);
}

TEST_CASE("damage: a rotten draft hides no other, and one the hub spoke of is asked for again") {
  TabletStore tablet(any_engine());
  for (std::uint8_t name : {7, 8})
    REQUIRE(
        tablet.store->put_draft({TabletStore::record(name), "stop", Instant{5}, Bytes{'{', '}'}}));
  REQUIRE(tablet.store->append(tablet.batch({1}), 1, {}));
  const wire::ChangeException said{
      kOwnActor, Sequence{1}, TabletStore::record(1), wire::ExceptionKind::held, "held",
      "",        "waits"};
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{1}, {said}));
  rot(tablet, kDrafts, TabletStore::record(7).view());
  rot(tablet, kExceptions, dot_key(Sequence{1}));
  tablet.reopen();
  REQUIRE(tablet.store->drafts()->size() == 1);
  CHECK(tablet.store->drafts()->front().id == TabletStore::record(8));
  // Nobody knows what the hub said: it is not shown as taken, and hello asks for it by its dot.
  REQUIRE(tablet.store->exceptions()->size() == 1);
  CHECK(tablet.store->exceptions()->front().counter == Sequence{1});
  CHECK_FALSE(view_of(tablet, 1).at_hub);
  REQUIRE(tablet.store->settle_damage(kNow));
  REQUIRE(damages(tablet).size() == 1);
  CHECK(damages(tablet)[0].kind == Damage::Kind::draft);
  CHECK(damages(tablet)[0].record == TabletStore::record(7));
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{1}, {said}));
  CHECK(tablet.store->exceptions()->front() == said);
  // Its author has read of it, and lets it go.
  REQUIRE(tablet.store->erase_draft(TabletStore::record(7)));
  CHECK(damages(tablet)[0].settled);
  tablet.verify();
}

TEST_CASE("damage: a scrub reads everything in small pieces and finds what nobody asked for") {
  TabletStore tablet(any_engine());
  for (std::uint8_t name = 1; name < 60; ++name) {
    REQUIRE(tablet.store->append(tablet.batch({name}), name, {}));
    REQUIRE(tablet.store->integrate("PPT", Bytes{name},
                                    {tablet.state(static_cast<std::uint8_t>(100 + name))}));
  }
  REQUIRE(tablet.store->acknowledge(kOwnActor, Sequence{59}, {}));
  const auto pass = [&] {
    std::size_t calls = 1;
    while (!*tablet.store->scrub(500)) ++calls;
    return calls;
  };
  CHECK(pass() > 20);
  CHECK(*tablet.store->settle_damage(kNow) == 0);
  rot(tablet, kBase, TabletStore::record(137).view());
  rot(tablet, kChain, dot_key(Sequence{59}));
  tablet.reopen();
  pass();
  CHECK(*tablet.store->settle_damage(kNow) == 2);
  CHECK(damages(tablet).size() == 3);
  CHECK(*tablet.store->scrub(SIZE_MAX));  // in one, if somebody wants
}

TEST_CASE("damage: a store whose small state rotted is refused, and nothing in it is touched") {
  TabletStore tablet(Engine::lmdb);
  REQUIRE(tablet.store->append(tablet.batch({1}), 1, {}));
  rot(tablet, kMeta, as_bytes("state"));
  tablet.store.reset();
  const auto opened = open_agent_store(*tablet.kv, *tablet.codec);
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().is(Errc::corrupt));
}

TEST_CASE("damage: a full store still sets aside, and a failed commit leaves all to the next") {
  TabletStore tablet(Engine::memory);
  REQUIRE(tablet.store->integrate("PPT", Bytes{5}, {tablet.state(1)}));
  rot(tablet, kBase, TabletStore::record(1).view());
  CHECK(view_of(tablet, 1).damaged);
  std::optional<UpdateKind> kind;
  MemoryFaults faults;
  faults.on_commit = [&](std::uint64_t, UpdateKind how) {
    kind = how;
    return CommitFate::full;
  };
  tablet.memory().set_faults(faults);
  CHECK_FALSE(tablet.store->settle_damage(kNow).has_value());
  CHECK(kind == UpdateKind::freeing);
  CHECK(tablet.store->state().again.empty());
  CHECK(view_of(tablet, 1).damaged);
  tablet.memory().set_faults({});
  CHECK(*tablet.store->settle_damage(kNow) == 1);
  CHECK(tablet.store->state().again == std::vector<std::string>{"PPT"});
}

TEST_CASE("damage: a key that the disk cut short is no record, and keeps nothing from going on") {
  TabletStore tablet(any_engine());
  REQUIRE(tablet.store->append(tablet.batch({1}), 1, {}));
  REQUIRE(tablet.store->integrate("PPT", Bytes{5}, {tablet.state(2), tablet.state(3)}));
  REQUIRE(tablet.kv->update([&](KvWrite& write) -> Status {
    const RecordId id = TabletStore::record(2);
    FP_TRY(const auto value, write.get(kBase, id.view()));
    REQUIRE(value.has_value());
    const Bytes base = to_bytes(*value);
    FP_CHECK_OK(write.erase(kBase, id.view()));
    return write.put(kBase, id.view().first(9), base);
  }));
  // Another value that is to be set aside with it.
  rot(tablet, kBase, TabletStore::record(3).view());
  tablet.reopen();
  CHECK(*tablet.store->ids_after(RecordId{}, 10) ==
        std::vector<RecordId>{TabletStore::record(1), TabletStore::record(3)});
  for (bool ended = false; !ended;) ended = *tablet.store->scrub(1 << 20);
  const auto settled = tablet.store->settle_damage(kNow);
  INFO((settled ? std::string() : settled.error().message()));
  REQUIRE(settled.has_value());
  CHECK(*settled == 2);
  CHECK(damages(tablet).size() == 2);
  CHECK(tablet.store->state().again == std::vector<std::string>{"PPT"});
  REQUIRE(tablet.store->integrate("PPT", Bytes{6}, {tablet.state(2), tablet.state(3)}));
  CHECK(tablet.store->ids_after(RecordId{}, 10)->size() == 3);
}
