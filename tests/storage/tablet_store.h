// A tablet's store for tests, over every engine: own changes, deliveries, reopening, the raw values underneath.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>

#include "storage/kv_agent_store.h"
#include "storage/lmdb/lmdb_kv.h"
#include "storage/memory_kv.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "wire/codec.h"

namespace fieldpost::test {

using namespace fieldpost::storage;

inline constexpr std::size_t kTables = kAgentTables;
inline constexpr ActorId kOwnActor{0xA1};
inline constexpr ActorId kOther{0xB0};

enum class Engine { memory, lmdb };

struct TabletStore {
  Engine engine;
  test::TempDir dir;
  std::unique_ptr<Kv> kv;
  std::unique_ptr<ValueCodec> codec;
  std::unique_ptr<AgentStore> store;
  std::uint8_t salt = 0;

  explicit TabletStore(Engine which) : engine(which) {
    REQUIRE(crypto::init());
    crypto::SymmetricKey key;
    key.bytes.fill(3);
    codec = std::make_unique<SealingCodec>(key, wire::Dictionary::v1(),
                                           [this](std::span<std::uint8_t> bytes) {
                                             for (std::uint8_t& byte : bytes) byte = ++salt;
                                           });
    if (engine == Engine::memory) kv = std::make_unique<MemoryKv>(kTables);
    open();
    REQUIRE(store->add_actor(kOwnActor, Hash{}));
  }

  void open() {
    if (engine == Engine::lmdb) {
      kv.reset();
      LmdbOptions options;
      options.directory = dir / "store";
      for (std::size_t i = 0; i < kTables; ++i) options.tables.push_back("t" + std::to_string(i));
      options.format_name = "fieldpost-test";
      options.create = true;
      auto opened = LmdbKv::open(options);
      REQUIRE(opened.has_value());
      kv = *std::move(opened);
    } else {
      kv = std::make_unique<MemoryKv>(kTables, memory().snapshot());
    }
    auto made = open_agent_store(*kv, *codec);
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

  model::Change change(model::Dot dot, const RecordId& id, Sequence prev,
                       model::VersionVector context, std::string path, std::string value) {
    model::Change made;
    made.record = id;
    made.dot = dot;
    made.prev = prev;
    made.type = "stop";
    made.unit = "PPT";
    made.context = std::move(context);
    made.edits = {{std::move(path), std::move(value)}};
    made.author = "alice";
    made.salt.bytes.fill(++salt);
    return made;
  }

  /// The next own changes, one for each record; `offset` changes of this batch stand before.
  NewChange next(const RecordId& id, std::size_t offset = 0, Hash previous = {}) {
    const OwnActor& own = *store->state().current();
    Sequence prev;
    model::VersionVector context;
    if (const auto view = *store->load(id)) {
      context = view->record.vv;
      for (const OwnChange& waiting : view->own) prev = std::max(prev, waiting.change.dot.counter);
      prev = std::max(prev, context[own.actor]);
    }
    NewChange made;
    made.change = change({own.actor, Sequence{own.head.value + 1 + offset}}, id, prev, context,
                         "note", "own");
    made.frame = *wire::encode_change(made.change);
    made.hash = wire::chain_next(offset == 0 ? own.hash : previous, made.frame);
    return made;
  }
  std::vector<NewChange> batch(std::initializer_list<std::uint8_t> names) {
    std::vector<NewChange> changes;
    for (std::uint8_t name : names) {
      changes.push_back(
          next(record(name), changes.size(), changes.empty() ? Hash{} : changes.back().hash));
    }
    return changes;
  }

  /// A state as the hub would deliver it: another tablet's creation, and these own changes.
  model::Record state(std::uint8_t name, const std::vector<model::Change>& own = {}) {
    model::Record made = model::empty_record(record(name), "stop", "PPT");
    for (const model::Change& c : own) REQUIRE(model::apply(made, c) == model::Applied::applied);
    REQUIRE(model::apply(made, change({kOther, Sequence{name}}, record(name), {}, {}, "plate",
                                      "2A-1")) == model::Applied::applied);
    return made;
  }

  void verify() const {
    const Status sound = store->verify([](std::uint64_t) {});
    INFO((sound ? std::string() : sound.error().message()));
    CHECK(sound.has_value());
  }
};

inline Engine any_engine() { return GENERATE(Engine::memory, Engine::lmdb); }

}  // namespace fieldpost::test
