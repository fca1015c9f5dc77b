#include "tests/support/sync_world.h"

#include <algorithm>
#include <stdexcept>

#include "storage/hub_tables.h"
#include "tests/support/must.h"

namespace fieldpost::test {

namespace {

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

}  // namespace

void sort_fields(std::vector<model::FieldValue>& fields) {
  std::sort(fields.begin(), fields.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
}

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

SyncWorld::SyncWorld(std::uint64_t seed, Stored stored) : dice_(seed), stored_(stored) {
  must(crypto::init(), "crypto");
  if (stored_ == Stored::sealed) random()(hub_store_key_.bytes);
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

void SyncWorld::pass_until(Instant at) {
  if (at.ms > wall_ms_) pass(static_cast<std::uint64_t>(at.ms - wall_ms_));
}

std::unique_ptr<storage::ValueCodec> SyncWorld::tablet_codec(const Tablet& tablet) {
  if (stored_ == Stored::plain) return std::make_unique<storage::PlainCodec>();
  crypto::SymmetricKey key;
  std::copy(tablet.store_key.begin(), tablet.store_key.end(), key.bytes.begin());
  return std::make_unique<storage::SealingCodec>(key, wire::Dictionary::v1(), random());
}

void SyncWorld::take_identity(Tablet& copy, const Tablet& original) {
  copy.identity = original.identity;
  copy.store_key = original.store_key;
  copy.store.reset();
  copy.codec = tablet_codec(copy);
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
  if (stored_ == Stored::sealed) random()(tablet.store_key);
  tablet.codec = tablet_codec(tablet);
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
  sync::ChangeBatch batch(*tablet.store, sync::change_times(now(tablet), tablet.anchor), source);
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
  sync::ChangeBatch batch(*tablet.store, sync::change_times(now(tablet), tablet.anchor), source);
  sync::EditRequest request;
  request.record = id;
  request.type = tablet.type;
  request.unit = tablet.unit;
  request.context = std::move(context);
  request.edits = std::move(fields);
  request.schema_version = schema_version;
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
  change.times = sync::change_times(now(tablet), tablet.anchor);
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

std::shared_ptr<Connection> SyncWorld::leave(Tablet& tablet) {
  auto link = tablet.link;
  if (!link) return link;
  auto under_way = std::move(link->up);
  end(tablet);
  link->up = std::move(under_way);
  return link;
}

void SyncWorld::sent(Connection& connection, bool up, BytesView frame) {
  if (count_traffic) count(up ? connection.sent_up : connection.sent_down, frame);
  if (tap) tap(connection, up, frame);
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
    sent(c, false, frame);
    if (c.agent) c.down.push_back(std::move(frame));
  }
}

void SyncWorld::take(Tablet& tablet, sync::AgentOutput out) {
  Connection& c = *tablet.link;
  for (Bytes& frame : out.frames) {
    sent(c, true, frame);
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

bool SyncWorld::move_up(Tablet& tablet) { return tablet.link && move_up(tablet.link); }

bool SyncWorld::move_up(const std::shared_ptr<Connection>& link) {
  if (link->up.empty()) return false;
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
  take(tablet, link->agent->on_frame(now(tablet), {}, frame));
  return true;
}

void SyncWorld::local_change(Tablet& tablet) {
  if (tablet.link) take(tablet, tablet.link->agent->on_local_change(now(tablet)));
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

}  // namespace fieldpost::test
