// Stores whose tables say anything at all: entries of a true store changed, cut, moved, taken out and made up, read and
// written through every verb. Values stand as they are, without a seal or checksum that would find it: what a disk
// does to a key, or a faulty version of the program to a value.
#include <array>

#include "storage/hub_tables.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/small_world.h"

namespace fieldpost::fuzz {
namespace {

using namespace storage;

struct Place {
  TableId table = 0;
  Bytes key;
  Bytes value;
};

/// Every entry of a store, tables ascending.
std::vector<Place> places_of(const Kv& kv, std::size_t tables) {
  std::vector<Place> all;
  (void)kv.view([&](const KvRead& read) -> Status {
    for (TableId table = 0; table < tables; ++table) {
      FP_CHECK_OK(
          read.scan(table, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
            all.push_back({table, to_bytes(key), to_bytes(value)});
            return KvRead::Step::more;
          }));
    }
    return {};
  });
  return all;
}

void bend_bytes(Bytes& bytes, Input& in) {
  const std::size_t at = bytes.empty() ? 0 : in.number(2) % bytes.size();
  const auto where = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  switch (in.below(5)) {
    case 0:
      if (!bytes.empty()) *where = in.byte();
      return;
    case 1:
      bytes.resize(at);
      return;
    case 2:
      bytes.insert(where, in.byte());
      return;
    case 3:
      if (!bytes.empty()) *where ^= static_cast<std::uint8_t>(1U << in.below(8));
      return;
    default:
      bytes = to_bytes(in.take(in.below(64)));
      return;
  }
}

/// Up to four entries are not what was written.
void rot(Kv& kv, const std::vector<Place>& places, std::size_t tables, Input& in) {
  for (std::size_t left = 1 + in.below(4); left > 0 && !in.empty(); --left) {
    Place place = places[in.number(2) % places.size()];
    const std::size_t how = in.below(6);
    (void)kv.update([&](KvWrite& write) -> Status {
      if (how != 3) FP_CHECK_OK(write.erase(place.table, place.key));
      if (how == 0) return {};
      if (how == 1 || how == 4) bend_bytes(place.value, in);
      if (how == 2 || how == 4) bend_bytes(place.key, in);
      if (how == 3) bend_bytes(place.key, in);  // a second one
      if (how == 5) place.table = static_cast<TableId>(in.below(tables));
      return write.put(place.table, place.key, place.value);
    });
  }
}

void require_told(const Error& error) {
  require(error.code.category() == fieldpost_category() && !error.detail.empty(),
          "what cannot be read is told");
}
template <class T>
void look(const Result<T>& result) {
  if (!result) require_told(result.error());
}

const RecordId& some(const std::vector<RecordId>& records, std::size_t n) {
  return records[n % records.size()];
}

// ---- the hub's ----

struct HubBase {
  SmallWorld small;
  HubIdentity identity{small.world.hub_id(), Epoch{}, StartId{}};
  MemoryKv::Snapshot disk;
  std::vector<Place> places;
  model::Dot quarantined;

  HubBase() {
    // Something in every table that a hub has: gaps, starts, watermarks, staged states, an invitation.
    HubStore& store = small.world.store("01-PPT");
    Invitation invitation{{}, "T09", "01-PPT", Instant{INT64_MAX}, {}};
    invitation.code_hash.bytes.fill(1);
    look(store.put_invitation(invitation));
    const auto& own = *small.t07->store->state().current();
    look(store.put_backed_up({{own.actor, {1}}}, HubStore::BackedUp::raise));
    auto lost = *(*small.world.reader("01-PPT").record(small.records[2]));
    lost.vv.add({ActorId{0x99}, {3}});
    look(store.stage({{small.t08->identity.device, Instant{1}, lost}}));
    look(store.stopped());
    disk = small.world.hub_kv(0).snapshot();
    places = places_of(small.world.hub_kv(0), hub_tables::kTableCount);
    quarantined = {small.world.reader("01-PPT").quarantine(1)->front().exception.actor,
                   small.world.reader("01-PPT").quarantine(1)->front().exception.counter};
  }
};

void read_hub(const HubBase& base, const HubReader& reader) {
  const auto& own = *base.small.t07->store->state().current();
  look(reader.actor(own.actor));
  look(reader.hash_at(own.actor, {1}));
  look(reader.exceptions(own.actor, {1}, {9}));
  look(reader.unconfirmed({own.actor, base.quarantined.actor}, 10));
  look(reader.feed("01-PPT", 0, UINT64_MAX, 1 << 20, 100));
  look(reader.feed_end("01-PPT"));
  look(reader.ids_after({}, 100));
  for (const RecordId& id : base.small.records) {
    const auto record = reader.record(id);
    look(record);
    if (record && *record) look(reader.lacks(**record));
    look(reader.history(id));
    look(reader.recovered(id));
  }
  look(reader.conflicts({}, 10));
  look(reader.quarantine(10));
  look(reader.held(10));
  look(reader.log(own.actor, {1}));
  look(reader.backed_up(own.actor));
  look(reader.marked_feed_end("01-PPT"));
  look(reader.feed_past(base.identity.start, "01-PPT", {1, 1}));
  look(reader.staged(10));
  look(reader.units());
  look(reader.devices());
  look(reader.device(base.small.t07->identity.device));
  look(reader.counts());
  look(reader.digest("01-PPT"));
  look(reader.verify([](std::uint64_t) {}));
}

void write_hub(const HubBase& base, HubStore& store) {
  const auto sign = [&](ActorId actor, Sequence n, const Hash& head) {
    return wire::sign_head(base.small.world.hub_key(), *DeviceId::from(base.identity.hub.view()),
                           actor, n, head);
  };
  HubStore::RulingInput ruling;
  ruling.actor = base.quarantined.actor;
  ruling.counter = base.quarantined.counter;
  ruling.ruling = HubStore::Ruling::accept;
  ruling.author = "OP-01";
  look(store.rule(ruling, ActorId{0x55}, sign));
  HubStore::RecoveryInput recovery;
  recovery.record = base.small.records[2];
  recovery.author = "OP-01";
  look(store.recover(recovery, ActorId{0x55}, sign));
  Hash code;
  code.bytes.fill(1);
  DeviceId device;
  device.bytes.fill(6);
  look(store.enrol(code, device, Instant{5}));
  look(store.move_device(base.small.t07->identity.device, "01-PPT", Instant{5}));
}

/// Reads all in pages, mends what can be mended.
void mend_hub(HubStore& store) {
  const auto reader = store.reader();
  StoredPlace from;
  for (int pages = 0; pages < 40; ++pages) {
    const auto page = reader->scrub(from, 4096);
    if (!page) return require_told(page.error());
    look(store.repair(page->damaged, Instant{7}));
    if (page->ended) break;
    from = page->next;
  }
  look(reader->damages());
}

void take_hub_rot(BytesView bytes) {
  static HubBase base;
  Input in(bytes);
  MemoryKv kv(hub_tables::kTableCount, base.disk);
  rot(kv, base.places, hub_tables::kTableCount, in);
  auto store = open_hub_store(
      kv, [] { return std::make_unique<PlainCodec>(); }, base.identity);
  if (!store) return require_told(store.error());
  read_hub(base, *(*store)->reader());
  mend_hub(**store);
  write_hub(base, **store);
  read_hub(base, *(*store)->reader());
}

// ---- a tablet's ----

struct AgentBase {
  SmallWorld small;
  MemoryKv::Snapshot disk;
  std::vector<Place> places;
  AgentBase() {
    look(small.t08->store->put_draft({small.records[0], "stop", Instant{5}, bytes_of("{}")}));
    disk = small.t08->kv->snapshot();
    places = places_of(*small.t08->kv, kAgentTables);
  }
};

void take_agent_rot(BytesView bytes) {
  static AgentBase base;
  Input in(bytes);
  MemoryKv kv(kAgentTables, base.disk);
  rot(kv, base.places, kAgentTables, in);
  PlainCodec codec;
  auto opened = open_agent_store(kv, codec);
  if (!opened) return require_told(opened.error());
  AgentStore& store = **opened;
  const auto look_around = [&] {
    for (const RecordId& id : base.small.records) {
      look(store.load(id));
      look(store.base(id));
      look(store.renamed(id, {}, ActorId{1}));
    }
    look(store.ids_after({}, 100));
    look(store.drafts());
    for (const auto& own : std::vector(store.state().actors)) {
      look(store.chain_page(own.actor, {1}, 1 << 20, 100));
      look(store.chain_hash(own.actor, own.head));
      look(store.renames(some(base.small.records, 0), own.actor));
    }
    look(store.each_base([](const model::Record&) -> Status { return {}; }));
    look(store.counts());
    look(store.exceptions());
    look(store.digest("01-PPT"));
    look(store.verify([](std::uint64_t) {}));
    look(store.damages());
  };
  look_around();
  for (int pages = 0; pages < 20; ++pages) {
    const auto done = store.scrub(4096);
    if (!done) require_told(done.error());
    if (!done || *done) break;
  }
  look(store.settle_damage(Instant{5}));
  look(store.purge(Instant{INT64_MAX}, 10));
  look(store.forget_ungranted());
  look_around();
  // And it may still meet the hub.
  wire::ChangeException exception;
  exception.actor = store.state().actors.empty() ? ActorId{1} : store.state().actors.front().actor;
  exception.counter = {1};
  look(store.acknowledge(exception.actor, {2}, {exception}));
  look(store.settle_exceptions({{exception.actor, exception.counter}}));
}

std::vector<Bytes> rot_seeds() {
  std::vector<Bytes> seeds;
  for (std::uint8_t place = 0; place < 60; ++place) {
    for (std::uint8_t how = 0; how < 6; ++how)
      seeds.push_back(
          {0, 0, place, how, 0, place, static_cast<std::uint8_t>(how + place), 0, 3, 9});
  }
  return seeds;
}

}  // namespace

std::vector<Target> targets() {
  return {{"hub_rot", take_hub_rot, rot_seeds, 64}, {"agent_rot", take_agent_rot, rot_seeds, 64}};
}

}  // namespace fieldpost::fuzz
