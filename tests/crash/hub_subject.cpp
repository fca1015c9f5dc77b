// A hub: both its stores, with the batches of four devices as its sessions hand them to its writer, and what
// operators and the side work write between.
#include <array>
#include <map>

#include "hub/store/layout.h"
#include "storage/hub_tables.h"
#include "tests/crash/subject.h"
#include "wire/codec.h"

namespace fieldpost::crash {
namespace {

using storage::HubReader;
using storage::HubStore;

constexpr std::int64_t kMorningMs = 1'772'349'300'000;
constexpr std::size_t kDevices = 4;
constexpr std::size_t kSettingUp = 8;  ///< operations up to here make units and devices

constexpr std::array kUnits = {"01-PPT", "02-BTB", "01-RH1"};  ///< the last one: health

struct DeviceKeys {
  crypto::SigningKey key;
  DeviceId id;
  ActorId actor;
  std::size_t store = 0;  ///< 0: enforcement, 1: health
  std::string unit;
};

DeviceKeys device_keys(std::size_t number) {
  crypto::Seed seed;
  seed.bytes.fill(static_cast<std::uint8_t>(0x40 + number));
  DeviceKeys device;
  device.key = crypto::signing_key(seed);
  device.id = DeviceId::from(device.key.public_key.view()).value();
  device.actor = ActorId{0xA100 + number};
  device.store = number + 1 == kDevices ? 1 : 0;
  device.unit = device.store == 1 ? "01-RH1" : number == 0 ? "01-PPT" : "02-BTB";
  return device;
}

class HubSession final : public Session {
 public:
  HubSession(std::vector<hub::OpenStore> stores, crypto::SigningKey key, std::size_t number)
      : stores_(std::move(stores)), key_(key), chance_(number), number_(number) {
    for (std::size_t i = 0; i < kDevices; ++i) devices_.push_back(device_keys(i));
    for (const hub::OpenStore& open : stores_) {
      readers_.push_back(open.store->reader());
      hub_actors_.push_back(ActorId{0xF00000 + number * 2 + readers_.size()});
    }
    hub_device_ = DeviceId::from(key_.public_key.view()).value();
  }

  Result<std::vector<Acknowledged>> act(std::size_t number) override {
    chance_ = Chance(number);
    number_ = number;
    if (number < kSettingUp) return set_up(number);
    switch (number % 10) {
      case 6:
        return push({kDevices - 1});
      case 7:
        return settle_conflict();
      case 8:
        return beside(number);
      case 9:
        return rule();
      default:
        return push(some_devices());
    }
  }

  Result<std::vector<Picture>> pictures() const override {
    std::vector<Picture> pictures;
    for (const hub::OpenStore& open : stores_) {
      FP_TRY(const Picture picture, picture_of(*open.kv, storage::hub_tables::kTableCount));
      pictures.push_back(picture);
    }
    return pictures;
  }

  std::optional<std::string> fault() const override {
    for (std::size_t store = 0; store < stores_.size(); ++store) {
      if (auto wrong = fault_of(store)) return stores_[store].name + ": " + *wrong;
    }
    return std::nullopt;
  }

  Result<Standing> standing(const Acknowledged& change) const override {
    for (const auto& reader : readers_) {
      FP_TRY(const auto entry, reader->log(change.dot.actor, change.dot.counter));
      if (!entry) continue;
      FP_TRY(const auto history, reader->history(change.record));
      const auto times =
          std::count_if(history.begin(), history.end(), [&](const storage::LogEntry& other) {
            return other.actor == change.dot.actor && other.counter == change.dot.counter;
          });
      return entry->frame == change.frame && times == 1 ? Standing::there : Standing::different;
    }
    return Standing::missing;
  }

  Result<std::uint64_t> changes() const override {
    std::uint64_t all = 0;
    for (const auto& reader : readers_) {
      FP_TRY(const auto counts, reader->counts());
      all += counts.changes;
    }
    return all;
  }

 private:
  Instant now() const { return Instant{kMorningMs + static_cast<std::int64_t>(number_) * 1000}; }
  HubStore& store(std::size_t which) { return *stores_[which].store; }
  HubStore::SignHead signer() const {
    return [this](ActorId actor, Sequence n, const Hash& head) {
      return wire::sign_head(key_, hub_device_, actor, n, head);
    };
  }

  Result<std::vector<Acknowledged>> set_up(std::size_t number) {
    if (number < 5) {
      const std::size_t which = number < 2 ? 0 : number - 2;
      const bool health = which == 2;
      FP_CHECK_OK(store(health ? 1 : 0)
                      .put_unit({kUnits[which], "a unit", health ? "health" : "enforcement"}));
      return std::vector<Acknowledged>{};
    }
    // The last one with the one before: they are in different stores.
    for (std::size_t i = number - 5; i < (number == 7 ? kDevices : number - 4); ++i) {
      storage::Device device;
      device.id = devices_[i].id;
      device.name = "T0" + std::to_string(i);
      device.unit = devices_[i].unit;
      device.enrolled = now();
      FP_CHECK_OK(store(devices_[i].store).put_device(device));
    }
    return std::vector<Acknowledged>{};
  }

  std::vector<std::size_t> some_devices() {
    std::vector<std::size_t> all = {0, 1, 2};
    const std::size_t left_out = chance_.below(3);
    if (chance_.below(2) == 0) all.erase(all.begin() + static_cast<std::ptrdiff_t>(left_out));
    if (chance_.below(3) == 0) all.resize(1);
    return all;
  }

  // ---- pushes ----
  /// A record as the batches of one commit will have made it, and the newest change of each chain on it, whatever
  /// becomes of it at the hub.
  struct Known {
    model::Record record;
    std::map<ActorId, Sequence> newest;
  };
  using Records = std::map<RecordId, Known>;

  Result<std::vector<Acknowledged>> push(const std::vector<std::size_t>& from) {
    std::vector<storage::IncomingBatch> batches;
    std::vector<Acknowledged> made;
    Records known;
    const std::size_t which = devices_[from.front()].store;
    for (const std::size_t device : from) {
      FP_TRY(auto batch, batch_of(devices_[device], known));
      for (const storage::IncomingChange& change : batch.changes)
        made.push_back({{batch.actor, change.counter}, change.record, change.frame});
      readers_[which]->prepare(batch);
      batches.push_back(std::move(batch));
    }
    FP_TRY(const auto results, store(which).apply(batches));
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const bool as_sent = results[i].kind == storage::BatchResult::Kind::applied &&
                           results[i].head == batches[i].changes.back().counter &&
                           results[i].hash == batches[i].head;
      if (!as_sent) return fail(Errc::conflict, "the hub did not take a batch that continues");
    }
    return made;
  }

  Result<storage::IncomingBatch> batch_of(const DeviceKeys& device, Records& known) {
    storage::IncomingBatch batch;
    batch.device = device.id;
    batch.actor = device.actor;
    batch.received = now();
    batch.granted = {device.unit};
    FP_TRY(const auto at, readers_[device.store]->actor(device.actor));
    Sequence head = at ? at->head : Sequence{};
    Hash hash = at ? at->hash : wire::chain_start(hub(), device.id, device.actor);
    batch.first = head.next();
    batch.previous = hash;
    const std::size_t count = 1 + chance_.below(5);
    for (std::size_t i = 0; i < count; ++i) {
      head = head.next();
      FP_TRY(storage::IncomingChange change, next_change(device, head, known));
      hash = wire::chain_next(hash, change.frame);
      batch.changes.push_back(std::move(change));
    }
    batch.head = hash;
    batch.signature = wire::sign_head(device.key, device.id, device.actor, head, hash);
    return batch;
  }

  Result<storage::IncomingChange> next_change(const DeviceKeys& device, Sequence counter,
                                              Records& known) {
    const std::size_t kind = chance_.below(20);
    model::Change change;
    change.dot = {device.actor, counter};
    change.type = device.store == 1 ? "visit" : "stop";
    change.unit = device.unit;
    change.author = "NP-2231";
    change.times.wall = now();
    chance_.fill(change.salt.bytes);
    change.edits = {{"outcome", std::string("no_action")},
                    {"witness", "Witness " + std::to_string(number_ * 10 + counter.value)}};
    const RecordId* id = nullptr;
    if (kind >= 11) {
      FP_TRY(id, some_record(device, known));
    }
    if (id == nullptr) {
      chance_.fill(change.record.bytes);
      known[change.record].record = model::empty_record(change.record, change.type, change.unit);
    } else {
      change.record = *id;
      const model::Record& record = known.at(*id).record;
      change.prev = known.at(*id).newest[device.actor];
      // Now and then from an older form, which makes a conflict.
      if (kind < 17)
        change.context = record.vv;
      else
        change.context.add({device.actor, record.vv[device.actor]});
      if (kind == 18) change.context.add({ActorId{0xDEAD}, Sequence{number_ + 1}});  // is held
    }
    storage::IncomingChange incoming;
    FP_TRY(incoming.frame, wire::encode_change(change));
    incoming.record = change.record;
    incoming.counter = counter;
    incoming.prev = change.prev;
    if (kind == 19)
      incoming.quarantine = wire::ChangeException{
          device.actor, counter,   change.record, wire::ExceptionKind::quarantined,
          "enum",       "outcome", "not known"};
    else
      (void)model::apply(known.at(change.record).record, change);
    known.at(change.record).newest[device.actor] = counter;
    incoming.change = std::move(change);
    return incoming;
  }

  /// A record of the device's unit, or null. It stands in `known` from then on.
  Result<const RecordId*> some_record(const DeviceKeys& device, Records& known) {
    RecordId after;
    chance_.fill(after.bytes);
    FP_TRY(auto ids, readers_[device.store]->ids_after(after, 8));
    for (const RecordId& id : ids) {
      if (!known.contains(id)) {
        FP_TRY(auto record, readers_[device.store]->record(id));
        if (!record || record->unit != device.unit) continue;
        known[id].record = *std::move(record);
        FP_TRY(const auto history, readers_[device.store]->history(id));
        for (const storage::LogEntry& entry : history) {
          Sequence& newest = known[id].newest[entry.actor];
          newest = std::max(newest, entry.counter);
        }
      }
      const auto at = known.find(id);
      if (at->second.record.unit == device.unit) return &at->first;
    }
    return nullptr;
  }

  // ---- beside ----
  Result<std::vector<Acknowledged>> settle_conflict() {
    FP_TRY(const auto ids, readers_[0]->conflicts({}, 1));
    if (ids.empty()) return push(some_devices());
    FP_TRY(const auto record, readers_[0]->record(ids.front()));
    if (!record) return fail(Errc::corrupt, "a conflict without a record");
    HubStore::HubEdit edit;
    edit.record = record->id;
    edit.expected = record->vv;
    for (const std::string& path : model::conflicts(*record))
      edit.edits.push_back({path, *model::shown(*record, path)});
    edit.reason = "asked both";
    edit.author = "OP-01";
    edit.times = {now(), 0, 0, std::nullopt};
    chance_.fill(edit.salt);
    FP_TRY(const auto before, readers_[0]->actor(hub_actors_[0]));
    FP_TRY(const auto result, store(0).edit(edit, hub_actors_[0], signer()));
    (void)result;
    return made_here(before ? before->head : Sequence{});
  }

  Result<std::vector<Acknowledged>> rule() {
    FP_TRY(auto waiting, readers_[0]->quarantine(SIZE_MAX));
    std::erase_if(waiting, [](const storage::QuarantineEntry& entry) {
      return entry.exception.kind != wire::ExceptionKind::quarantined;
    });
    if (waiting.empty()) return push(some_devices());
    HubStore::RulingInput input;
    input.actor = waiting.front().exception.actor;
    input.counter = waiting.front().exception.counter;
    input.ruling = chance_.below(2) == 0 ? HubStore::Ruling::accept : HubStore::Ruling::reject;
    input.times = {now(), 0, 0, std::nullopt};
    input.author = "OP-01";
    input.note = "seen on paper";
    chance_.fill(input.salt);
    FP_TRY(const auto before, readers_[0]->actor(hub_actors_[0]));
    FP_TRY(const auto result, store(0).rule(input, hub_actors_[0], signer()));
    (void)result;
    return made_here(before ? before->head : Sequence{});
  }

  Result<std::vector<Acknowledged>> made_here(Sequence before) {
    std::vector<Acknowledged> made;
    FP_TRY(const auto now, readers_[0]->actor(hub_actors_[0]));
    for (Sequence at = before.next(); now && at <= now->head; at = at.next()) {
      FP_TRY(const auto entry, readers_[0]->log(hub_actors_[0], at));
      if (!entry) return fail(Errc::corrupt, "the hub's own change is not in its log");
      FP_TRY(const auto framed, wire::decode_change_frame(entry->frame));
      made.push_back({{hub_actors_[0], at}, framed.record, entry->frame});
    }
    return made;
  }

  Result<std::vector<Acknowledged>> beside(std::size_t number) {
    const auto code = [](std::size_t of) {
      Hash hash;
      Chance(of).fill(hash.bytes);
      return hash;
    };
    if (number % 50 == 8) {
      FP_CHECK_OK(store(0).put_invitation({code(number),
                                           "T" + std::to_string(number),
                                           "02-BTB",
                                           Instant{now().ms + 86'400'000},
                                           {}}));
    } else if (number % 50 == 18) {
      DeviceId id;
      Chance(number + 1).fill(id.bytes);
      FP_TRY(const auto device, store(0).enrol(code(number - 10), id, now()));
      (void)device;
    } else if (number % 50 == 28) {
      FP_CHECK_OK(note_contacts());
    } else if (number % 50 == 38) {
      storage::ActorHeads heads;
      for (const DeviceKeys& device : devices_) {
        FP_TRY(const auto head, readers_[0]->actor(device.actor));
        if (head) heads.emplace_back(device.actor, head->head);
      }
      FP_CHECK_OK(store(0).put_backed_up(heads, HubStore::BackedUp::raise));
    } else {
      FP_TRY(const auto open, readers_[0]->unconfirmed({devices_[0].actor, devices_[1].actor}, 8));
      std::vector<wire::Confirm::Item> items;
      for (const auto& exception : open)
        items.push_back({exception.actor, exception.counter, exception.kind});
      FP_CHECK_OK(store(0).confirm(items));
    }
    return std::vector<Acknowledged>{};
  }
  Status note_contacts() {
    std::vector<storage::Device> contacts;
    for (std::size_t i = 0; i + 1 < kDevices; ++i) {
      FP_TRY(auto device, readers_[0]->device(devices_[i].id));
      if (!device) return fail(Errc::corrupt, "a device is not there any more");
      device->last_contact = now();
      device->last_welcome = number_;
      contacts.push_back(*std::move(device));
    }
    return store(0).note_contacts(contacts);
  }

  // ---- looking ----
  HubId hub() const { return HubId::from(key_.public_key.view()).value(); }

  std::optional<std::string> fault_of(std::size_t which) const {
    const HubReader& reader = *readers_[which];
    const auto report = reader.verify([](std::uint64_t) {});
    if (!report) return "verify: " + report.error().message();
    const auto counts = reader.counts();
    if (!counts) return counts.error().message();
    if (counts->changes != report->changes || counts->records != report->records)
      return "it counts " + std::to_string(counts->changes) + " changes and " +
             std::to_string(counts->records) + " records, and has others";
    if (counts->damaged > 0 || counts->mended > 0) return "something is called damaged";
    const auto damages = reader.damages();
    if (!damages || !damages->empty()) return "something is called damaged";
    if (auto wrong = chains_fault(which)) return wrong;
    return feeds_fault(reader, counts->records);
  }

  /// Each device's chain from its beginning, reckoned here and not by the store.
  std::optional<std::string> chains_fault(std::size_t which) const {
    for (const DeviceKeys& device : devices_) {
      const auto head = readers_[which]->actor(device.actor);
      if (!head) return head.error().message();
      if (!*head) continue;
      Hash hash = wire::chain_start(hub(), device.id, device.actor);
      for (Sequence at{1}; at <= (*head)->head; at = at.next()) {
        const auto entry = readers_[which]->log(device.actor, at);
        if (!entry || !*entry)
          return "change " + device.actor.hex() + ":" + std::to_string(at.value) +
                 " is not in the log";
        hash = wire::chain_next(hash, (*entry)->frame);
      }
      const auto above = readers_[which]->log(device.actor, (*head)->head.next());
      if (!above || *above) return "something stands above the head of " + device.actor.hex();
      if (hash != (*head)->hash) return "the chain of " + device.actor.hex() + " breaks";
    }
    return std::nullopt;
  }

  /// Every record once, at its newest position, as it is.
  static std::optional<std::string> feeds_fault(const HubReader& reader, std::uint64_t records) {
    std::uint64_t met = 0;
    for (const char* unit : kUnits) {
      const auto end = reader.feed_end(unit);
      if (!end) return end.error().message();
      const auto page = reader.feed(unit, 0, *end, SIZE_MAX, SIZE_MAX);
      if (!page) return page.error().message();
      std::vector<RecordId> seen;
      std::uint64_t position = 0;
      for (const storage::FeedEntry& entry : page->entries) {
        if (entry.position <= position)
          return std::string("positions of ") + unit + " do not ascend";
        position = entry.position;
        seen.push_back(entry.record);
        const auto record = reader.record(entry.record);
        if (!record || !*record) return "the feed names a record that is not there";
        const auto canonical = wire::encode_record(**record);
        if (!canonical || *canonical != entry.state) return "the feed gives out another state";
      }
      std::sort(seen.begin(), seen.end());
      if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
        return std::string("a record stands twice in the feed of ") + unit;
      met += seen.size();
    }
    if (met != records)
      return "the feeds name " + std::to_string(met) + " records, the store has " +
             std::to_string(records);
    return std::nullopt;
  }

  std::vector<hub::OpenStore> stores_;
  crypto::SigningKey key_;
  Chance chance_;
  std::size_t number_;
  std::vector<DeviceKeys> devices_;
  std::vector<std::unique_ptr<HubReader>> readers_;
  std::vector<ActorId> hub_actors_;
  DeviceId hub_device_;
};

class HubSubject final : public Subject {
 public:
  std::string name() const override { return "hub"; }

  Status make(const fs::path& folder) const override {
    Chance chance(1);
    hub::Settings settings;
    settings.name = "127.0.0.1";
    const Status made = hub::init(
        folder, settings, [&](std::span<std::uint8_t> bytes) { chance.fill(bytes); },
        Instant{kMorningMs});
    // An operator whose `init` was cut off after its last step is told that the hub is there.
    if (!made && made.error().is(Errc::already_exists)) return {};
    return made;
  }

  Result<std::unique_ptr<Session>> open(const fs::path& folder, std::size_t number) const override {
    FP_TRY(const hub::Settings settings, hub::load_settings(folder));
    (void)settings;
    FP_TRY(const hub::Keys keys, hub::load_keys(folder));
    Chance chance(number);
    const RandomSource random = [&](std::span<std::uint8_t> bytes) { chance.fill(bytes); };
    FP_TRY(auto stores,
           limited() ? open_limited(folder, keys, random) : hub::open_stores(folder, keys, random));
    return std::unique_ptr<Session>(
        std::make_unique<HubSession>(std::move(stores), keys.signing, number));
  }

  std::vector<storage::LmdbOptions> stores(const fs::path& folder) const override {
    std::vector<storage::LmdbOptions> all;
    for (const char* name : hub::kStoreNames) {
      all.push_back(hub::store_options(folder, name));
      limit(all.back());
    }
    return all;
  }

 private:
  /// As hub::open_stores does it, each store with the room it is given here.
  Result<std::vector<hub::OpenStore>> open_limited(const fs::path& folder, const hub::Keys& keys,
                                                   const RandomSource& random) const {
    const storage::HubIdentity identity{HubId::from(keys.signing.public_key.view()).value(),
                                        random_id<Epoch>(random), random_id<StartId>(random)};
    std::vector<hub::OpenStore> opened;
    for (const storage::LmdbOptions& options : stores(folder)) {
      hub::OpenStore open;
      open.name = options.directory.filename();
      FP_TRY(open.kv, storage::LmdbKv::open(options));
      FP_TRY(open.store,
             storage::open_hub_store(
                 *open.kv, [key = keys.store] { return hub::store_codec(key); }, identity));
      opened.push_back(std::move(open));
    }
    return opened;
  }
};

}  // namespace

std::unique_ptr<Subject> hub_subject() { return std::make_unique<HubSubject>(); }

}  // namespace fieldpost::crash
