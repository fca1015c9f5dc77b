#include "storage/hub_apply.h"

#include <algorithm>
#include <map>

#include "base/limits.h"
#include "base/planted.h"
#include "storage/hub_feed.h"
#include "storage/hub_gaps.h"
#include "storage/hub_recovery.h"
#include "storage/hub_repair.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

constexpr const char* kMismatchRule = "mismatch";
constexpr const char* kMismatchDetail = "a record's type and unit never change";
constexpr const char* kTooLargeRule = "too_large";
/// What a change adds to a state beyond its own bytes: its entry in the vector, indices, distances.
constexpr std::size_t kGroupSlackBytes = 64;
/// What a new writer may add to every other group: its place in the vector moves, and its number grows.
constexpr std::size_t kIndexBytesMax = 16;

}  // namespace

std::string held_detail(model::Applied why, const model::Change& change) {
  if (why == model::Applied::held_for_predecessor) {
    return change.prev.value == 0
               ? "waits: the hub already has later changes of this tablet"
               : "waits for this tablet's change " + std::to_string(change.prev.value);
  }
  return "waits for a change of another tablet that its author had seen";
}

PreparedChange prepare_change(ValueCodec& codec, ActorId actor, Instant received,
                              const IncomingChange& incoming) {
  PreparedChange prepared;
  prepared.log_value =
      encode_log_entry(codec, dot_key(actor, incoming.counter), received, incoming.frame);
  if (!incoming.change || incoming.quarantine) return prepared;
  const model::Change& change = *incoming.change;
  model::Record record = model::empty_record(change.record, change.type, change.unit);
  if (model::apply(record, change) != model::Applied::applied) return prepared;
  if (const auto canonical = wire::encode_record(record)) prepared.created = codec.pack(*canonical);
  return prepared;
}

model::Record& HubApply::Loaded::built() {
  if (created_by != nullptr) {
    model::apply(record, *created_by->change);
    created_by = nullptr;
  }
  return record;
}

HubApply::Outcome HubApply::apply_within(Loaded& loaded, const model::Change& change,
                                         std::size_t bytes) {
  model::Record& record = loaded.built();
  Outcome outcome{model::classify(record, change), std::nullopt};
  if (outcome.applied != model::Applied::applied) return outcome;
  loaded.bytes += bytes + kGroupSlackBytes;
  const bool new_writer = record.vv[change.dot.actor].value == 0;
  const bool near = (new_writer && record.vv.size() >= limits::kVectorEntriesMax) ||
                    record.groups.size() >= limits::kGroupsMax ||
                    loaded.bytes + kIndexBytesMax * record.groups.size() > limits::kRecordBytesMax;
  if (!near) {
    model::apply(record, change);
    return outcome;
  }
  model::Record grown = record;
  model::apply(grown, change);
  const auto state = wire::encode_record(grown);
  if (!state) {
    loaded.bytes -= bytes + kGroupSlackBytes;
    outcome.too_large = "merged, it would make its record too large (at most " +
                        std::to_string(limits::kVectorEntriesMax) + " writers, " +
                        std::to_string(limits::kGroupsMax) + " groups of values and " +
                        std::to_string(limits::kRecordBytesMax) +
                        " bytes): " + state.error().detail + "; go on in a new record";
    return outcome;
  }
  loaded.bytes = state->size();
  record = std::move(grown);
  return outcome;
}

Result<HubApply::Entry*> HubApply::load(const RecordId& id, const std::string& type,
                                        const std::string& unit) {
  const auto it = loaded_.find(id);
  if (it != loaded_.end()) {
    // What a change that came to nothing said of its type and unit binds nobody.
    if (!it->second.exists && !it->second.dirty)
      it->second.record = model::empty_record(id, type, unit);
    return &*it;
  }
  Loaded loaded;
  FP_TRY(const auto value, write_.get(kRecords, id.view()));
  if (value) {
    FP_TRY(StoredRecord stored, mend_record(write_, codec_, id, *value, now_));
    loaded.record = std::move(stored.record);
    loaded.position_before = stored.position;
    loaded.bytes = stored.bytes;
    loaded.exists = true;
  } else {
    loaded.record = model::empty_record(id, type, unit);
  }
  return &*loaded_.emplace(id, std::move(loaded)).first;
}

Result<const model::Record*> HubApply::peek(const RecordId& id) {
  FP_TRY(Entry * entry, load(id, "", ""));
  Loaded& loaded = entry->second;
  const model::Record* none = nullptr;
  if (!loaded.exists && !loaded.dirty) {
    loaded_.erase(id);
    return none;
  }
  return static_cast<const model::Record*>(&loaded.built());
}

Status HubApply::put_log(const IncomingBatch& batch, const IncomingChange& change) {
  const Bytes key = dot_key(batch.actor, change.counter);
  FP_CHECK_OK(write_.put(kLog, key,
                         change.prepared
                             ? change.prepared->log_value
                             : encode_log_entry(codec_, key, batch.received, change.frame)));
  return write_.put(kByRecord, record_dot_key(change.record, batch.actor, change.counter), {});
}

Status HubApply::except(const IncomingBatch& batch, wire::ChangeException exception,
                        BatchResult& result) {
  const StoredException stored{false, batch.received, batch.device, exception};
  if (!planted(Bug::exception_forgotten))
    FP_CHECK_OK(write_.put(kExceptions, dot_key(exception.actor, exception.counter),
                           pack_stored_exception(stored)));
  result.exceptions.push_back(std::move(exception));
  return {};
}

Status HubApply::hold(const IncomingBatch& batch, const model::Change& change, model::Applied why,
                      BatchResult& result) {
  any_held_ = true;
  if (!planted(Bug::held_change_forgotten))
    FP_CHECK_OK(write_.put(kHeld,
                           record_dot_key(change.record, change.dot.actor, change.dot.counter),
                           Packer().i64(batch.received.ms).take()));
  wire::ChangeException exception{change.dot.actor,
                                  change.dot.counter,
                                  change.record,
                                  wire::ExceptionKind::held,
                                  "held",
                                  "",
                                  held_detail(why, change)};
  return except(batch, std::move(exception), result);
}

Result<bool> HubApply::refused_predecessor(const model::Change& change) {
  if (change.prev.value == 0) return false;
  return was_refused(write_, dot_key(change.dot.actor, change.prev));
}

Result<bool> HubApply::advance_over_refused(Loaded& loaded, const model::Change& change) {
  FP_TRY(const bool passed, pass_over_refused(write_, loaded.built(), change));
  if (passed)
    loaded.drained = true;  // not what its author's tablet has: it is to be delivered there, too
  return passed;
}

Result<bool> HubApply::replayed(const IncomingBatch& batch, const ActorHeadState& durable,
                                BatchResult& result) {
  if (batch.changes.empty() || batch.changes.back().counter > durable.head) return false;
  const Sequence last = batch.changes.back().counter;
  FP_TRY(const auto value, write_.get(kBatches, dot_key(batch.actor, last)));
  if (!value) return false;
  FP_TRY(const StoredBatch stored, unpack_batch(*value));
  if (stored.hash != batch.head) return false;
  result.head = last;
  result.hash = batch.head;
  FP_CHECK_OK(write_.scan(kExceptions, Packer().actor(batch.actor).bytes(),
                          dot_key(batch.actor, batch.first),
                          [&](BytesView, BytesView bytes) -> Result<KvRead::Step> {
                            FP_TRY(StoredException exception, unpack_stored_exception(bytes));
                            if (exception.exception.counter > last) return KvRead::Step::stop;
                            result.exceptions.push_back(std::move(exception.exception));
                            return KvRead::Step::more;
                          }));
  return true;
}

HubApply::Outcome HubApply::apply(Loaded& loaded, const IncomingChange& incoming) {
  const bool fresh = !loaded.exists && !loaded.dirty;
  if (!fresh || !incoming.prepared || !incoming.prepared->created)
    return apply_within(loaded, *incoming.change, incoming.frame.size());
  loaded.created_by = &incoming;
  loaded.bytes = incoming.frame.size() + kGroupSlackBytes;
  return {};
}

Status HubApply::merge(const IncomingBatch& batch, const IncomingChange& incoming,
                       BatchResult& result) {
  FP_TRY(const bool erased, came_for_erased(batch, incoming, result));
  if (erased) return {};
  // Before the log has the change: a damaged record is rebuilt from what is there, and then merged with it.
  auto found = incoming.change
                   ? load(incoming.change->record, incoming.change->type, incoming.change->unit)
                   : Result<Entry*>(nullptr);
  FP_CHECK_OK(put_log(batch, incoming));
  if (!incoming.change) return except(batch, *incoming.quarantine, result);
  const model::Change& change = *incoming.change;
  if (!found && found.error().is(Errc::corrupt)) {
    return except(batch,
                  {batch.actor, change.dot.counter, change.record, wire::ExceptionKind::quarantined,
                   "damaged", "", "the hub's copy of this record was damaged on its disk"},
                  result);
  }
  FP_TRY(Entry * entry, std::move(found));
  Loaded& loaded = entry->second;
  const auto unauthorised = [&](std::string rule, std::string detail) {
    return except(batch,
                  {batch.actor, change.dot.counter, change.record,
                   wire::ExceptionKind::unauthorised, std::move(rule), "", std::move(detail)},
                  result);
  };
  welcome_ = std::max(welcome_, change.welcome);
  const Authority authority = may_write(batch, loaded.record.unit, change.welcome);
  if (authority == Authority::doubtful) {
    return except(batch,
                  {batch.actor, change.dot.counter, change.record, wire::ExceptionKind::quarantined,
                   "grant_doubtful", "",
                   "names a welcome that this hub does not know, or an older one than this device "
                   "has named before: whether the unit was granted then is for an operator to say"},
                  result);
  }
  if (authority == Authority::none) {
    return unauthorised(kNotGrantedRule, kNotGrantedDetail);
  }
  // Only after the authority: an operator's ruling must not apply what the device may not write.
  if (incoming.quarantine) return except(batch, *incoming.quarantine, result);
  const Outcome outcome = apply(loaded, incoming);
  if (outcome.too_large) {
    return except(batch,
                  {batch.actor, change.dot.counter, change.record, wire::ExceptionKind::quarantined,
                   kTooLargeRule, "", *outcome.too_large},
                  result);
  }
  switch (outcome.applied) {
    case model::Applied::already_known: {
      // Known without its log entry: it came back from a tablet's copy after this hub had lost it.
      FP_TRY(const bool differs, differs_from_recovered(write_, codec_, loaded.built(), change));
      if (!differs) return {};
      return except(
          batch,
          {batch.actor, change.dot.counter, change.record, wire::ExceptionKind::quarantined,
           kDiffersRule, "", "says otherwise than what was recovered from a tablet's copy"},
          result);
    }
    case model::Applied::mismatch:
      return unauthorised(kMismatchRule, kMismatchDetail);
    case model::Applied::held_for_predecessor: {
      FP_TRY(const bool refused, refused_predecessor(change));
      if (refused) {
        return unauthorised(wire::kPredecessorRefused, "rests on this tablet's change " +
                                                           std::to_string(change.prev.value) +
                                                           ", which was refused");
      }
      return hold(batch, change, outcome.applied, result);
    }
    case model::Applied::held_for_context: {
      FP_TRY(const bool advanced, advance_over_refused(loaded, change));
      const Outcome again =
          advanced ? apply_within(loaded, change, incoming.frame.size()) : outcome;
      if (again.applied != model::Applied::applied || again.too_large)
        return hold(batch, change, again.applied, result);
      break;
    }
    case model::Applied::applied:
      break;
  }
  touch(*entry);
  return drain_held(*entry);
}

void HubApply::touch(Entry& entry) {
  Loaded& loaded = entry.second;
  if (!loaded.dirty) order_.push_back(&entry);
  loaded.dirty = true;
  if (loaded.contributors.empty() || loaded.contributors.back() != index_)
    loaded.contributors.push_back(index_);
}

Status HubApply::drain_held(Entry& entry) {
  auto& [id, loaded] = entry;
  if (!any_held_) {
    FP_TRY(const std::uint64_t held, write_.count(kHeld));
    any_held_ = held > 0;
  }
  if (!*any_held_) return {};
  FP_TRY(const auto any, write_.last_key(kHeld, id.view()));
  if (!any) return {};
  struct Waiting {
    model::Change change;
    std::size_t bytes = 0;
  };
  std::vector<Waiting> waiting;
  FP_CHECK_OK(
      write_.scan(kHeld, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
        const BytesView dot = key.subspan(RecordId::kSize);
        FP_TRY(const auto value, write_.get(kLog, dot));
        if (!value) return fail(Errc::corrupt, "held change " + to_hex(dot) + " is not in the log");
        const auto logged_or = decode_log_entry(codec_, dot, *value);
        if (!logged_or && logged_or.error().is(Errc::corrupt))
          return KvRead::Step::more;  // stays held
        FP_TRY(const LogEntry& logged, logged_or);
        FP_TRY(model::Change change, wire::decode_change(logged.actor, logged.frame));
        waiting.push_back({std::move(change), logged.frame.size()});
        return KvRead::Step::more;
      }));
  // As model::drain: until nothing moves.
  for (bool moved = true; moved && !waiting.empty();) {
    moved = false;
    for (auto it = waiting.begin(); it != waiting.end();) {
      Outcome outcome = apply_within(loaded, it->change, it->bytes);
      if (outcome.applied == model::Applied::held_for_context) {
        // The last thing that it waited for besides a refused change may have come just now.
        FP_TRY(const bool advanced, advance_over_refused(loaded, it->change));
        if (advanced) outcome = apply_within(loaded, it->change, it->bytes);
      }
      const model::Dot dot = it->change.dot;
      if (outcome.too_large) {
        FP_CHECK_OK(refuse_held(id, dot, wire::ExceptionKind::quarantined, kTooLargeRule,
                                *outcome.too_large));
      } else if (outcome.applied == model::Applied::mismatch) {
        FP_CHECK_OK(refuse_held(id, dot, wire::ExceptionKind::unauthorised, kMismatchRule,
                                kMismatchDetail));
      } else if (outcome.applied == model::Applied::applied ||
                 outcome.applied == model::Applied::already_known) {
        FP_CHECK_OK(write_.erase(kHeld, record_dot_key(id, dot.actor, dot.counter)));
        FP_CHECK_OK(write_.erase(kExceptions, dot_key(dot.actor, dot.counter)));
        if (outcome.applied == model::Applied::applied) moved = loaded.drained = true;
      } else {
        ++it;
        continue;
      }
      it = waiting.erase(it);
    }
    if (planted(Bug::drain_stops_early)) break;
  }
  return {};
}

Result<BatchResult> HubApply::add(const IncomingBatch& batch) {
  BatchResult result;
  result.actor = batch.actor;
  now_ = batch.received;
  ActorHeadState head{batch.device, {}, batch.previous, 0, batch.born};
  FP_TRY(const auto stored, write_.get(kActors, Packer().actor(batch.actor).bytes()));
  if (stored) {
    FP_TRY(head, unpack_actor(*stored));
  }
  if (head.device != batch.device) {
    result.kind = BatchResult::Kind::foreign;
    ++index_;
    return result;
  }
  FP_TRY(const bool again, replayed(batch, head, result));
  if (again) {
    ++index_;
    return result;
  }
  result.head = head.head;
  result.hash = head.hash;
  const bool empty = batch.changes.empty() && !batch.gap;
  if (empty || head.head.next() != batch.first || head.hash != batch.previous) {
    result.kind = BatchResult::Kind::rewind;
    ++index_;
    return result;
  }
  if (batch.gap) {
    FP_CHECK_OK(put_gap(write_, batch, head));
    result.head = head.head;
    result.hash = head.hash;
    ++index_;
    return result;
  }
  welcome_ = head.welcome;
  born_ = head.born;
  for (const IncomingChange& change : batch.changes) FP_CHECK_OK(merge(batch, change, result));
  head.welcome = welcome_;
  head.head = batch.changes.back().counter;
  head.hash = batch.head;
  result.head = head.head;
  result.hash = head.hash;
  FP_CHECK_OK(write_.put(kActors, Packer().actor(batch.actor).bytes(), pack_actor(head)));
  FP_CHECK_OK(write_.put(kBatches, dot_key(batch.actor, head.head),
                         pack_batch({batch.head, batch.signature, batch.received})));
  ++index_;
  return result;
}

Status HubApply::add_own(
    const HubId& hub, const model::Change& change,
    const std::function<crypto::Signature(ActorId, Sequence, const Hash&)>& sign,
    Instant received) {
  const ActorId actor = change.dot.actor;
  FP_TRY(const DeviceId device, DeviceId::from(hub.view()));
  ActorHeadState head{device, {}, wire::chain_start(hub, device, actor), 0, 0};
  FP_TRY(const auto stored, write_.get(kActors, Packer().actor(actor).bytes()));
  if (stored) {
    FP_TRY(head, unpack_actor(*stored));
  }
  if (head.head.next() != change.dot.counter) {
    return fail(Errc::conflict, "the hub's own chain moved; try again");
  }
  FP_TRY(Entry * entry, load(change.record, change.type, change.unit));
  if (entry->second.built().vv.covers(change.dot))
    return fail(Errc::conflict, "the record claims a change that this hub is only about to make");
  FP_TRY(const Bytes frame, wire::encode_change(change));
  head.hash = wire::chain_next(head.hash, frame);
  head.head = change.dot.counter;
  IncomingBatch batch;
  batch.device = device;
  batch.actor = actor;
  batch.received = received;
  batch.granted = {change.unit};
  BatchResult result;
  FP_CHECK_OK(merge(batch, {frame, change.record, change.dot.counter, change.prev, change, {}, {}},
                    result));
  if (!result.exceptions.empty()) {
    const wire::ChangeException& left = result.exceptions.front();
    if (left.rule == kTooLargeRule) return fail(Errc::too_large, left.detail);
    return fail(Errc::conflict, "the record moved meanwhile; read it again and decide again");
  }
  FP_CHECK_OK(write_.put(kActors, Packer().actor(actor).bytes(), pack_actor(head)));
  return write_.put(kBatches, dot_key(actor, head.head),
                    pack_batch({head.hash, sign(actor, head.head, head.hash), received}));
}

Result<std::optional<wire::ChangeException>> HubApply::release(const model::Change& change,
                                                               Instant now) {
  FP_TRY(Entry * entry, load(change.record, change.type, change.unit));
  Loaded& loaded = entry->second;
  const Outcome applied = apply_within(loaded, change, limits::kChangeBytesMax);
  if (applied.too_large) return fail(Errc::too_large, *applied.too_large);
  const model::Applied outcome = applied.applied;
  const Bytes exception_key = dot_key(change.dot.actor, change.dot.counter);
  std::optional<wire::ChangeException> left;
  switch (outcome) {
    case model::Applied::mismatch:
      return fail(Errc::conflict,
                  "the record has another type or unit: this change can only stay in quarantine");
    case model::Applied::already_known:
      FP_CHECK_OK(write_.erase(kExceptions, exception_key));
      return left;
    case model::Applied::held_for_predecessor:
    case model::Applied::held_for_context: {
      FP_TRY(const auto value, write_.get(kExceptions, exception_key));
      if (!value) return fail(Errc::not_found, "no such quarantined change");
      FP_TRY(StoredException stored, unpack_stored_exception(*value));
      stored.confirmed = false;
      stored.exception.kind = wire::ExceptionKind::held;
      stored.exception.rule = "held";
      stored.exception.path.clear();
      stored.exception.detail = held_detail(outcome, change);
      FP_CHECK_OK(write_.put(kExceptions, exception_key, pack_stored_exception(stored)));
      any_held_ = true;
      FP_CHECK_OK(write_.put(kHeld,
                             record_dot_key(change.record, change.dot.actor, change.dot.counter),
                             Packer().i64(now.ms).take()));
      note_outcome(change.dot);
      left = stored.exception;
      return left;
    }
    case model::Applied::applied:
      break;
  }
  FP_CHECK_OK(write_.erase(kExceptions, exception_key));
  touch(*entry);
  loaded.drained = true;
  FP_CHECK_OK(drain_held(*entry));
  return left;
}

Status HubApply::join_recovered(const model::Record& state) {
  FP_TRY(Entry * entry, load(state.id, state.type, state.unit));
  Loaded& loaded = entry->second;
  model::Record joined = loaded.built();
  FP_CHECK_OK(model::join(joined, state));
  FP_TRY(const Bytes canonical, wire::encode_record(joined));
  loaded.record = std::move(joined);
  loaded.bytes = canonical.size();
  touch(*entry);
  loaded.drained = true;  // no tablet pushed this: everyone is to hear of it
  return drain_held(*entry);
}

Status HubApply::deliver_again(const RecordId& id) {
  FP_TRY(Entry * entry, load(id, "", ""));
  if (!entry->second.exists) return fail(Errc::not_found, "no record " + to_text(id));
  touch(*entry);
  entry->second.drained = true;
  return {};
}

Status HubApply::write_record(const RecordId& id, Loaded& loaded, std::uint64_t position,
                              Bytes& places) {
  const std::string& unit = loaded.record.unit;
  if (loaded.position_before != 0) {
    FP_CHECK_OK(write_.erase(kFeed, feed_key(unit, loaded.position_before)));
  }
  FP_CHECK_OK(write_.put(kFeed, feed_key(unit, position), id.view()));
  const bool created = loaded.created_by != nullptr;
  if (created) {
    place_stored_record(codec_, id, *loaded.created_by->prepared->created, position, value_);
  } else {
    FP_TRY(value_, encode_stored_record(codec_, loaded.record, position));
  }
  const BytesView essence = codec_.essence(value_);
  places.insert(places.end(), essence.begin(), essence.end());
  FP_CHECK_OK(write_.put(kRecords, id.view(), value_));
  if (created) return {};
  if (loaded.record.groups.size() > 1 && !model::conflicts(loaded.record).empty()) {
    return write_.put(kConflicts, id.view(), {});
  }
  return loaded.exists ? write_.erase(kConflicts, id.view()) : Status{};
}

Status HubApply::finish(std::vector<BatchResult>& results) {
  struct Feed {
    FeedEnd before;
    std::uint64_t end = 0;
    Bytes places;  ///< what took them
  };
  std::map<std::string, Feed, std::less<>> feeds;
  for (Entry* entry : order_) {
    auto& [id, loaded] = *entry;
    const std::string& unit = loaded.record.unit;
    auto feed = feeds.find(unit);
    if (feed == feeds.end()) {
      FP_TRY(const FeedEnd last, read_feed_end(write_, unit));
      feed = feeds.emplace(unit, Feed{last, last.position, {}}).first;
    }
    const bool stays = planted(Bug::feed_position_kept) && loaded.position_before != 0;
    const std::uint64_t position = stays ? loaded.position_before : ++feed->second.end;
    FP_CHECK_OK(write_record(id, loaded, position, feed->second.places));
    const bool direct = loaded.contributors.size() == 1 && !loaded.drained;
    for (std::size_t index : loaded.contributors) {
      if (index >= results.size()) results.resize(index + 1);
      results[index].touched.push_back({id, unit, loaded.position_before, position, direct});
    }
  }
  for (const auto& [unit, feed] : feeds)
    FP_CHECK_OK(move_feed_end(write_, unit, feed.before, feed.end, feed.places));
  if (!results.empty()) results.back().outcomes = std::move(outcomes_);
  return {};
}

}  // namespace fieldpost::storage
