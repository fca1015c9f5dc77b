// Erasing records and what keeps them, over every engine: the content is gone, the history still proves itself.
#include "storage/hub_erase.h"

#include <set>

#include "storage/hub_ledger.h"
#include "storage/hub_repair.h"
#include "tests/storage/hub_store_fixture.h"

using namespace fieldpost;
using namespace fieldpost::test::hub_fixture;

namespace {

constexpr Instant kReceived{1'000};  // as the fixture's batches are
constexpr Instant kNow{9'000};

/// A record refers to those whose names its field "link" holds.
std::vector<RecordId> links(const model::Record& record) {
  std::vector<RecordId> found;
  for (const model::DotGroup& group : record.groups) {
    for (const model::FieldValue& field : group.fields) {
      const auto* text = std::get_if<std::string>(&field.value);
      if (text == nullptr || text->rfind("link:", 0) != 0) continue;
      for (const char c : text->substr(5))
        found.push_back(Hub::record(static_cast<std::uint8_t>(c - '0')));
    }
  }
  return found;
}

ErasureOrder order_for(std::initializer_list<std::uint8_t> names, Instant before = Instant{2'000}) {
  ErasureOrder order;
  for (const std::uint8_t name : names) order.records.push_back(Hub::record(name));
  order.rules = {{"stop", {before, "stop: 5 years"}}};
  order.references = links;
  order.at = kNow;
  order.author = "retention";
  return order;
}

LegalHold hold_of(std::uint8_t record, std::uint8_t name = 1) {
  LegalHold hold;
  hold.id.bytes.fill(name);
  hold.record = Hub::record(record);
  hold.at = kNow;
  hold.author = "prosecutor";
  hold.reason = "case 7 is before the court";
  return hold;
}

/// Whether any stored value but those of the list of erased ones holds this text.
bool stored_anywhere(const Hub& hub, std::string_view text) {
  for (const auto& [table, key, value] : hub.everything()) {
    crypto::SymmetricKey checksum;
    checksum.bytes.fill(7);
    ChecksumCodec codec(checksum, wire::Dictionary::v1());
    const auto head = table == hub_tables::kRecords ? std::size_t{8} : std::size_t{0};
    const auto plain = codec.decode(table, key, value, head);
    const BytesView bytes = plain ? BytesView(*plain) : BytesView(value);
    if (as_text(bytes).find(text) != std::string_view::npos) return true;
  }
  return false;
}

Result<BatchResult> rule(Hub& hub, const model::Dot& dot, HubStore::Ruling ruling) {
  HubStore::RulingInput input;
  input.actor = dot.actor;
  input.counter = dot.counter;
  input.ruling = ruling;
  input.author = "operator";
  input.note = "somebody decided";
  input.times.wall = kNow;
  input.salt.fill(9);
  return hub.store->rule(input, ActorId{0xB1}, [&](ActorId actor, Sequence n, const Hash& head) {
    return wire::sign_head(hub.hub_key, id_of<DeviceId>(hub.hub_key.public_key), actor, n, head);
  });
}

/// A stop with a history: created, edited once; "secret" is in both.
void record_one(Hub& hub, std::uint8_t name) {
  IncomingBatch batch = hub.begin();
  hub.add(batch, Hub::record(name), {}, {}, "secret at first");
  const Sequence created = hub.head;
  hub.add(batch, Hub::record(name), created, vector_of(hub.actor, created.value), "secret later");
  REQUIRE(hub.store->apply({hub.finish(std::move(batch))}).has_value());
}

}  // namespace

TEST_CASE("erasure: what a record said is nowhere, and every chain still verifies") {
  Hub hub(any_engine());
  record_one(hub, 1);
  REQUIRE(hub.store->apply({hub.creations({2})}).has_value());
  const ActorHeadState before = **hub.store->reader()->actor(hub.actor);
  CHECK(stored_anywhere(hub, "secret"));
  const auto report = hub.store->erase(order_for({1}));
  REQUIRE(report.has_value());
  REQUIRE(report->erased.size() == 1);
  CHECK(report->changes == 2);
  CHECK(report->erased[0].type == "stop");
  CHECK(report->erased[0].rule == "stop: 5 years");
  CHECK(report->erased[0].known == vector_of(hub.actor, 2));
  CHECK_FALSE(stored_anywhere(hub, "secret"));
  const bool reopened = GENERATE(false, true);
  if (reopened) hub.reopen();
  const auto reader = hub.store->reader();
  CHECK_FALSE(reader->record(Hub::record(1))->has_value());
  CHECK((*reader->erased(Hub::record(1)))->at == kNow);
  CHECK(reader->record(Hub::record(2))->has_value());
  CHECK(reader->counts()->records == 1);
  CHECK(reader->counts()->erased == 1);
  CHECK(reader->counts()->changes == 3);
  const ActorHeadState after = **reader->actor(hub.actor);
  CHECK(after.head == before.head);
  CHECK(after.hash == before.hash);
  for (const LogEntry& entry : *reader->history(Hub::record(1))) {
    CHECK(entry.frame.empty());
    REQUIRE(entry.erased.has_value());
    CHECK(entry.erased->at == kNow);
    CHECK(entry.received == kReceived);
  }
  const auto proved = reader->verify([](std::uint64_t) {});
  REQUIRE(proved.has_value());
  CHECK(proved->erased == 1);
  CHECK(proved->erased_changes == 2);
  CHECK(proved->changes == 3);
  CHECK(proved->records == 1);
  // The chain goes on behind it.
  REQUIRE(hub.store->apply({hub.creations({3})}).has_value());
  hub.verify();
  CHECK(hub.store->reader()->ledger()->waiting.size() == 1);
}

TEST_CASE("erasure: tablets hear of it in the feed, once, at its newest position") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2})}).has_value());
  REQUIRE(hub.store->erase(order_for({1})).has_value());
  const auto feed = hub.feed(0);
  REQUIRE(feed.size() == 2);
  CHECK(feed[0].record == Hub::record(2));
  CHECK_FALSE(feed[0].erased);
  CHECK(feed[1].record == Hub::record(1));
  CHECK(feed[1].erased);
  CHECK(feed[1].state.empty());
  CHECK(feed[1].position == (*hub.store->reader()->erased(Hub::record(1)))->position);
  CHECK(*hub.store->reader()->feed_end("PPT") == 3);
  CHECK(hub.feed(2).size() == 1);  // a tablet that had everything
}

TEST_CASE("erasure: what is not due stays, each for its reason") {
  Hub hub(any_engine());
  // 1 young by its last change; 2 with a conflict; 3 with a quarantined, 4 with a held change; 5 on hold; 6 due.
  REQUIRE(hub.store->apply({hub.creations({1, 2, 3, 4, 5, 6})}).has_value());
  IncomingBatch batch = hub.begin();
  hub.add(batch, Hub::record(2), Sequence{2}, {}, "another");
  hub.add(batch, Hub::record(3), Sequence{3}, vector_of(hub.actor, 3), "odd");
  batch.changes.back().quarantine = quarantined(batch.changes.back(), hub.actor);
  hub.add(batch, Hub::record(4), Sequence{4}, vector_of(ActorId{0xC1}, 1), "early");
  REQUIRE(hub.store->apply({hub.finish(std::move(batch))}).has_value());
  IncomingBatch later = hub.begin();
  later.received = Instant{5'000};
  hub.add(later, Hub::record(1), Sequence{1}, vector_of(hub.actor, 1), "new");
  REQUIRE(hub.store->apply({hub.finish(std::move(later))}).has_value());
  REQUIRE(hub.store->add_hold(hold_of(5)).has_value());
  const auto all = order_for({1, 2, 3, 4, 5, 6});
  const auto reader = hub.store->reader();
  const auto page = reader->retention({}, 100, all.rules, *reader->kept_by_holds(links));
  REQUIRE(page.has_value());
  CHECK(page->ended);
  const auto report = hub.store->erase(all);
  REQUIRE(report.has_value());
  REQUIRE(report->erased.size() == 1);
  CHECK(report->erased[0].id == Hub::record(6));
  const std::vector<std::pair<RecordId, Keeps>> expected = {{Hub::record(1), Keeps::young},
                                                            {Hub::record(2), Keeps::conflict},
                                                            {Hub::record(3), Keeps::quarantine},
                                                            {Hub::record(4), Keeps::held},
                                                            {Hub::record(5), Keeps::hold}};
  CHECK(report->kept == expected);
  // The plan had said the same.
  REQUIRE(page->entries.size() == 6);
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(page->entries[i].keeps == expected[i].second);
  CHECK(page->entries[5].keeps == Keeps::nothing);
  CHECK(page->entries[0].facts.last_received == Instant{5'000});
  hub.verify();
}

TEST_CASE("erasure: a case on hold keeps what it leads to, as far as it leads") {
  Hub hub(any_engine());
  // Case 1 leads to stop 2, which leads to seizure 3; stop 4 is alone, and leads to the case.
  IncomingBatch batch = hub.begin();
  hub.add(batch, Hub::record(1), {}, {}, "link:2");
  hub.add(batch, Hub::record(2), {}, {}, "link:3");
  hub.add(batch, Hub::record(3), {}, {}, "evidence");
  hub.add(batch, Hub::record(4), {}, {}, "link:1");
  REQUIRE(hub.store->apply({hub.finish(std::move(batch))}).has_value());
  const LegalHold hold = hold_of(1);
  REQUIRE(hub.store->add_hold(hold).has_value());
  CHECK(hub.store->add_hold(hold).error().is(Errc::already_exists));
  CHECK(hub.store->add_hold(hold_of(9, 2)).error().is(Errc::not_found));
  const auto kept = *hub.store->reader()->kept_by_holds(links);
  CHECK(kept == KeptByHold{{Hub::record(1), hold.id},
                           {Hub::record(2), hold.id},
                           {Hub::record(3), hold.id}});
  REQUIRE(hub.store->erase(order_for({1, 2, 3, 4}))->erased.size() == 1);
  hub.reopen();  // holds are durable
  CHECK(hub.store->erase(order_for({1, 2, 3}))->erased.empty());
  const auto lifted = hub.store->lift_hold(hold.id, {kNow, "judge", "acquitted"});
  REQUIRE(lifted.has_value());
  CHECK(lifted->lift->reason == "acquitted");
  CHECK(hub.store->lift_hold(hold.id, {kNow, "judge", "again"}).error().is(Errc::conflict));
  HoldId none;
  CHECK(hub.store->lift_hold(none, {kNow, "judge", "why"}).error().is(Errc::not_found));
  REQUIRE(hub.store->reader()->holds()->size() == 1);  // it stays on the list
  CHECK(hub.store->reader()->holds()->front() == *lifted);
  CHECK(hub.store->erase(order_for({1, 2, 3}))->erased.size() == 3);
  CHECK(hub.store->add_hold(hold_of(1, 3)).error().is(Errc::conflict));  // nothing left to keep
  hub.verify();
}

TEST_CASE("erasure: a change that comes for an erased record is set aside, and never merged") {
  Hub hub(any_engine());
  record_one(hub, 1);
  REQUIRE(hub.store->erase(order_for({1})).has_value());
  IncomingBatch late = hub.begin();
  hub.add(late, Hub::record(1), Sequence{2}, vector_of(hub.actor, 2), "typed in the field");
  const auto results = hub.store->apply({hub.finish(std::move(late))});
  REQUIRE(results.has_value());
  REQUIRE((*results)[0].exceptions.size() == 1);
  const wire::ChangeException& exception = (*results)[0].exceptions[0];
  CHECK(exception.kind == wire::ExceptionKind::quarantined);
  CHECK(exception.rule == kErasedRule);
  CHECK((*results)[0].touched.empty());
  CHECK_FALSE(hub.store->reader()->record(Hub::record(1))->has_value());
  CHECK(stored_anywhere(hub, "typed in the field"));
  hub.verify();
  const model::Dot dot{hub.actor, Sequence{3}};
  CHECK(rule(hub, dot, HubStore::Ruling::retry).error().is(Errc::conflict));
  SECTION("rejected, it leaves the log as its record did") {
    const auto ruled = rule(hub, dot, HubStore::Ruling::reject);
    REQUIRE(ruled.has_value());
    CHECK(ruled->outcomes == std::vector<model::Dot>{dot});
    CHECK_FALSE(stored_anywhere(hub, "typed in the field"));
    CHECK(hub.store->reader()->ids_after({}, 10)->empty());
  }
  SECTION("accepted, what it says is a record of its own") {
    const auto ruled = rule(hub, dot, HubStore::Ruling::accept);
    REQUIRE(ruled.has_value());
    const auto ids = *hub.store->reader()->ids_after({}, 10);
    REQUIRE(ids.size() == 1);
    CHECK(ids[0] != Hub::record(1));
    REQUIRE(ruled->touched.size() == 1);
    CHECK(ruled->touched[0].record == ids[0]);
    const auto record = *hub.store->reader()->record(ids[0]);
    CHECK(*model::shown(*record, "note") == model::Value(std::string("typed in the field")));
    const auto told = hub.store->reader()->exceptions(hub.actor, Sequence{3}, Sequence{3});
    REQUIRE(told->size() == 1);
    CHECK(told->front().detail.find(to_text(ids[0])) != std::string::npos);
  }
  const auto told = hub.store->reader()->exceptions(hub.actor, Sequence{3}, Sequence{3});
  REQUIRE(told->size() == 1);
  CHECK(told->front().kind == wire::ExceptionKind::unauthorised);
  CHECK(told->front().rule == kErasedRule);
  CHECK_FALSE(hub.store->reader()->record(Hub::record(1))->has_value());
  CHECK(rule(hub, dot, HubStore::Ruling::accept).error().is(Errc::invalid_argument));
  hub.verify();
}

TEST_CASE(
    "erasure: an older copy of the store erases again what the ledger says, and does not ask for "
    "it") {
  Hub hub(any_engine());
  record_one(hub, 1);
  IncomingBatch lost = hub.begin();
  hub.add(lost, Hub::record(1), Sequence{2}, vector_of(hub.actor, 2), "secret at last");
  lost = hub.finish(std::move(lost));
  Hub older(hub.engine);  // the same hub as it was before that
  record_one(older, 1);
  REQUIRE(older.store->add_hold(hold_of(1, 5)).has_value());
  REQUIRE(hub.store->add_hold(hold_of(1, 5)).has_value());
  REQUIRE(hub.store->apply({lost}).has_value());
  REQUIRE(hub.store->lift_hold(hold_of(1, 5).id, {kNow, "judge", "over"}).has_value());
  REQUIRE(hub.store->erase(order_for({1}))->erased.size() == 1);
  const LedgerState ledger = *hub.store->reader()->ledger();
  REQUIRE(ledger.waiting.size() == 3);  // put, lifted, erased
  REQUIRE(hub.store->ledger_written({1, {}}, ledger.last).has_value());
  CHECK(hub.store->reader()->ledger()->waiting.empty());
  CHECK(hub.store->reader()->ledger()->read.number == 1);
  CHECK(hub.store->reader()->whole_ledger()->size() == 2);  // the hold as it stands, and what went
  // In any order, and more than once.
  std::vector<Bytes> entries = ledger.waiting;
  if (GENERATE(false, true)) std::reverse(entries.begin(), entries.end());
  const auto taken = older.store->take_ledger({1, {}}, entries);
  REQUIRE(taken.has_value());
  CHECK(taken->erased == 1);
  CHECK(older.store->take_ledger({1, {}}, entries)->erased == 0);
  CHECK(older.store->reader()->ledger()->read.number == 1);
  CHECK_FALSE(older.store->reader()->record(Hub::record(1))->has_value());
  CHECK_FALSE(stored_anywhere(older, "secret"));
  REQUIRE(older.store->reader()->holds()->size() == 1);
  CHECK(older.store->reader()->holds()->front().lift.has_value());
  // The tablet sends again what this store never had: it was part of what was erased.
  older.chain = hub.chain;
  const auto again = older.store->apply({lost});
  REQUIRE(again.has_value());
  CHECK((*again)[0].kind == BatchResult::Kind::applied);
  CHECK((*again)[0].exceptions.empty());
  CHECK_FALSE(stored_anywhere(older, "secret"));
  // Nor is another tablet's copy of it wanted.
  model::Record copy = model::empty_record(Hub::record(1), "stop", "PPT");
  copy.vv = vector_of(hub.actor, 3);
  CHECK_FALSE(*older.store->reader()->lacks(copy));
  CHECK(*older.store->stage({{hub.device, kNow, copy}}) == 0);
  older.verify();
}

TEST_CASE("erasure: the list also keeps away what never was at this store") {
  Hub hub(any_engine());
  ErasedRecord erased;
  erased.id = Hub::record(1);
  erased.type = "stop";
  erased.unit = "PPT";
  erased.known = vector_of(hub.actor, 1);
  erased.at = kNow;
  erased.rule = "stop: 5 years";
  const Bytes entry = pack_ledger_entry(LedgerKind::erased, pack_erased(erased));
  REQUIRE(hub.store->take_ledger({3, {}}, {entry})->erased == 1);
  const auto results = hub.store->apply({hub.creations({1, 2})});
  REQUIRE(results.has_value());
  CHECK((*results)[0].exceptions.empty());
  CHECK(hub.store->reader()->counts()->records == 1);
  hub.verify();
  CHECK(hub.store->take_ledger({4, {}}, {Bytes{9, 9, 9}}).error().is(Errc::unsupported));
}

TEST_CASE(
    "erasure: a damaged record stays until it is mended, and a hold that cannot be read stops "
    "all") {
  Hub hub(Engine::memory);
  REQUIRE(hub.store->apply({hub.creations({1, 2})}).has_value());
  const auto spoil = [&](TableId table, BytesView key) {
    REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
      FP_TRY(const auto value, write.get(table, key));
      Bytes bytes = to_bytes(*value);
      bytes.back() ^= 1;
      return write.put(table, key, bytes);
    }));
  };
  spoil(hub_tables::kLog, hub_tables::dot_key(hub.actor, Sequence{1}));
  const auto report = hub.store->erase(order_for({1, 2}));
  REQUIRE(report.has_value());
  REQUIRE(report->kept.size() == 1);
  CHECK(report->kept[0].second == Keeps::damage);
  CHECK(report->erased.size() == 1);
  REQUIRE(hub.store->apply({hub.creations({3})}).has_value());
  REQUIRE(hub.store->add_hold(hold_of(3)).has_value());
  spoil(hub_tables::kHolds, hold_of(3).id.view());
  const auto refused = hub.store->erase(order_for({3}));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().is(Errc::corrupt));
  CHECK(hub.store->reader()->record(Hub::record(3))->has_value());
}

TEST_CASE("erasure: bytes kept of a damaged record go with it") {
  Hub hub(Engine::memory);
  record_one(hub, 1);
  REQUIRE(hub.kv->update([&](KvWrite& write) -> Status {
    FP_TRY(const auto value, write.get(hub_tables::kRecords, Hub::record(1).view()));
    Bytes bytes = to_bytes(*value);
    bytes.back() ^= 1;
    return write.put(hub_tables::kRecords, Hub::record(1).view(), bytes);
  }));
  REQUIRE(hub.store->repair({{hub_tables::kRecords, to_bytes(Hub::record(1).view())}}, kNow)
              ->records_mended == 1);
  REQUIRE(hub.store->reader()->damages()->size() == 1);
  REQUIRE(hub.store->erase(order_for({1}))->erased.size() == 1);
  CHECK(hub.store->reader()->damages()->empty());
  CHECK_FALSE(stored_anywhere(hub, "secret"));
  hub.verify();
}

TEST_CASE("erasure: verify finds what the list and the log say differently") {
  Hub hub(Engine::memory);
  record_one(hub, 1);
  REQUIRE(hub.store->erase(order_for({1})).has_value());
  const auto verify = [&] { return hub.store->reader()->verify([](std::uint64_t) {}); };
  REQUIRE(verify().has_value());
  SECTION("a record's entry on the list is gone") {
    REQUIRE(hub.kv->update(
        [&](KvWrite& write) { return write.erase(hub_tables::kErased, Hub::record(1).view()); }));
  }
  SECTION("an erased change belongs to nothing") {
    const Bytes key = hub_tables::record_dot_key(Hub::record(1), hub.actor, Sequence{2});
    REQUIRE(
        hub.kv->update([&](KvWrite& write) { return write.erase(hub_tables::kByRecord, key); }));
  }
  const auto found = verify();
  REQUIRE_FALSE(found);
  CHECK(found.error().is(Errc::corrupt));
}
