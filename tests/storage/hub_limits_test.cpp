// Changes that are each within the limits, and a record that would not be: two tablets' honest work may merge to
// more than a state can carry (shared/base/limits.h). Such a change is set aside with a reason; its batch, and
// everybody else's in the same commit, passes.
#include <memory>

#include "base/limits.h"
#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "wire/codec.h"

using namespace fieldpost;
using namespace fieldpost::storage;

namespace {

crypto::SigningKey key(std::uint8_t name) {
  REQUIRE(crypto::init());
  crypto::Seed seed;
  seed.bytes.fill(name);
  return crypto::signing_key(seed);
}

RecordId record(std::uint8_t name) {
  RecordId id;
  id.bytes.fill(name);
  return id;
}

/// The hub's store over either engine; everybody's changes in one commit.
struct Hub {
  test::TempDir dir;
  std::unique_ptr<Kv> kv;
  std::unique_ptr<HubStore> store;
  crypto::SigningKey hub_key = key(1);
  HubId id = *HubId::from(hub_key.public_key.view());

  explicit Hub(bool lmdb) {
    if (lmdb) {
      LmdbOptions options;
      options.directory = dir / "store";
      for (std::size_t i = 0; i < hub_tables::kTableCount; ++i)
        options.tables.push_back("t" + std::to_string(i));
      options.format_name = "fieldpost-test";
      options.create = true;
      kv = LmdbKv::open(options).value();
    } else {
      kv = std::make_unique<MemoryKv>(hub_tables::kTableCount);
    }
    const auto codec = [] {
      return std::make_unique<ChecksumCodec>(crypto::SymmetricKey{}, wire::Dictionary::v1());
    };
    store = open_hub_store(*kv, codec, {id, Epoch{}, StartId{}}).value();
  }
  std::vector<BatchResult> apply(const std::vector<IncomingBatch>& batches) {
    auto results = store->apply(batches);
    INFO((results ? std::string() : results.error().message()));
    REQUIRE(results.has_value());
    for (const BatchResult& result : *results) REQUIRE(result.kind == BatchResult::Kind::applied);
    return *std::move(results);
  }
  model::Record get(const RecordId& of) const { return **store->reader()->record(of); }
  void verify() const {
    const auto report = store->reader()->verify([](std::uint64_t) {});
    INFO((report ? std::string() : report.error().message()));
    CHECK(report.has_value());
  }
};

/// One tablet's chain.
class Tablet {
 public:
  Tablet(const Hub& hub, std::uint64_t actor, std::uint8_t device = 2)
      : key_(key(device)), device_(*DeviceId::from(key_.public_key.view())), actor_{actor} {
    hash_ = wire::chain_start(hub.id, device_, actor_);
    begin();
  }
  /// Adds an edit to the batch under way.
  model::Dot edit(const RecordId& id, std::string path, std::string value,
                  model::VersionVector context = {}) {
    model::Change change;
    change.record = id;
    change.dot = {actor_, head_.next()};
    change.prev = previous_[id];
    change.type = "stop";
    change.unit = "PPT";
    change.context = std::move(context);
    if (change.context[actor_] < change.prev) change.context.add({actor_, change.prev});
    change.edits = {{std::move(path), std::move(value)}};
    change.author = "officer";
    change.salt.bytes.fill(static_cast<std::uint8_t>(head_.value));
    head_ = previous_[id] = change.dot.counter;
    add(change);
    return change.dot;
  }
  /// Several edits of one change: `texts` values of the largest size.
  void edit_large(const RecordId& id, int number, int texts) {
    model::Change change;
    change.record = id;
    change.dot = {actor_, head_.next()};
    change.prev = previous_[id];
    change.type = "stop";
    change.unit = "PPT";
    if (change.prev.value > 0) change.context.add({actor_, change.prev});
    for (int i = 0; i < texts; ++i) {
      change.edits.push_back(
          {"persons/p" + std::to_string(1'000 + number) + "/t" + std::to_string(i),
           std::string(limits::kTextBytesMax, static_cast<char>('a' + i))});
    }
    change.author = "officer";
    head_ = previous_[id] = change.dot.counter;
    add(change);
  }
  IncomingBatch finish() {
    IncomingBatch batch = std::move(batch_);
    batch.head = hash_;
    batch.signature = wire::sign_head(key_, device_, actor_, head_, hash_);
    begin();
    return batch;
  }
  ActorId actor() const { return actor_; }

 private:
  void begin() {
    batch_ = {};
    batch_.device = device_;
    batch_.actor = actor_;
    batch_.first = head_.next();
    batch_.previous = hash_;
    batch_.received = Instant{1'000};
    batch_.granted = {"PPT"};
  }
  void add(const model::Change& change) {
    Bytes frame = *wire::encode_change(change);
    hash_ = wire::chain_next(hash_, frame);
    batch_.changes.push_back({std::move(frame), change.record, change.dot.counter, change.prev,
                              change, std::nullopt, std::nullopt});
  }

  crypto::SigningKey key_;
  DeviceId device_;
  ActorId actor_;
  Hash hash_;
  Sequence head_;
  std::map<RecordId, Sequence> previous_;
  IncomingBatch batch_;
};

/// A record with the largest vector but one: written by that many stores of tablets.
void fill_vector(Hub& hub, const RecordId& id) {
  std::vector<IncomingBatch> batches;
  for (std::size_t i = 1; i < limits::kVectorEntriesMax; ++i) {
    Tablet writer(hub, i);
    writer.edit(id, "persons/p" + std::to_string(i) + "/note", "seen");
    batches.push_back(writer.finish());
  }
  hub.apply(std::move(batches));
  REQUIRE(hub.get(id).vv.size() == limits::kVectorEntriesMax - 1);
}

/// The change was kept and not merged, its reason is told, and what came with it is there.
void check_set_aside(Hub& hub, const BatchResult& result, const model::Dot& dot,
                     const RecordId& beside) {
  REQUIRE(result.exceptions.size() == 1);
  const wire::ChangeException& told = result.exceptions.front();
  CHECK(told.actor == dot.actor);
  CHECK(told.counter == dot.counter);
  CHECK(told.kind == wire::ExceptionKind::quarantined);
  CHECK(told.rule == "too_large");
  INFO(told.detail);
  CHECK(told.detail.find("at most") != std::string::npos);
  const auto reader = hub.store->reader();
  CHECK(reader->log(dot.actor, dot.counter)->has_value());
  CHECK(reader->record(beside)->has_value());
  CHECK_FALSE(hub.get(record(1)).vv.covers(dot));
  REQUIRE(reader->quarantine(10)->size() == 1);
  CHECK(reader->quarantine(10)->front().exception == told);
  hub.verify();
}

}  // namespace

TEST_CASE("hub store: a vector that two tablets fill beyond its limit keeps the later one aside") {
  Hub hub(GENERATE(false, true));
  const RecordId full = record(1);
  fill_vector(hub, full);
  Tablet alice(hub, 0xA000, 3);
  Tablet bob(hub, 0xB000, 4);
  alice.edit(full, "witness", "Chan Dara");
  alice.edit(record(2), "witness", "Chan Dara");
  const model::Dot bobs = bob.edit(full, "witness", "Meas Sophea");
  bob.edit(record(3), "witness", "Meas Sophea");
  const auto alices_batch = alice.finish();
  const auto bobs_batch = bob.finish();
  const auto results = hub.apply({alices_batch, bobs_batch});
  CHECK(results[0].exceptions.empty());
  check_set_aside(hub, results[1], bobs, record(3));
  CHECK(hub.get(full).vv.size() == limits::kVectorEntriesMax);

  SECTION("replayed, it is answered as the first time") {
    const auto again = hub.apply({alices_batch, bobs_batch});
    CHECK(again[1].exceptions == results[1].exceptions);
    hub.verify();
  }
  SECTION("those who are in the vector go on, who is not waits behind his first") {
    alice.edit(full, "plate", "2A-1234");
    bob.edit(full, "plate", "2A-1284");
    bob.edit(record(3), "plate", "2A-1284");
    const auto more = hub.apply({alice.finish(), bob.finish()});
    CHECK(more[0].exceptions.empty());
    REQUIRE(more[1].exceptions.size() == 1);
    CHECK(more[1].exceptions[0].kind == wire::ExceptionKind::held);
    CHECK(model::shown(hub.get(record(3)), "plate") != nullptr);
    hub.verify();
  }
  SECTION("a ruling cannot force it in, and says why") {
    for (const auto ruling : {HubStore::Ruling::retry, HubStore::Ruling::accept}) {
      HubStore::RulingInput input;
      input.actor = bobs.actor;
      input.counter = bobs.counter;
      input.ruling = ruling;
      input.author = "OP-01";
      input.note = "let it in";
      const auto refused = hub.store->rule(
          input, ActorId{0xFF}, [](ActorId, Sequence, const Hash&) { return crypto::Signature{}; });
      REQUIRE_FALSE(refused.has_value());
      CHECK(refused.error().is(Errc::too_large));
      CHECK(hub.store->reader()->quarantine(10)->size() == 1);
    }
    hub.verify();
  }
}

TEST_CASE("hub store: a record that gets more groups than its limit keeps the change aside") {
  Hub hub(false);
  const RecordId full = record(1);
  Tablet alice(hub, 0xA000, 3);
  Tablet bob(hub, 0xB000, 4);
  for (std::size_t i = 0; i < limits::kGroupsMax - 1; ++i)
    alice.edit(full, "persons/p" + std::to_string(i) + "/note", "seen");
  CHECK(hub.apply({alice.finish()})[0].exceptions.empty());
  alice.edit(full, "witness", "Chan Dara");
  const model::Dot bobs = bob.edit(full, "witness", "Meas Sophea");
  bob.edit(record(3), "witness", "Meas Sophea");
  const auto results = hub.apply({alice.finish(), bob.finish()});
  CHECK(results[0].exceptions.empty());
  check_set_aside(hub, results[1], bobs, record(3));
  CHECK(hub.get(full).groups.size() == limits::kGroupsMax);

  // What replaces a value needs no new group: whoever has seen the values goes on.
  alice.edit(full, "persons/p0/note", "seen twice");
  alice.edit(full, "witness", "Chan Dara and another");
  CHECK(hub.apply({alice.finish()})[0].exceptions.empty());
  CHECK(hub.get(full).groups.size() == limits::kGroupsMax);
  hub.verify();
}

TEST_CASE("hub store: a record that grows beyond its bytes keeps the change aside") {
  Hub hub(false);
  const RecordId full = record(1);
  Tablet alice(hub, 0xA000, 3);
  Tablet bob(hub, 0xB000, 4);
  int number = 0;
  const int fit = static_cast<int>(limits::kRecordBytesMax / (3 * (limits::kTextBytesMax + 64)));
  for (; number < fit; ++number) alice.edit_large(full, number, 3);
  CHECK(hub.apply({alice.finish()})[0].exceptions.empty());
  const auto bytes = wire::encode_record(hub.get(full))->size();
  REQUIRE(bytes <= limits::kRecordBytesMax);
  REQUIRE(bytes + 3 * limits::kTextBytesMax > limits::kRecordBytesMax);
  bob.edit_large(full, number, 3);
  const model::Dot bobs{bob.actor(), {1}};
  bob.edit(record(3), "witness", "Meas Sophea");
  const auto results = hub.apply({bob.finish()});
  check_set_aside(hub, results[0], bobs, record(3));
}

TEST_CASE("hub store: what waited and would make its record too large when released is set aside") {
  Hub hub(false);
  const RecordId full = record(1);
  fill_vector(hub, full);
  Tablet alice(hub, 0xA000, 3);
  Tablet bob(hub, 0xB000, 4);
  // Bob has seen Alice's change; his arrives first and waits. With hers the vector is full.
  model::VersionVector seen;
  seen.add({alice.actor(), {1}});
  const model::Dot bobs = bob.edit(full, "witness", "Meas Sophea", seen);
  const auto early = hub.apply({bob.finish()});
  REQUIRE(early[0].exceptions.size() == 1);
  REQUIRE(early[0].exceptions[0].kind == wire::ExceptionKind::held);
  alice.edit(full, "witness", "Chan Dara");
  alice.edit(record(2), "witness", "Chan Dara");
  const auto results = hub.apply({alice.finish()});
  CHECK(results[0].exceptions.empty());
  const auto reader = hub.store->reader();
  CHECK(reader->held(10)->empty());
  REQUIRE(reader->quarantine(10)->size() == 1);
  CHECK(reader->quarantine(10)->front().exception.rule == "too_large");
  // Its tablet hears of it at its next welcome.
  const auto told = *reader->unconfirmed({bobs.actor}, 10);
  REQUIRE(told.size() == 1);
  CHECK(told[0].kind == wire::ExceptionKind::quarantined);
  CHECK(hub.get(full).vv.size() == limits::kVectorEntriesMax);
  hub.verify();
}
