// A hub's store for tests, over every engine, with one device and one chain; closed and opened again at will.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>
#include <tuple>

#include "storage/hub_tables.h"
#include "storage/kv_hub_store.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "wire/codec.h"

namespace fieldpost::test::hub_fixture {

using namespace fieldpost::storage;

enum class Engine { memory, lmdb };

inline crypto::SigningKey key(std::uint8_t name) {
  REQUIRE(crypto::init());
  crypto::Seed seed;
  seed.bytes.fill(name);
  return crypto::signing_key(seed);
}

template <class Id>
Id id_of(const crypto::PublicKey& key) {
  return *Id::from(key.view());
}

/// A hub's store that can be closed and opened again, and one device with one chain.
struct Hub {
  Engine engine;
  test::TempDir dir;
  std::unique_ptr<Kv> kv;
  std::unique_ptr<HubStore> store;
  crypto::SigningKey hub_key = key(1);
  crypto::SigningKey device_key = key(2);
  HubId hub = id_of<HubId>(hub_key.public_key);
  DeviceId device = id_of<DeviceId>(device_key.public_key);
  ActorId actor{0xA1};
  Hash chain = wire::chain_start(hub, device, actor);
  Sequence head;
  std::uint8_t salt = 0;
  std::string type = "stop";  ///< of the records that `add` writes
  std::string unit = "PPT";

  explicit Hub(Engine which) : engine(which) {
    if (engine == Engine::memory) kv = std::make_unique<MemoryKv>(hub_tables::kTableCount);
    open();
    Device entry;
    entry.id = device;
    entry.name = "T01";
    entry.unit = "PPT";
    REQUIRE(store->put_unit({"PPT", "Poipet", "enforcement"}));
    REQUIRE(store->put_device(entry));
  }

  void open() {
    if (engine == Engine::lmdb) {
      kv.reset();
      LmdbOptions options;
      options.directory = dir / "store";
      for (std::size_t i = 0; i < hub_tables::kTableCount; ++i)
        options.tables.push_back("t" + std::to_string(i));
      options.format_name = "fieldpost-test";
      options.create = true;
      auto opened = LmdbKv::open(options);
      REQUIRE(opened.has_value());
      kv = *std::move(opened);
    } else {
      kv = std::make_unique<MemoryKv>(hub_tables::kTableCount,
                                      static_cast<MemoryKv&>(*kv).snapshot());
    }
    Epoch epoch;
    epoch.bytes.fill(salt++);
    StartId start;
    start.bytes.fill(salt);
    if (const auto kept = clean_epoch(*kv); kept && *kept) epoch = **kept;
    const auto make_codec = [] {
      crypto::SymmetricKey checksum;
      checksum.bytes.fill(7);
      return std::make_unique<ChecksumCodec>(checksum, wire::Dictionary::v1());
    };
    auto made = open_hub_store(*kv, make_codec, {hub, epoch, start});
    REQUIRE(made.has_value());
    store = *std::move(made);
  }
  void reopen() {
    store.reset();
    open();
  }
  MemoryKv& memory() { return static_cast<MemoryKv&>(*kv); }

  static RecordId record(std::uint8_t name) {
    RecordId id;
    id.bytes.fill(name);
    return id;
  }

  /// Appends one change to the device's chain and to the batch.
  void add(IncomingBatch& batch, const RecordId& id, Sequence prev, model::VersionVector context,
           std::string note) {
    model::Change change;
    change.record = id;
    change.dot = {actor, head.next()};
    change.prev = prev;
    change.type = type;
    change.unit = unit;
    change.context = std::move(context);
    change.edits = {{"note", std::move(note)}};
    change.author = "alice";
    change.salt.bytes.fill(++salt);
    Bytes frame = *wire::encode_change(change);
    chain = wire::chain_next(chain, frame);
    head = change.dot.counter;
    batch.changes.push_back({std::move(frame), id, head, prev, change, std::nullopt, std::nullopt});
  }

  IncomingBatch begin() const {
    IncomingBatch batch;
    batch.device = device;
    batch.actor = actor;
    batch.first = head.next();
    batch.previous = chain;
    batch.received = Instant{1'000};
    batch.granted = {"PPT"};
    return batch;
  }
  IncomingBatch finish(IncomingBatch batch) const {
    batch.head = chain;
    batch.signature = wire::sign_head(device_key, device, actor, head, chain);
    return batch;
  }
  IncomingBatch creations(std::initializer_list<std::uint8_t> names) {
    IncomingBatch batch = begin();
    for (std::uint8_t name : names) add(batch, record(name), {}, {}, "new");
    return finish(std::move(batch));
  }

  /// Every key and value of every table but meta, whose epoch differs from store to store.
  std::vector<std::tuple<TableId, Bytes, Bytes>> everything() const {
    std::vector<std::tuple<TableId, Bytes, Bytes>> all;
    REQUIRE(kv->view([&](const KvRead& read) -> Status {
      for (TableId table = hub_tables::kMeta + 1; table < hub_tables::kTableCount; ++table) {
        if (table == hub_tables::kStarts) continue;  // each opening adds to it
        FP_CHECK_OK(read.scan(table, {}, {}, [&](BytesView key, BytesView value) {
          all.emplace_back(table, to_bytes(key), to_bytes(value));
          return Result<KvRead::Step>(KvRead::Step::more);
        }));
      }
      return {};
    }));
    return all;
  }

  std::vector<FeedEntry> feed(std::uint64_t after) const {
    const auto reader = store->reader();
    return reader->feed("PPT", after, *reader->feed_end("PPT"), 1 << 20, 100)->entries;
  }
  void verify() const {
    const auto report = store->reader()->verify([](std::uint64_t) {});
    INFO((report ? std::string() : report.error().message()));
    CHECK(report.has_value());
  }
};

inline model::VersionVector vector_of(ActorId actor, std::uint64_t counter) {
  model::VersionVector vector;
  vector.add({actor, Sequence{counter}});
  return vector;
}

inline Engine any_engine() { return GENERATE(Engine::memory, Engine::lmdb); }

inline wire::ChangeException quarantined(const IncomingChange& change, ActorId actor) {
  return {actor,  change.counter, change.record, wire::ExceptionKind::quarantined,
          "enum", "note",         "not known"};
}

}  // namespace fieldpost::test::hub_fixture
