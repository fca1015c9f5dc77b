// The clauses of shared/storage/hub_store.h, over every engine.
#include "storage/hub_backup.h"
#include "storage/kv_tables.h"
#include "tests/storage/hub_store_fixture.h"

using namespace fieldpost;
using namespace fieldpost::test::hub_fixture;

TEST_CASE("hub store: what was applied is there after reopening, log and record alike") {
  Hub hub(any_engine());
  const auto results = hub.store->apply({hub.creations({1, 2, 3})});
  REQUIRE(results.has_value());
  CHECK((*results)[0].kind == BatchResult::Kind::applied);
  CHECK((*results)[0].head == Sequence{3});
  REQUIRE((*results)[0].touched.size() == 3);
  CHECK((*results)[0].touched[0].position_before == 0);
  CHECK((*results)[0].touched[0].direct);
  const HubIdentity before = hub.store->identity();
  const Hash digest = *hub.store->reader()->digest("PPT");
  hub.reopen();
  // Nobody said that it had stopped cleanly: it might be an older copy.
  CHECK(hub.store->identity().epoch != before.epoch);
  CHECK(*hub.store->reader()->digest("PPT") == digest);
  CHECK(hub.store->reader()->counts()->records == 3);
  CHECK(hub.store->reader()->counts()->changes == 3);
  CHECK((*hub.store->reader()->actor(hub.actor))->head == Sequence{3});
  CHECK(hub.store->reader()->history(Hub::record(2))->size() == 1);
  hub.verify();
}

TEST_CASE("hub store: what was prepared ahead is stored as the writer would have made it") {
  // One commit: creations, an edit of one of them, one that waits and what it waits for, one
  // quarantined, one of a unit not granted, and a change of another tablet on a new record.
  const auto stored = [](bool prepared, Engine engine) {
    Hub hub(engine);
    IncomingBatch batch = hub.begin();
    hub.add(batch, Hub::record(1), {}, {}, "new");
    hub.add(batch, Hub::record(2), {}, {}, "new");
    hub.add(batch, Hub::record(1), Sequence{1}, vector_of(hub.actor, 1), "edited");
    hub.add(batch, Hub::record(3), Sequence{2}, {}, "early");
    hub.add(batch, Hub::record(4), {}, {}, "odd");
    batch.changes.back().quarantine = quarantined(batch.changes.back(), hub.actor);
    hub.unit = "BVT";
    hub.add(batch, Hub::record(5), {}, {}, "elsewhere");
    hub.unit = "PPT";
    batch = hub.finish(std::move(batch));
    IncomingBatch later = hub.creations({6, 7});
    IncomingBatch last = hub.begin();
    hub.add(last, Hub::record(2), Sequence{2}, vector_of(hub.actor, 2), "edited in another commit");
    last = hub.finish(std::move(last));
    if (prepared) {
      for (IncomingBatch* one : {&batch, &later, &last}) hub.store->reader()->prepare(*one);
      CHECK(batch.changes[0].prepared->created.has_value());
      CHECK_FALSE(batch.changes[2].prepared->created.has_value());
      CHECK_FALSE(batch.changes[4].prepared->created.has_value());
    }
    const auto results = hub.store->apply({batch, later});
    REQUIRE(results.has_value());
    CHECK((*results)[0].exceptions.size() == 3);
    CHECK((*results)[0].touched.size() == 2);
    REQUIRE(hub.store->apply({last}).has_value());
    hub.verify();
    return hub.everything();
  };
  const Engine engine = any_engine();
  CHECK(stored(true, engine) == stored(false, engine));
}

TEST_CASE("hub store: replaying a batch is a no-op that answers as the first time") {
  Hub hub(any_engine());
  IncomingBatch batch = hub.creations({1, 2, 3});
  batch.changes[1].quarantine = quarantined(batch.changes[1], hub.actor);
  const auto first = hub.store->apply({batch});
  REQUIRE(first.has_value());
  REQUIRE((*first)[0].exceptions.size() == 1);
  const std::uint64_t end = *hub.store->reader()->feed_end("PPT");
  const bool reopened = GENERATE(false, true);
  if (reopened) hub.reopen();
  const auto again = hub.store->apply({batch, batch});
  REQUIRE(again.has_value());
  for (const BatchResult& result : *again) {
    CHECK(result.kind == BatchResult::Kind::applied);
    CHECK(result.head == (*first)[0].head);
    CHECK(result.hash == (*first)[0].hash);
    CHECK(result.exceptions == (*first)[0].exceptions);
    CHECK(result.touched.empty());
  }
  CHECK(*hub.store->reader()->feed_end("PPT") == end);
  CHECK(hub.store->reader()->counts()->changes == 3);
  // Also when more has come since.
  REQUIRE(hub.store->apply({hub.creations({4})}).has_value());
  CHECK((*hub.store->apply({batch}))[0].head == Sequence{3});
  CHECK((*hub.store->reader()->actor(hub.actor))->head == Sequence{4});
  hub.verify();
}

TEST_CASE("hub store: a batch that does not continue the chain writes nothing") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1})}).has_value());
  const Hash durable = hub.chain;
  const IncomingBatch lost = hub.creations({2});
  const IncomingBatch after = hub.creations({3});
  const auto ahead = hub.store->apply({after});
  REQUIRE(ahead.has_value());
  CHECK((*ahead)[0].kind == BatchResult::Kind::rewind);
  CHECK((*ahead)[0].head == Sequence{1});
  CHECK((*ahead)[0].hash == durable);
  IncomingBatch other_past = lost;
  other_past.previous.bytes[0] ^= 1;
  CHECK((*hub.store->apply({other_past}))[0].kind == BatchResult::Kind::rewind);
  CHECK(hub.store->reader()->counts()->changes == 1);
  for (const BatchResult& result : *hub.store->apply({lost, after}))
    CHECK(result.kind == BatchResult::Kind::applied);
  hub.verify();
}

TEST_CASE("hub store: a record stands in the feed once, at its newest position") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2, 3})}).has_value());
  const auto reader = hub.store->reader();
  REQUIRE(hub.feed(0).size() == 3);
  const std::uint64_t seen = hub.feed(0).back().position;
  IncomingBatch edit = hub.begin();
  hub.add(edit, Hub::record(1), Sequence{1}, (*reader->record(Hub::record(1)))->vv, "edited");
  hub.add(edit, Hub::record(1), Sequence{4}, (*reader->record(Hub::record(1)))->vv, "and again");
  const auto applied = hub.store->apply({hub.finish(std::move(edit))});
  REQUIRE(applied.has_value());
  const auto all = hub.feed(0);
  REQUIRE(all.size() == 3);
  CHECK(all.back().record == Hub::record(1));
  // Nothing appears at or below a position that was returned.
  const auto fresh = hub.feed(seen);
  REQUIRE(fresh.size() == 1);
  CHECK(fresh[0].position > seen);
  CHECK(fresh[0].state == *wire::encode_record(**reader->record(Hub::record(1))));
  hub.reopen();
  REQUIRE(hub.store->apply({hub.creations({9})}).has_value());
  CHECK(hub.feed(fresh[0].position).size() == 1);
  CHECK(hub.feed(seen).size() == 2);
}

TEST_CASE("hub store: feed pages meet their bounds and join without gaps") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1, 2, 3, 4, 5, 6, 7})}).has_value());
  const auto reader = hub.store->reader();
  std::vector<RecordId> seen;
  std::uint64_t at = 0;
  for (bool more = true; more;) {
    const auto page = reader->feed("PPT", at, 6, 1 << 20, 2);
    REQUIRE(page.has_value());
    CHECK(page->entries.size() <= 2);
    for (const FeedEntry& entry : page->entries) {
      CHECK(entry.position > at);
      CHECK(entry.position <= 6);
      seen.push_back(entry.record);
    }
    at = page->end_position;
    more = !page->caught_up;
  }
  CHECK(seen.size() == 6);
  CHECK(reader->feed("PPT", 0, 7, 1, 100)->entries.size() == 1);  // at least one, whatever its size
  CHECK(reader->feed("BTB", 0, 7, 1 << 20, 100)->entries.empty());
}

TEST_CASE("hub store: exceptions are durable and repeated until the very outcome is confirmed") {
  Hub hub(any_engine());
  IncomingBatch batch = hub.creations({1, 2});
  batch.changes[0].quarantine = quarantined(batch.changes[0], hub.actor);
  REQUIRE(hub.store->apply({batch}).has_value());
  hub.reopen();
  const auto reader = hub.store->reader();
  REQUIRE(reader->unconfirmed({hub.actor}, 10)->size() == 1);
  REQUIRE(hub.store->confirm({{hub.actor, Sequence{1}, wire::ExceptionKind::held}}));
  CHECK(reader->unconfirmed({hub.actor}, 10)->size() ==
        1);  // another outcome than the one that stands
  REQUIRE(hub.store->confirm({{hub.actor, Sequence{1}, wire::ExceptionKind::quarantined}}));
  CHECK(reader->unconfirmed({hub.actor}, 10)->empty());
  CHECK(reader->exceptions(hub.actor, Sequence{1}, Sequence{2})->size() == 1);
  CHECK(reader->quarantine(10)->size() == 1);
  CHECK(reader->counts()->quarantined == 1);
}

TEST_CASE("hub store: a held change is refused when its record turns out to be of another type") {
  Hub hub(any_engine());
  const RecordId id = Hub::record(1);
  const model::Dot creation{ActorId{0xB2}, Sequence{1}};
  model::VersionVector seen;
  seen.add(creation);
  IncomingBatch early = hub.begin();
  hub.add(early, id, {}, seen, "says stop");
  const auto held = hub.store->apply({hub.finish(std::move(early))});
  REQUIRE(held.has_value());
  REQUIRE((*held)[0].exceptions.size() == 1);
  REQUIRE((*held)[0].exceptions[0].kind == wire::ExceptionKind::held);
  REQUIRE(hub.store->confirm({{hub.actor, Sequence{1}, wire::ExceptionKind::held}}));

  hub.device_key = key(3);
  hub.device = id_of<DeviceId>(hub.device_key.public_key);
  hub.actor = creation.actor;
  hub.head = {};
  hub.chain = wire::chain_start(hub.hub, hub.device, hub.actor);
  hub.type = "case";
  REQUIRE(hub.store->apply({hub.creations({1})}).has_value());

  const auto reader = hub.store->reader();
  CHECK(reader->held(10)->empty());
  const auto told = *reader->unconfirmed({ActorId{0xA1}}, 10);
  REQUIRE(told.size() == 1);
  CHECK(told[0].kind == wire::ExceptionKind::unauthorised);
  CHECK(told[0].rule == "mismatch");
  CHECK((*reader->record(id))->type == "case");
  hub.verify();
}

TEST_CASE("hub store: another device cannot continue a chain, a revoked one cannot write") {
  Hub hub(any_engine());
  REQUIRE(hub.store->apply({hub.creations({1})}).has_value());
  IncomingBatch stolen = hub.creations({2});
  stolen.device = id_of<DeviceId>(key(3).public_key);
  CHECK((*hub.store->apply({stolen}))[0].kind == BatchResult::Kind::foreign);
  stolen.device = hub.device;
  auto device = **hub.store->reader()->device(hub.device);
  device.standing = DeviceStanding::revoked;
  REQUIRE(hub.store->put_device(device));
  CHECK((*hub.store->apply({stolen}))[0].kind == BatchResult::Kind::revoked);
  // A session's older copy does not lift it.
  device.standing = DeviceStanding::active;
  device.last_contact = Instant{5};
  REQUIRE(hub.store->note_contacts({device}));
  CHECK((*hub.store->reader()->device(hub.device))->standing == DeviceStanding::revoked);
  CHECK((*hub.store->reader()->device(hub.device))->last_contact == Instant{5});
  CHECK((*hub.store->apply({stolen}))[0].kind == BatchResult::Kind::revoked);
  CHECK(hub.store->reader()->counts()->changes == 1);
  hub.verify();
}

TEST_CASE("hub store: an enrolment code is used once, in time") {
  Hub hub(any_engine());
  Invitation invitation;
  invitation.code_hash.bytes.fill(5);
  invitation.device_name = "T09";
  invitation.unit = "PPT";
  invitation.expires = Instant{100};
  REQUIRE(hub.store->put_invitation(invitation));
  const DeviceId fresh = id_of<DeviceId>(key(9).public_key);
  CHECK(hub.store->enrol(invitation.code_hash, fresh, Instant{101}).error().is(Errc::expired));
  REQUIRE(hub.store->enrol(invitation.code_hash, fresh, Instant{100}).has_value());
  const DeviceId another = id_of<DeviceId>(key(10).public_key);
  CHECK(hub.store->enrol(invitation.code_hash, another, Instant{100}).error().is(Errc::not_found));
  CHECK((*hub.store->reader()->device(fresh))->name == "T09");
  CHECK_FALSE(hub.store->reader()->device(another)->has_value());
}

TEST_CASE(
    "hub store: a lost enrolment answer is given again, to its device and in the code's life") {
  Hub hub(any_engine());
  Invitation invitation;
  invitation.code_hash.bytes.fill(5);
  invitation.device_name = "T09";
  invitation.unit = "PPT";
  invitation.expires = Instant{100};
  REQUIRE(hub.store->put_invitation(invitation));
  const std::size_t devices = hub.store->reader()->devices()->size();
  const DeviceId fresh = id_of<DeviceId>(key(9).public_key);
  const auto first = hub.store->enrol(invitation.code_hash, fresh, Instant{50});
  REQUIRE(first.has_value());
  hub.reopen();
  const auto again = hub.store->enrol(invitation.code_hash, fresh, Instant{100});
  REQUIRE(again.has_value());
  CHECK(again->id == first->id);
  CHECK(again->name == "T09");
  CHECK(again->unit == "PPT");
  CHECK(again->enrolled == Instant{50});
  CHECK(hub.store->reader()->devices()->size() == devices + 1);
  CHECK(hub.store->enrol(invitation.code_hash, fresh, Instant{101}).error().is(Errc::expired));

  Device revoked = *again;
  revoked.standing = DeviceStanding::revoked;
  REQUIRE(hub.store->put_device(revoked));
  CHECK(hub.store->enrol(invitation.code_hash, fresh, Instant{60}).error().is(Errc::not_found));

  // Codes past their life do not pile up.
  Invitation later = invitation;
  later.code_hash.bytes.fill(6);
  later.device_name = "T10";
  later.expires = Instant{500};
  REQUIRE(hub.store->put_invitation(later));
  REQUIRE(hub.store->enrol(later.code_hash, id_of<DeviceId>(key(10).public_key), Instant{400}));
  CHECK(hub.store->enrol(invitation.code_hash, fresh, Instant{60}).error().is(Errc::not_found));
}

TEST_CASE("hub store: a store belongs to one hub key") {
  Hub hub(any_engine());
  const HubId other = id_of<HubId>(key(8).public_key);
  const auto opened = open_hub_store(*hub.kv, [] { return std::make_unique<PlainCodec>(); },
                                     {other, Epoch{}, StartId{}});
  REQUIRE_FALSE(opened.has_value());
  CHECK(opened.error().is(Errc::conflict));
}

TEST_CASE("hub store: a failed commit leaves all or nothing, and the retry is safe") {
  const auto fate = GENERATE(CommitFate::fail_before, CommitFate::fail_after, CommitFate::full);
  Hub hub(Engine::memory);
  REQUIRE(hub.store->apply({hub.creations({1})}).has_value());
  IncomingBatch one = hub.creations({2, 3});
  IncomingBatch two = hub.creations({4});
  one.changes[0].quarantine = quarantined(one.changes[0], hub.actor);
  hub.memory().set_faults(MemoryFaults::at(hub.memory().commits() + 1, fate));
  const auto failed = hub.store->apply({one, two});
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().is(fate == CommitFate::full ? Errc::store_full : Errc::store_failed));
  if (fate == CommitFate::full) {
    hub.memory().set_faults({});
  } else {
    CHECK_FALSE(hub.store->apply({one, two}).has_value());  // refused until reopened
    hub.reopen();
  }
  CHECK(hub.store->reader()->counts()->changes == (fate == CommitFate::fail_after ? 4u : 1u));
  hub.verify();
  const auto retried = hub.store->apply({one, two});
  REQUIRE(retried.has_value());
  for (const BatchResult& result : *retried) CHECK(result.kind == BatchResult::Kind::applied);
  CHECK((*retried)[0].head == Sequence{3});
  CHECK((*retried)[0].exceptions.size() == 1);
  CHECK((*retried)[1].head == Sequence{4});
  CHECK(hub.store->reader()->counts()->changes == 4);
  CHECK(hub.store->reader()->counts()->records == 3);
  hub.verify();
}

TEST_CASE("hub store: the backed-up watermark never passes the head and falls only when restated") {
  Hub hub(any_engine());
  using BackedUp = HubStore::BackedUp;
  REQUIRE(hub.store->apply({hub.creations({1, 2, 3})}).has_value());
  const auto watermark = [&] { return hub.store->reader()->backed_up(hub.actor)->value; };
  CHECK(watermark() == 0);
  const ActorId stranger{0xB2};
  REQUIRE(hub.store->put_backed_up({{hub.actor, Sequence{2}}, {stranger, Sequence{9}}},
                                   BackedUp::raise));
  CHECK(watermark() == 2);
  CHECK(hub.store->reader()->backed_up(stranger)->value == 0);  // unknown here
  REQUIRE(hub.store->put_backed_up({{hub.actor, Sequence{1}}}, BackedUp::raise));
  CHECK(watermark() == 2);
  REQUIRE(hub.store->put_backed_up({}, BackedUp::raise));
  CHECK(watermark() == 2);
  REQUIRE(hub.store->put_backed_up({{hub.actor, Sequence{9}}}, BackedUp::raise));
  CHECK(watermark() == 3);  // what this store does not have is no backup of it
  hub.reopen();
  CHECK(watermark() == 3);
  REQUIRE(hub.store->put_backed_up({{hub.actor, Sequence{1}}}, BackedUp::restate));
  CHECK(watermark() == 1);
  REQUIRE(hub.store->put_backed_up({}, BackedUp::restate));
  CHECK(watermark() == 0);
}

TEST_CASE("hub store: its tables, walked and loaded, are the same store under a new epoch") {
  Hub hub(any_engine());
  IncomingBatch batch = hub.creations({1, 2, 3});
  batch.changes[1].quarantine = quarantined(batch.changes[1], hub.actor);
  REQUIRE(hub.store->apply({batch}).has_value());
  MemoryKv copy(hub_tables::kTableCount);
  TableLoader loader(copy);
  ChecksumCodec codec(
      [] {
        crypto::SymmetricKey checksum;
        checksum.bytes.fill(7);
        return checksum;
      }(),
      wire::Dictionary::v1());
  ActorHeads heads;
  REQUIRE(walk_tables(*hub.kv, hub_tables::kTableCount,
                      [&](TableId table, BytesView key, BytesView value) -> Status {
                        FP_CHECK_OK(check_hub_entry(codec, table, key, value));
                        FP_TRY(const auto head, head_in(table, key, value));
                        if (head) heads.push_back(*head);
                        return loader.add(table, key, value);
                      }));
  REQUIRE(loader.finish());
  CHECK(heads == ActorHeads{{hub.actor, Sequence{3}}});
  const auto before = hub.everything();
  const HubIdentity identity = hub.store->identity();
  CHECK_FALSE(restored_at(copy)->has_value());
  Epoch fresh;
  fresh.bytes.fill(0xEE);
  REQUIRE(copy.update([](KvWrite& write) {
    return write.put(hub_tables::kMeta, as_bytes(hub_tables::kMetaCleanStop), Bytes{1});
  }));
  REQUIRE(mark_restored(copy, fresh, Instant{77}));
  CHECK(restored_at(copy)->value() == Instant{77});
  CHECK(copy.view([&](const KvRead& read) -> Status {
    FP_TRY(const auto epoch, read.get(hub_tables::kMeta, as_bytes(hub_tables::kMetaEpoch)));
    return epoch && to_bytes(*epoch) == to_bytes(fresh.view())
               ? Status{}
               : fail(Errc::conflict, "it did not get the fresh epoch");
  }));
  hub.engine = Engine::memory;
  hub.store.reset();
  hub.kv = std::make_unique<MemoryKv>(hub_tables::kTableCount, copy.snapshot());
  hub.open();
  CHECK(hub.store->identity().epoch != identity.epoch);
  CHECK(hub.everything() == before);
  CHECK(hub.kv->view([](const KvRead& read) -> Status {
    FP_TRY(const auto mark, read.get(hub_tables::kMeta, as_bytes(hub_tables::kMetaCleanStop)));
    return mark ? fail(Errc::conflict, "the mark of a clean stop came along") : Status{};
  }));
  hub.verify();
}

TEST_CASE(
    "hub store: a value that was damaged or stands under another key does not pass the check") {
  Hub hub(Engine::memory);
  REQUIRE(hub.store->apply({hub.creations({1, 2})}).has_value());
  crypto::SymmetricKey checksum;
  checksum.bytes.fill(7);
  ChecksumCodec codec(checksum, wire::Dictionary::v1());
  for (const auto& [table, key, value] : hub.everything()) {
    if (table != hub_tables::kRecords && table != hub_tables::kLog) continue;
    CHECK(check_hub_entry(codec, table, key, value));
    Bytes damaged = value;
    damaged[damaged.size() / 2] ^= 1;
    CHECK_FALSE(check_hub_entry(codec, table, key, damaged));
    Bytes elsewhere = key;
    elsewhere.back() ^= 1;
    CHECK_FALSE(check_hub_entry(codec, table, elsewhere, value));
  }
}
