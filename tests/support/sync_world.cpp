#include "tests/support/sync_world.h"

#include <algorithm>
#include <stdexcept>

#include "storage/hub_tables.h"

namespace fieldpost::test {

namespace {

/// A world that cannot do what the test asked for is a broken test.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  return *std::move(result);
}
void must(Status status, const char* what) {
  if (!status) throw std::runtime_error(std::string(what) + ": " + status.error().message());
}

void count(Traffic& traffic, BytesView frame) {
  ++traffic.frames;
  traffic.bytes += frame.size();
  const wire::Decoded decoded = open_frame(frame);
  ++traffic.messages[std::string(wire::message_name(decoded.message))];
  if (const auto* deliver = std::get_if<wire::Deliver>(&decoded.message))
    traffic.states += deliver->states.size();
}

crypto::SigningKey key_from(const RandomSource& random) {
  crypto::Seed seed;
  random(seed.bytes);
  return crypto::signing_key(seed);
}

void sort_fields(std::vector<model::FieldValue>& fields) {
  std::sort(fields.begin(), fields.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
}

}  // namespace

model::FieldValue field(std::string path, model::Value value) {
  return {std::move(path), std::move(value)};
}

wire::Compressor& compressor() {
  static wire::Compressor one(wire::Dictionary::v1());
  return one;
}

wire::Decoded open_frame(BytesView frame) {
  const Bytes message = must(compressor().decode_frame(frame), "frame");
  return must(wire::decode_message(message), "message");
}

Bytes frame_of(const wire::Message& message) {
  return compressor().encode_frame(wire::encode_message(message));
}

storage::RecordView Tablet::view(const RecordId& id) const {
  auto view = must(store->load(id), "load");
  if (!view) throw std::runtime_error("tablet " + name + " does not have the record");
  return *std::move(view);
}

Hash Tablet::digest() const { return must(store->digest(unit), "digest"); }

SyncWorld::SyncWorld(std::uint64_t seed) : dice_(seed) {
  must(crypto::init(), "crypto");
  context_.key = key_from(random());
  hub_id_ = must(HubId::from(context_.key.public_key.view()), "hub id");
  hub_device_ = must(DeviceId::from(hub_id_.view()), "hub device");
  context_.check = [this](const model::Change& change) {
    return check ? check(change) : std::optional<wire::ChangeException>{};
  };
  for (const char* name : {"enforcement", "health"}) {
    Half half;
    half.name = name;
    half.kv = std::make_unique<storage::MemoryKv>(storage::hub_tables::kTableCount);
    halves_.push_back(std::move(half));
  }
  open_hub();
}

RandomSource SyncWorld::random() {
  return [this](std::span<std::uint8_t> bytes) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice_.next());
  };
}

void SyncWorld::pass(std::uint64_t ms) {
  wall_ms_ += static_cast<std::int64_t>(ms);
  monotonic_ms_ += ms;
}

void SyncWorld::open_hub(bool same_start) {
  if (!same_start) {
    hub_actor_ = random_actor(random());
    start_ = random_id<StartId>(random());
    epoch_ = random_id<Epoch>(random());
    const auto kept = must(storage::clean_epoch(*halves_.front().kv), "epoch");
    if (kept) epoch_ = *kept;
  }
  context_.compartments.clear();
  for (Half& half : halves_) {
    const auto make_codec = [] { return std::make_unique<storage::PlainCodec>(); };
    half.store = must(
        storage::open_hub_store(*half.kv, make_codec, {hub_id_, epoch_, start_},
                                same_start ? storage::Opening::looking : storage::Opening::serving),
        "hub store");
    half.reader = half.store->reader();
    context_.compartments.push_back({half.name, half.reader.get(), half.store->identity(), {}});
    if (half.name == "enforcement") context_.compartments.back().foreign_types = {"visit"};
  }
}

void SyncWorld::drop_hub() {
  for (Tablet& tablet : tablets_) cut(tablet);
  connections_.clear();
  queue_.clear();
  confirms_.clear();
  contacts_.clear();
  staged_.clear();
  rolled_back_ = false;
  for (Half& half : halves_) {
    half.reader.reset();
    half.store.reset();
  }
}

SyncWorld::HubDisks SyncWorld::hub_disks() const {
  HubDisks disks;
  for (const Half& half : halves_) disks.push_back(half.kv->snapshot());
  return disks;
}

void SyncWorld::restart_hub(bool clean) {
  if (clean) {
    for (const Half& half : halves_) must(half.store->stopped(), "clean stop");
  }
  put_back_hub(hub_disks());
}

void SyncWorld::put_back_hub(const HubDisks& disks) {
  drop_hub();
  for (std::size_t i = 0; i < halves_.size(); ++i)
    halves_[i].kv = std::make_unique<storage::MemoryKv>(storage::hub_tables::kTableCount, disks[i]);
  open_hub();
}

void SyncWorld::roll_back_hub(const HubDisks& disks) {
  drop_hub();
  for (std::size_t i = 0; i < halves_.size(); ++i)
    halves_[i].kv = std::make_unique<storage::MemoryKv>(storage::hub_tables::kTableCount, disks[i]);
  open_hub(true);
}

Status SyncWorld::recover(const std::string& unit, const RecordId& id,
                          storage::HubStore::Recovery decision) {
  pass(1);
  storage::HubStore::RecoveryInput input;
  input.record = id;
  input.decision = decision;
  input.author = "operator";
  input.note = "from the copies";
  input.times = hub_times();
  random()(input.salt);
  FP_TRY(const auto result, store(unit).recover(input, hub_actor_, signer()));
  tell_outcomes(half_of(unit), result.outcomes);
  tell_feed_moved(half_of(unit));
  return {};
}

std::size_t SyncWorld::half_of(const std::string& unit) const { return units_.at(unit); }
storage::HubStore& SyncWorld::store(const std::string& unit) {
  return *halves_[half_of(unit)].store;
}
const storage::HubReader& SyncWorld::reader(const std::string& unit) {
  return *halves_[half_of(unit)].reader;
}
Hash SyncWorld::hub_digest(const std::string& unit) {
  return must(reader(unit).digest(unit), "hub digest");
}

Status SyncWorld::verify_hub() {
  for (const Half& half : halves_) {
    FP_TRY(const auto report, half.reader->verify([](std::uint64_t) {}));
    (void)report;
  }
  return {};
}

Tablet& SyncWorld::add_tablet(const std::string& name, const std::string& unit,
                              const std::string& compartment) {
  const std::size_t half = compartment == "health" ? 1 : 0;
  if (!units_.contains(unit)) {
    units_[unit] = half;
    must(halves_[half].store->put_unit({unit, "Unit " + unit, compartment}), "unit");
  }
  Tablet tablet;
  tablet.name = name;
  tablet.unit = unit;
  if (half == 1) tablet.type = "visit";
  tablet.identity.key = key_from(random());
  tablet.identity.device = must(DeviceId::from(tablet.identity.key.public_key.view()), "device id");
  tablet.identity.hub = hub_id_;
  tablet.identity.app_version = "test";
  tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables);
  tablet.codec = std::make_unique<storage::PlainCodec>();
  tablet.store = must(storage::open_agent_store(*tablet.kv, *tablet.codec), "agent store");
  must(sync::ensure_actor(*tablet.store, hub_id_, tablet.identity.device, random(), epoch_),
       "actor");
  storage::Device device;
  device.id = tablet.identity.device;
  device.name = name;
  device.unit = unit;
  device.enrolled = Instant{wall_ms_};
  must(halves_[half].store->put_device(device), "device");
  tablets_.push_back(std::move(tablet));
  return tablets_.back();
}

RecordId SyncWorld::record(Tablet& tablet, std::vector<model::FieldValue> fields) {
  pass(1);
  std::array<std::uint8_t, 10> entropy{};
  random()(entropy);
  const RecordId id = make_record_id(Instant{wall_ms_}, entropy);
  must(edit(tablet, id, std::move(fields)), "record");
  return id;
}

std::vector<RecordId> SyncWorld::record_many(Tablet& tablet, std::size_t count) {
  std::vector<RecordId> ids;
  const RandomSource source = random();
  sync::ChangeBatch batch(*tablet.store, sync::change_times(now(), tablet.anchor), source);
  for (std::size_t i = 0; i < count; ++i) {
    pass(1);
    std::array<std::uint8_t, 10> entropy{};
    source(entropy);
    sync::EditRequest request;
    request.record = make_record_id(Instant{wall_ms_}, entropy);
    request.type = tablet.type;
    request.unit = tablet.unit;
    request.edits = {field("note", "stop number " + std::to_string(i)),
                     field("state", std::string("final"))};
    request.author = "officer-" + tablet.name;
    must(batch.add(request), "record");
    ids.push_back(request.record);
  }
  must(batch.commit(), "commit");
  local_change(tablet);
  return ids;
}

Status SyncWorld::edit(Tablet& tablet, const RecordId& id, std::vector<model::FieldValue> fields,
                       std::optional<model::VersionVector> context) {
  pass(1);
  sort_fields(fields);
  const RandomSource source = random();
  sync::ChangeBatch batch(*tablet.store, sync::change_times(now(), tablet.anchor), source);
  sync::EditRequest request;
  request.record = id;
  request.type = tablet.type;
  request.unit = tablet.unit;
  request.context = std::move(context);
  request.edits = std::move(fields);
  request.author = "officer-" + tablet.name;
  FP_TRY(const model::Dot dot, batch.add(request));
  (void)dot;
  FP_CHECK_OK(batch.commit());
  local_change(tablet);
  return {};
}

model::Change SyncWorld::draft_change(Tablet& tablet, const RecordId& id,
                                      std::vector<model::FieldValue> fields) {
  sort_fields(fields);
  const storage::OwnActor& own = *tablet.store->state().current();
  model::Change change;
  change.record = id;
  change.dot = {own.actor, own.head.next()};
  if (const auto view = must(tablet.store->load(id), "load")) {
    change.context = view->record.vv;
    change.prev = view->record.vv[own.actor];
  }
  change.type = tablet.type;
  change.unit = tablet.unit;
  change.edits = std::move(fields);
  change.author = "officer-" + tablet.name;
  change.times = sync::change_times(now(), tablet.anchor);
  change.salt = random_id<Salt>(random());
  return change;
}

void SyncWorld::append_raw(Tablet& tablet, const model::Change& change, Bytes frame) {
  const Hash hash = wire::chain_next(tablet.store->state().current()->hash, frame);
  must(tablet.store->append({{change, std::move(frame), hash}}, 0, {}), "append");
  local_change(tablet);
}

void SyncWorld::restart_tablet(Tablet& tablet) {
  cut(tablet);
  tablet.store.reset();
  tablet.kv = std::make_unique<storage::MemoryKv>(storage::kAgentTables, tablet.kv->snapshot());
  tablet.store = must(storage::open_agent_store(*tablet.kv, *tablet.codec), "agent store");
}

void SyncWorld::connect(Tablet& tablet) {
  cut(tablet);
  if (tablet.gone) return;
  pass(100);
  auto link = std::make_shared<Connection>();
  link->binding = random_id<wire::ChannelBinding>(random());
  link->hub = std::make_unique<sync::HubSession>(context_, compressor(), link->binding, random());
  link->agent = std::make_unique<sync::AgentSession>(tablet.identity, *tablet.store, compressor(),
                                                     link->binding, random(), tablet.estimate);
  tablet.link = tablet.last_link = link;
  tablet.closed.reset();
  tablet.closed_for_good = tablet.progressed = false;
  tablet.retry_after_ms = 0;
  connections_.push_back(link);
  take(link, link->hub->on_connected());
}

void SyncWorld::end(Tablet& tablet) {
  tablet.link->agent->on_closed();
  if (tablet.link->agent->anchor()) tablet.anchor = tablet.link->agent->anchor();
  tablet.link->agent.reset();
  tablet.link->up.clear();
  tablet.link->down.clear();
  tablet.link.reset();
}

void SyncWorld::cut(Tablet& tablet) {
  if (tablet.link) end(tablet);
}

void SyncWorld::take(const std::shared_ptr<Connection>& connection, sync::HubOutput out) {
  Connection& c = *connection;
  for (storage::IncomingBatch& batch : out.batches) {
    queue_.push_back({connection, c.hub->compartment(), std::move(batch)});
  }
  for (const wire::Confirm::Item& item : out.confirmed)
    confirms_.emplace_back(c.hub->compartment(), item);
  if (out.contact) contacts_.emplace_back(c.hub->compartment(), std::move(*out.contact));
  if (!out.staged.empty())
    staged_.push_back({connection, c.hub->compartment(), std::move(out.staged)});
  rolled_back_ = rolled_back_ || out.rolled_back;
  if (out.close) {
    c.hub_closed = true;
    c.hub_close = std::move(out.close);
  }
  for (Bytes& frame : out.frames) {
    count(c.sent_down, frame);
    if (c.agent) c.down.push_back(std::move(frame));
  }
}

void SyncWorld::take(Tablet& tablet, sync::AgentOutput out) {
  Connection& c = *tablet.link;
  for (Bytes& frame : out.frames) {
    count(c.sent_up, frame);
    c.up.push_back(std::move(frame));
  }
  c.most_pushes_in_flight = std::max(c.most_pushes_in_flight, c.agent->pushes_in_flight());
  tablet.progressed = c.agent->progressed();
  if (out.close) {
    tablet.closed = std::move(out.close);
    tablet.closed_for_good = out.for_good;
    tablet.retry_after_ms = out.retry_after_ms;
    end(tablet);
  }
}

bool SyncWorld::move_up(Tablet& tablet) {
  if (!tablet.link || tablet.link->up.empty()) return false;
  const auto link = tablet.link;
  const Bytes frame = std::move(link->up.front());
  link->up.pop_front();
  if (!link->hub_closed) take(link, link->hub->on_frame(Instant{wall_ms_}, frame));
  return true;
}

bool SyncWorld::move_down(Tablet& tablet) {
  if (!tablet.link) return false;
  const auto link = tablet.link;
  if (link->down.empty()) {
    if (!link->hub_closed) return false;
    end(tablet);
    return true;
  }
  const Bytes frame = std::move(link->down.front());
  link->down.pop_front();
  take(tablet, link->agent->on_frame(now(), {}, frame));
  return true;
}

void SyncWorld::local_change(Tablet& tablet) {
  if (tablet.link) take(tablet, tablet.link->agent->on_local_change(now()));
}

bool SyncWorld::hear_writer(Connection& connection) {
  if (connection.inbox.empty()) return false;
  const auto hear = std::move(connection.inbox.front());
  connection.inbox.pop_front();
  const auto self = std::find_if(connections_.begin(), connections_.end(),
                                 [&](const auto& c) { return c.get() == &connection; });
  if (self != connections_.end()) {
    const auto keep = *self;
    take(keep, hear(*keep->hub));
  }
  return true;
}

void SyncWorld::settle(bool grouped) {
  for (bool moved = true; moved;) {
    moved = false;
    for (Tablet& tablet : tablets_) {
      while (move_up(tablet)) moved = true;
    }
    moved = write(grouped) || moved;
    const auto all = connections_;
    for (const auto& connection : all) {
      while (hear_writer(*connection)) moved = true;
    }
    for (Tablet& tablet : tablets_) {
      while (move_down(tablet)) moved = true;
    }
    std::erase_if(connections_, [&](const auto& c) {
      return !c->agent && c.use_count() <= 2 && c->inbox.empty();
    });
  }
}

void SyncWorld::sync(Tablet& tablet) {
  connect(tablet);
  settle();
}

void SyncWorld::doubt_hub() {
  ++rollbacks_;
  for (const Half& half : halves_) must(half.store->doubt(), "doubt");
  restart_hub();
}

bool SyncWorld::write(bool grouped) {
  if (rolled_back_) return doubt_hub(), true;
  bool wrote = !staged_.empty();
  for (Staged& staged : std::exchange(staged_, {})) {
    const auto stored = halves_[staged.half].store->stage(staged.states);
    if (!stored) return restart_hub(), ++hub_crashes_, true;
    staged.from->inbox.emplace_back(
        [stored](sync::HubSession& session) { return session.on_staged(stored); });
  }
  for (std::size_t half = 0; half < halves_.size(); ++half) {
    std::vector<wire::Confirm::Item> items;
    std::vector<storage::Device> devices;
    for (const auto& [where, item] : confirms_) {
      if (where == half) items.push_back(item);
    }
    for (const auto& [where, device] : contacts_) {
      if (where == half) devices.push_back(device);
    }
    // Lost with the process when the commit fails: that is what they are for.
    if (!items.empty() && !halves_[half].store->confirm(items))
      return restart_hub(), ++hub_crashes_, true;
    if (!devices.empty() && !halves_[half].store->note_contacts(devices))
      return restart_hub(), ++hub_crashes_, true;
    wrote = wrote || !items.empty() || !devices.empty();
  }
  confirms_.clear();
  contacts_.clear();
  if (queue_.empty()) return wrote;
  std::vector<Submitted> group;
  const std::size_t half = queue_.front().half;
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (it->half == half && (grouped || group.empty())) {
      group.push_back(std::move(*it));
      it = queue_.erase(it);
    } else {
      ++it;
    }
  }
  return commit(std::move(group));
}

bool SyncWorld::commit(std::vector<Submitted> group) {
  const std::size_t half = group.front().half;
  std::vector<storage::IncomingBatch> batches;
  batches.reserve(group.size());
  for (Submitted& submitted : group) batches.push_back(std::move(submitted.batch));
  const auto results = halves_[half].store->apply(batches);
  if (!results) {
    // The commit's fate is unknown: the hub starts again over what is durable.
    ++hub_crashes_;
    restart_hub();
    return true;
  }
  std::vector<model::Dot> outcomes;
  for (std::size_t i = 0; i < group.size(); ++i) {
    outcomes.insert(outcomes.end(), (*results)[i].outcomes.begin(), (*results)[i].outcomes.end());
    const Instant at{wall_ms_};
    group[i].from->inbox.emplace_back([at, result = (*results)[i]](sync::HubSession& session) {
      return session.on_applied(at, result);
    });
  }
  tell_outcomes(half, outcomes);
  tell_feed_moved(half);
  return true;
}

void SyncWorld::tell_outcomes(std::size_t half, const std::vector<model::Dot>& changes) {
  if (changes.empty()) return;
  for (const auto& connection : connections_) {
    connection->inbox.emplace_back([half, changes](sync::HubSession& session) {
      if (!session.greeted() || session.compartment() != half) return sync::HubOutput{};
      return session.on_outcomes(changes);
    });
  }
}

void SyncWorld::tell_feed_moved(std::size_t half) {
  for (const auto& [unit, where] : units_) {
    if (where != half) continue;
    const std::uint64_t end = must(halves_[half].reader->feed_end(unit), "feed end");
    for (const auto& connection : connections_) {
      connection->inbox.emplace_back([half, end, unit = unit](sync::HubSession& session) {
        if (!session.greeted() || session.compartment() != half) return sync::HubOutput{};
        return session.on_feed_moved(unit, end);
      });
    }
  }
}

model::ChangeTimes SyncWorld::hub_times() const { return {Instant{wall_ms_}, 0, 0, std::nullopt}; }

storage::HubStore::SignHead SyncWorld::signer() const {
  return [this](ActorId actor, Sequence n, const Hash& head) {
    return wire::sign_head(context_.key, hub_device_, actor, n, head);
  };
}

Status SyncWorld::resolve(const std::string& unit, const RecordId& id,
                          std::vector<model::FieldValue> fields) {
  pass(1);
  sort_fields(fields);
  storage::HubStore::HubEdit edit;
  edit.record = id;
  FP_TRY(const auto record, reader(unit).record(id));
  if (!record) return fail(Errc::not_found, "no such record");
  edit.expected = record->vv;
  edit.edits = std::move(fields);
  edit.author = "operator";
  edit.reason = "seen on paper";
  edit.times = hub_times();
  random()(edit.salt);
  FP_TRY(const auto result, store(unit).edit(edit, hub_actor_, signer()));
  (void)result;
  tell_feed_moved(half_of(unit));
  return {};
}

Status SyncWorld::rule(const std::string& unit, ActorId actor, Sequence counter,
                       storage::HubStore::Ruling ruling) {
  pass(1);
  storage::HubStore::RulingInput input;
  input.actor = actor;
  input.counter = counter;
  input.ruling = ruling;
  if (ruling == storage::HubStore::Ruling::retry) {
    FP_TRY(const auto entry, reader(unit).log(actor, counter));
    if (!entry) return fail(Errc::not_found, "no such change");
    if (const auto change = wire::decode_change(actor, entry->frame))
      input.still = context_.check(*change);
  }
  input.times = hub_times();
  input.author = "operator";
  random()(input.salt);
  FP_TRY(const auto result, store(unit).rule(input, hub_actor_, signer()));
  tell_outcomes(half_of(unit), result.outcomes);
  tell_feed_moved(half_of(unit));
  return {};
}

}  // namespace fieldpost::test
