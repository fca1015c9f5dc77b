// The hub of the world: its process, its writer and its operator.
#include <algorithm>
#include <stdexcept>

#include "storage/hub_tables.h"
#include "tests/support/must.h"
#include "tests/support/sync_world.h"

namespace fieldpost::test {

std::unique_ptr<storage::ValueCodec> SyncWorld::hub_codec() const {
  if (stored_ == Stored::plain) return std::make_unique<storage::PlainCodec>();
  return std::make_unique<storage::ChecksumCodec>(hub_store_key_, wire::Dictionary::v1());
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
    const auto make_codec = [this] { return hub_codec(); };
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
  ++hub_ends_;
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

void SyncWorld::roll_back_hub(const HubDisks& disks, const std::optional<HubProcess>& process) {
  drop_hub();
  if (process) epoch_ = process->epoch, start_ = process->start, hub_actor_ = process->actor;
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

void SyncWorld::doubt_hub() {
  ++rollbacks_;
  for (const Half& half : halves_) must(half.store->doubt(), "doubt");
  restart_hub();
}

bool SyncWorld::write(bool grouped) {
  if (rolled_back_) return doubt_hub(), true;
  bool wrote = !staged_.empty();
  for (Staged& staged : std::exchange(staged_, {})) {
    const auto stored =
        halves_[staged.half].store->stage_within(staged.states, context_.staged_bytes_max);
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
