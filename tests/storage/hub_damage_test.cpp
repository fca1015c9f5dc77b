// Bit rot in a hub's store: a record is rebuilt from its changes, what cannot be is named, the rest goes on.
#include "storage/agent_state_codec.h"
#include "tests/storage/hub_store_fixture.h"

using namespace fieldpost;
using namespace fieldpost::test::hub_fixture;

namespace {

constexpr Instant kNow{1'700'000'000'000};

/// One bit of a stored value; `from_end` 0: in the middle.
void rot(Hub& hub, TableId table, BytesView key, std::size_t at = 0) {
  REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
    FP_TRY(const auto value, write.get(table, key));
    REQUIRE(value.has_value());
    Bytes bytes = to_bytes(*value);
    bytes[at == 0 ? bytes.size() / 2 : at] ^= 0x10;
    return write.put(table, key, bytes);
  }));
}

struct Pass {
  std::size_t pages = 0;
  std::uint64_t values = 0;
  std::vector<StoredPlace> damaged;
};

Pass scrub(const Hub& hub, std::size_t bytes = 200) {
  Pass pass;
  const auto reader = hub.store->reader();
  for (StoredPlace from;;) {
    auto page = reader->scrub(from, bytes);
    REQUIRE(page.has_value());
    ++pass.pages;
    pass.values += page->values;
    pass.damaged.insert(pass.damaged.end(), page->damaged.begin(), page->damaged.end());
    if (page->ended) return pass;
    from = page->next;
  }
}

}  // namespace

TEST_CASE("hub damage: a rotten record is read and delivered as its changes give it") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2, 3})}));
  IncomingBatch more = hub.begin();
  hub.add(more, Hub::record(2), Sequence{2}, vector_of(hub.actor, 2), "more");
  REQUIRE(hub.store->apply({hub.finish(std::move(more))}));
  const Hash digest = *hub.store->reader()->digest("PPT");
  const auto feed = hub.feed(0);
  const model::Record whole = **hub.store->reader()->record(Hub::record(2));
  // In its state, and in the position that stands before it in clear.
  const std::size_t at = GENERATE(0, 3);
  rot(hub, hub_tables::kRecords, Hub::record(2).view(), at);
  hub.reopen();
  CHECK(**hub.store->reader()->record(Hub::record(2)) == whole);
  CHECK(*hub.store->reader()->digest("PPT") == digest);
  const auto delivered = hub.feed(0);
  REQUIRE(delivered.size() == feed.size());
  for (std::size_t i = 0; i < feed.size(); ++i) CHECK(delivered[i].state == feed[i].state);
  const auto verified = hub.store->reader()->verify([](std::uint64_t) {});
  REQUIRE_FALSE(verified.has_value());
  CHECK(verified.error().detail.find(to_text(Hub::record(2))) != std::string::npos);

  const Pass found = scrub(hub);
  REQUIRE(found.damaged.size() == 1);
  CHECK(found.damaged[0].table == hub_tables::kRecords);
  const auto report = hub.store->repair(found.damaged, kNow);
  REQUIRE(report.has_value());
  CHECK(report->records_mended == 1);
  CHECK(report->records_lost == 0);
  CHECK(hub.feed(0).size() == feed.size());
  for (std::size_t i = 0; i < feed.size(); ++i) {
    CHECK(hub.feed(0)[i].position == feed[i].position);
    CHECK(hub.feed(0)[i].state == feed[i].state);
  }
  const auto damages = *hub.store->reader()->damages();
  REQUIRE(damages.size() == 1);
  CHECK(damages[0].record == Hub::record(2));
  CHECK(damages[0].mended);
  CHECK(damages[0].found == kNow);
  CHECK(damages[0].raw.size() > 20);
  CHECK(hub.store->reader()->counts()->mended == 1);
  CHECK(hub.store->reader()->counts()->damaged == 0);
  CHECK(scrub(hub).damaged.empty());
  hub.verify();
  // Said again by a scrub that began before: nothing happens.
  CHECK(hub.store->repair(found.damaged, kNow)->records_mended == 0);
}

TEST_CASE("hub damage: a change of a rotten record is merged onto what its log gives") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2})}));
  rot(hub, hub_tables::kRecords, Hub::record(1).view());
  IncomingBatch more = hub.begin();
  hub.add(more, Hub::record(1), Sequence{1}, vector_of(hub.actor, 1), "amended");
  const auto applied = hub.store->apply({hub.finish(std::move(more))});
  REQUIRE(applied.has_value());
  CHECK(applied->front().exceptions.empty());
  REQUIRE(applied->front().touched.size() == 1);
  CHECK(applied->front().touched[0].position_before == 1);
  CHECK(applied->front().touched[0].position_after == 3);
  CHECK(hub.feed(0).size() == 2);
  const auto damages = *hub.store->reader()->damages();
  REQUIRE(damages.size() == 1);
  CHECK(damages[0].mended);
  hub.verify();
}

TEST_CASE("hub damage: a rotten log entry is named and noted once; its record and the rest stand") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2})}));
  const auto feed = hub.feed(0);
  rot(hub, hub_tables::kLog, hub_tables::dot_key(hub.actor, Sequence{1}));
  CHECK(hub.feed(0).size() == 2);
  CHECK(hub.store->reader()->record(Hub::record(1))->has_value());
  const auto history = hub.store->reader()->history(Hub::record(1));
  REQUIRE(history->size() == 1);
  CHECK(history->front().counter == Sequence{1});
  CHECK(history->front().frame.empty());
  const auto verified = hub.store->reader()->verify([](std::uint64_t) {});
  REQUIRE_FALSE(verified.has_value());
  CHECK(verified.error().detail.find(model::to_text({hub.actor, Sequence{1}})) !=
        std::string::npos);
  for (int pass = 0; pass < 2; ++pass) {
    const Pass found = scrub(hub);
    REQUIRE(found.damaged.size() == 1);
    CHECK(hub.store->repair(found.damaged, kNow)->log_damaged == 1);
    CHECK(hub.store->reader()->damages()->size() == 1);
  }
  CHECK(hub.store->reader()->counts()->damaged == 1);
  CHECK(hub.feed(0)[0].state == feed[0].state);
  // The chain goes on: what comes next is merged.
  IncomingBatch more = hub.begin();
  hub.add(more, Hub::record(1), Sequence{1}, vector_of(hub.actor, 1), "amended");
  const auto applied = hub.store->apply({hub.finish(std::move(more))});
  REQUIRE(applied.has_value());
  CHECK(applied->front().exceptions.empty());
}

TEST_CASE(
    "hub damage: a record whose log rotted, too, is not made up; its changes wait, others go on") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2})}));
  rot(hub, hub_tables::kRecords, Hub::record(1).view());
  rot(hub, hub_tables::kLog, hub_tables::dot_key(hub.actor, Sequence{1}));
  const auto read = hub.store->reader()->record(Hub::record(1));
  REQUIRE_FALSE(read.has_value());
  CHECK(read.error().is(Errc::corrupt));
  CHECK(read.error().detail.find("backup") != std::string::npos);
  REQUIRE(hub.feed(0).size() == 1);
  CHECK(hub.feed(0)[0].record == Hub::record(2));
  CHECK(hub.store->reader()->digest("PPT").has_value());
  IncomingBatch more = hub.begin();
  hub.add(more, Hub::record(1), Sequence{1}, vector_of(hub.actor, 1), "amended");
  hub.add(more, Hub::record(3), Sequence{}, {}, "new");
  const auto applied = hub.store->apply({hub.finish(std::move(more))});
  REQUIRE(applied.has_value());
  REQUIRE(applied->front().exceptions.size() == 1);
  CHECK(applied->front().exceptions[0].kind == wire::ExceptionKind::quarantined);
  CHECK(applied->front().exceptions[0].rule == "damaged");
  CHECK(hub.feed(0).size() == 2);
  CHECK(hub.store->repair(scrub(hub).damaged, kNow)->records_lost == 1);
  CHECK(hub.store->reader()->counts()->damaged == 2);
  CHECK(scrub(hub).damaged.size() == 2);  // still there, still kept
}

TEST_CASE("hub damage: a scrub goes through records and log in pages, each value once") {
  Hub hub(any_engine());
  for (std::uint8_t name = 1; name <= 40; ++name)
    REQUIRE(hub.store->apply({hub.creations({name})}));
  const Pass small = scrub(hub, 100);
  CHECK(small.values == 80);
  CHECK(small.pages > 20);
  CHECK(scrub(hub, 1 << 20).pages == 1);
}

TEST_CASE("hub damage: a key that the disk cut short is told, not read past its end") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1})}));
  model::Record lost = **hub.store->reader()->record(Hub::record(1));
  lost.vv.add({ActorId{0x99}, Sequence{3}});
  REQUIRE(*hub.store->stage({{hub.device, kNow, lost}}) > 0);
  const TableId table = GENERATE(hub_tables::kStaged, hub_tables::kByRecord);
  REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
    return write.put(table, Hub::record(1).view().first(9), Bytes{1, 2, 3});
  }));
  hub.reopen();
  const auto reader = hub.store->reader();
  const Error error = table == hub_tables::kStaged ? reader->staged(10).error()
                                                   : reader->verify([](std::uint64_t) {}).error();
  CHECK(error.is(Errc::corrupt));
  CHECK(error.detail.find("a key that names no record") != std::string::npos);
  CHECK(reader->record(Hub::record(1))->has_value());
}

TEST_CASE("hub damage: what no version of this program wrote is corrupt, not some other word") {
  wire::ChangeException exception;
  exception.kind = static_cast<wire::ExceptionKind>(7);
  CHECK(unpack_exception(pack_exception(exception)).error().is(Errc::corrupt));
  Device device;
  device.standing = static_cast<DeviceStanding>(3);
  CHECK(hub_tables::unpack_device(hub_tables::pack_device(device)).error().is(Errc::corrupt));
  StoredAgentState state;
  state.state.actors.push_back({ActorId{1}, Sequence{2}, {}, Sequence{3}, {}, false, false, false});
  CHECK(unpack_state(pack_state(state)).error().is(Errc::corrupt));
}
