#include "storage/hub_recovery.h"

#include <algorithm>

#include "storage/hub_repair.h"
#include "storage/hub_staging.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

Result<std::optional<model::Record>> load_record(const KvRead& read, ValueCodec& codec,
                                                 const RecordId& id) {
  std::optional<model::Record> record;
  FP_TRY(const auto value, read.get(kRecords, id.view()));
  if (!value) return record;
  FP_TRY(StoredRecord stored, sound_record(read, codec, id, *value));
  record = std::move(stored.record);
  return record;
}

const model::DotGroup* group_at(const model::Record& record, const model::Dot& dot) {
  const auto at =
      std::lower_bound(record.groups.begin(), record.groups.end(), dot,
                       [](const model::DotGroup& g, const model::Dot& d) { return g.dot < d; });
  return at != record.groups.end() && at->dot == dot ? &*at : nullptr;
}

const model::Value* value_at(const std::vector<model::FieldValue>& fields, std::string_view path) {
  const auto at = std::find_if(fields.begin(), fields.end(),
                               [&](const model::FieldValue& f) { return f.path == path; });
  return at == fields.end() ? nullptr : &at->value;
}

/// Moves out of `group` the fields that are known otherwise: by the signed change of its dot, or by what
/// the record holds under it.
Result<std::vector<model::FieldValue>> take_differing(const KvRead& read, ValueCodec& codec,
                                                      const model::Record* record,
                                                      model::DotGroup& group, const RecordId& id) {
  std::vector<model::FieldValue> differing;
  std::optional<model::Change> logged;
  const Bytes key = dot_key(group.dot.actor, group.dot.counter);
  FP_TRY(const auto value, read.get(kLog, key));
  if (value) {
    FP_TRY(const LogEntry entry, decode_log_entry(codec, key, *value));
    auto change = wire::decode_change(entry.actor, entry.frame);
    if (change && change->record == id) logged = std::move(*change);
  }
  const model::DotGroup* held = record == nullptr ? nullptr : group_at(*record, group.dot);
  std::erase_if(group.fields, [&](const model::FieldValue& field) {
    const model::Value* known = nullptr;
    if (logged)
      known = value_at(logged->edits, field.path);
    else if (held != nullptr)
      known = value_at(held->fields, field.path);
    const bool same = known != nullptr ? *known == field.value : !logged;
    if (!same) differing.push_back(field);
    return !same;
  });
  return differing;
}

using Groups = std::vector<model::DotGroup>;

/// Fields of a group whose dot means something else here, and the group as the copy has it.
struct Differing {
  model::DotGroup from;
  std::vector<model::FieldValue> fields;
};

model::Dot first_name(const model::Dot& dot, const std::optional<model::Origin>& origin) {
  return origin ? origin->dot : dot;
}

/// Leaves out what came again under another dot: a change of the same first name that says the same is the same
/// edit (wire-v1, 6.2). A refused one says nothing.
Status leave_out_what_came_again(const KvRead& read, ValueCodec& codec, const RecordId& id,
                                 std::vector<Differing>& differing) {
  if (differing.empty()) return {};
  return read.scan(kByRecord, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto value, read.get(kLog, dot));
    if (!value) return Step::more;
    const auto entry = decode_log_entry(codec, dot, *value);
    if (!entry) return Step::more;  // damaged: that is told elsewhere
    const auto change = wire::decode_change(entry->actor, entry->frame);
    if (!change) return Step::more;
    const model::Dot name = first_name(change->dot, change->origin);
    for (Differing& one : differing) {
      if (first_name(one.from.dot, one.from.meta.origin) != name) continue;
      FP_TRY(const bool refused, was_refused(read, dot));
      if (refused) break;
      std::erase_if(one.fields, [&](const model::FieldValue& field) {
        const model::Value* said = value_at(change->edits, field.path);
        return said != nullptr && *said == field.value;
      });
    }
    return Step::more;
  });
}

/// Moves out of the groups of a tablet's copy what is known otherwise under their dots. Where that is not all of a
/// group, the rest of it stays. Answers what is known under no other dot either.
Result<std::vector<Differing>> take_differing(const KvRead& read, ValueCodec& codec,
                                              const model::Record* record, model::Record& copy) {
  std::vector<Differing> all;
  for (model::DotGroup& group : copy.groups) {
    const model::DotGroup whole = group;
    FP_TRY(auto fields, take_differing(read, codec, record, group, copy.id));
    if (fields.empty()) continue;
    all.push_back({whole, std::move(fields)});
    // Under that dot this store's own word stands, or the join would take it for replaced.
    const model::DotGroup* mine = record == nullptr ? nullptr : group_at(*record, group.dot);
    if (mine != nullptr)
      group = *mine;
    else
      group.fields.clear();
  }
  std::erase_if(copy.groups, [](const model::DotGroup& g) { return g.fields.empty(); });
  FP_CHECK_OK(leave_out_what_came_again(read, codec, copy.id, all));
  std::erase_if(all, [](const Differing& one) { return one.fields.empty(); });
  return all;
}

Bytes pack_recovered(const RecoveredEntry& entry, BytesView canonical) {
  return Packer()
      .u8(static_cast<std::uint8_t>(entry.kind))
      .i64(entry.at.ms)
      .text(entry.author)
      .text(entry.note)
      .id(entry.device)
      .actor(entry.dot.actor)
      .seq(entry.dot.counter)
      .blob(canonical)
      .take();
}

Status put_recovered(KvWrite& write, ValueCodec& codec, const RecordId& id,
                     const RecoveredEntry& entry) {
  std::uint64_t number = 0;
  FP_TRY(const auto last, write.last_key(kRecovered, id.view()));
  if (last) number = Unpacker(BytesView(*last).subspan(RecordId::kSize)).u64() + 1;
  const Bytes key = Packer().id(id).u64(number).take();
  Bytes canonical;
  if (!entry.state.id.is_zero()) {
    FP_TRY(canonical, wire::encode_record(entry.state));
  }
  return write.put(kRecovered, key,
                   codec.encode(kRecovered, key, pack_recovered(entry, canonical)));
}

/// A change of the record that is set aside here and that `vv` would cover.
Result<std::optional<wire::ChangeException>> set_aside_under(const KvRead& read, const RecordId& id,
                                                             const model::VersionVector& vv,
                                                             bool refused_too) {
  std::optional<wire::ChangeException> found;
  FP_CHECK_OK(read.scan(kByRecord, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    Unpacker in(dot);
    const ActorId actor = in.actor();
    if (!vv.covers(model::Dot{actor, in.seq()})) return Step::more;
    FP_TRY(const auto value, read.get(kExceptions, dot));
    if (!value) return Step::more;
    FP_TRY(StoredException stored, unpack_stored_exception(*value));
    const bool aside = stored.exception.kind == wire::ExceptionKind::quarantined ||
                       (refused_too && stored.exception.kind == wire::ExceptionKind::unauthorised);
    if (!aside || stored.exception.rule == kDiffersRule) return Step::more;
    found = std::move(stored.exception);
    return Step::stop;
  }));
  return found;
}

struct Decision {
  const std::string& author;
  const std::string& note;
  const model::ChangeTimes& times;
  const std::array<std::uint8_t, 16>& salt;
  bool clear_texts;
};

Status refuse_set_aside(const wire::ChangeException& aside) {
  return fail(Errc::conflict, "change " + model::to_text({aside.actor, aside.counter}) +
                                  " of this record is set aside here (" + aside.rule +
                                  "); settle that first");
}

/// The hub's own change that puts values beside what stands there: it has seen nothing. Its origin is the first name
/// of the change that said so, or it would look like another edit beside that one should it come again.
Status add_beside(KvWrite& write, HubApply& run, const model::Record& like,
                  const model::DotGroup& from, std::vector<model::FieldValue> fields,
                  const Decision& decision, const OwnChain& chain) {
  FP_TRY(const model::Record* record, run.peek(like.id));
  model::Change change;
  change.record = like.id;
  change.type = like.type;
  change.unit = like.unit;
  FP_TRY(const auto head, write.get(kActors, Packer().actor(chain.actor).bytes()));
  Sequence last;
  if (head) {
    FP_TRY(const ActorHeadState state, unpack_actor(*head));
    last = state.head;
  }
  change.dot = {chain.actor, last.next()};
  change.prev = record == nullptr ? Sequence{} : record->vv[chain.actor];
  change.edits = std::move(fields);
  for (const model::Seal& seal : from.seals) {
    const bool used =
        std::any_of(change.edits.begin(), change.edits.end(), [&](const model::FieldValue& f) {
          const auto* sealed = std::get_if<model::Sealed>(&f.value);
          return sealed != nullptr && sealed->seal == seal.id;
        });
    if (used) change.seals.push_back(seal);
  }
  change.origin = from.meta.origin ? *from.meta.origin : model::Origin{from.dot, {}};
  change.author = decision.author;
  change.times = decision.times;
  change.schema_version = from.meta.schema_version;
  if (decision.clear_texts)
    change.reason = "recovered: " + (decision.note.empty() ? "an operator decided" : decision.note);
  const Hash salt = crypto::hash("fieldpost.v1.recovery-salt",
                                 {decision.salt, Packer().seq(change.dot.counter).bytes()});
  std::copy_n(salt.bytes.begin(), change.salt.bytes.size(), change.salt.bytes.begin());
  return run.add_own(chain.hub, change, chain.sign, decision.times.wall);
}

Status join_staged(KvWrite& write, HubApply& run, ValueCodec& codec,
                   const HubStore::RecoveryInput& input, const StagedState& staged,
                   const OwnChain& chain) {
  FP_TRY(const auto aside, set_aside_under(write, input.record, staged.state.vv, true));
  if (aside) return refuse_set_aside(*aside);
  FP_TRY(const auto own, write.get(kActors, Packer().actor(chain.actor).bytes()));
  Sequence made;
  if (own) {
    FP_TRY(const ActorHeadState head, unpack_actor(*own));
    made = head.head;
  }
  if (staged.state.vv[chain.actor] > made)
    return fail(Errc::conflict,
                "the copy of device " + staged.device.hex() +
                    " claims changes that this hub has not made: refuse it, and look into that "
                    "tablet");
  RecoveredEntry entry{RecoveredEntry::Kind::joined,
                       input.times.wall,
                       input.author,
                       input.note,
                       staged.device,
                       staged.state,
                       {}};
  model::Record& state = entry.state;
  FP_TRY(const model::Record* record, run.peek(input.record));
  FP_TRY(std::vector<Differing> beside, take_differing(write, codec, record, state));
  FP_CHECK_OK(run.join_recovered(state));
  FP_CHECK_OK(put_recovered(write, codec, input.record, entry));
  const Decision decision{input.author, input.note, input.times, input.salt, input.clear_texts};
  for (Differing& one : beside)
    FP_CHECK_OK(add_beside(write, run, state, one.from, std::move(one.fields), decision, chain));
  return {};
}

Result<std::vector<model::Change>> held_changes(const KvRead& read, ValueCodec& codec,
                                                const RecordId& id) {
  std::vector<model::Change> held;
  FP_CHECK_OK(read.scan(kHeld, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto value, read.get(kLog, dot));
    if (!value) return fail(Errc::corrupt, "held change " + to_hex(dot) + " is not in the log");
    FP_TRY(const LogEntry entry, decode_log_entry(codec, dot, *value));
    FP_TRY(model::Change change, wire::decode_change(entry.actor, entry.frame));
    held.push_back(std::move(change));
    return Step::more;
  }));
  return held;
}

/// What `change` waits for and nobody has, or nothing while other held changes have to come first: over their
/// dots the vector must not be advanced, or what they say would count as known.
std::optional<model::VersionVector> missing_for(const model::Change& change,
                                                const std::vector<model::Change>& held,
                                                const model::VersionVector& known) {
  model::VersionVector missing;
  bool first = true;
  const auto need = [&](ActorId actor, Sequence counter) {
    if (known.covers(model::Dot{actor, counter})) return;
    for (const model::Change& other : held) {
      if (other.dot.actor == actor && other.dot.counter <= counter) first = false;
    }
    missing.add({actor, counter});
  };
  need(change.dot.actor, change.prev);
  for (const auto& seen : change.context.entries()) need(seen.actor, seen.counter);
  return first && !missing.empty() ? std::optional(missing) : std::nullopt;
}

/// Its chain went on otherwise in a past that was given up or joined: this change can never follow. Nothing else is
/// missing for it.
bool contradicts(const model::Change& change, const model::VersionVector& known) {
  return known[change.dot.actor] > change.prev && known.covers(change.context);
}

/// A signed change as a group, for what comes in under the hub's name instead.
Result<model::DotGroup> group_said_by(const model::Change& change) {
  FP_TRY(const Bytes frame, wire::encode_change(change));
  model::DotGroup group;
  group.dot = change.dot;
  group.seals = change.seals;
  group.meta.schema_version = change.schema_version;
  group.meta.origin = change.origin;
  if (!group.meta.origin) group.meta.origin = model::Origin{change.dot, wire::change_hash(frame)};
  return group;
}

/// Giving up what a tablet's copy holds would make the copy look like something replaced long ago.
Status no_copy_has(const KvRead& read, ValueCodec& codec, const RecordId& id,
                   const model::VersionVector& missing) {
  return read.scan(kStaged, id.view(), {}, [&](BytesView key, BytesView value) -> Result<Step> {
    FP_TRY(const StagedState one, unpack_staged(codec, key, value));
    for (const auto& [actor, counter] : missing.entries()) {
      if (one.state.vv[actor] < counter) continue;
      return fail(Errc::conflict, "a copy of device " + one.device.hex() +
                                      " has what these changes wait for: join or refuse it first");
    }
    return Step::more;
  });
}

Status release_held(KvWrite& write, HubApply& run, ValueCodec& codec,
                    const HubStore::RecoveryInput& input, const OwnChain& chain) {
  FP_TRY(auto held, held_changes(write, codec, input.record));
  if (held.empty())
    return fail(Errc::not_found, "record " + to_text(input.record) + " has no held change");
  while (!held.empty()) {
    FP_TRY(const model::Record* record, run.peek(input.record));
    const model::VersionVector known = record == nullptr ? model::VersionVector{} : record->vv;
    RecoveredEntry entry{RecoveredEntry::Kind::released,
                         input.times.wall,
                         input.author,
                         input.note,
                         {},
                         model::empty_record(input.record, held[0].type, held[0].unit),
                         {}};
    for (const model::Change& change : held) {
      const auto missing = missing_for(change, held, known);
      if (!missing) continue;
      entry.state.vv = *missing;
      break;
    }
    std::optional<model::Change> beside;
    for (const model::Change& change : held) {
      if (!entry.state.vv.empty() || !contradicts(change, known)) continue;
      beside = change;
      entry.state.vv.add(change.dot);
    }
    if (entry.state.vv.empty())
      return fail(Errc::conflict, "change " + model::to_text(held[0].dot) +
                                      " contradicts what is known of its record: it stays held");
    // The vector covers its writers' earlier changes, too: what stands of those is to stay.
    for (const model::DotGroup& group : record == nullptr ? Groups{} : record->groups) {
      if (entry.state.vv.covers(group.dot)) entry.state.groups.push_back(group);
    }
    // A change in quarantine is not lost: it is here.
    FP_TRY(const auto aside, set_aside_under(write, input.record, entry.state.vv, false));
    if (aside) return refuse_set_aside(*aside);
    FP_CHECK_OK(no_copy_has(write, codec, input.record, entry.state.vv));
    FP_CHECK_OK(run.join_recovered(entry.state));
    FP_CHECK_OK(put_recovered(write, codec, input.record, entry));
    if (beside) {
      entry.kind = RecoveredEntry::Kind::differing;
      entry.dot = beside->dot;
      entry.state = {};
      FP_CHECK_OK(put_recovered(write, codec, input.record, entry));
      FP_TRY(const model::DotGroup from, group_said_by(*beside));
      FP_TRY(record, run.peek(input.record));
      const model::Record like = *record;
      FP_CHECK_OK(add_beside(write, run, like, from, beside->edits,
                             {input.author, input.note, input.times, input.salt, input.clear_texts},
                             chain));
    }
    FP_TRY(held, held_changes(write, codec, input.record));
  }
  return {};
}

}  // namespace

Result<bool> was_refused(const KvRead& read, BytesView dot) {
  FP_TRY(const auto value, read.get(kExceptions, dot));
  if (!value) return false;
  FP_TRY(const StoredException stored, unpack_stored_exception(*value));
  return stored.exception.kind == wire::ExceptionKind::unauthorised;
}

Result<bool> pass_over_refused(const KvRead& read, model::Record& record,
                               const model::Change& change) {
  model::VersionVector passed = record.vv;
  for (const auto& seen : change.context.entries()) {
    const Sequence known = record.vv[seen.actor];
    if (seen.counter <= known) continue;
    bool only_refused = true;
    bool reached = false;
    FP_CHECK_OK(read.scan(kByRecord, Packer().id(record.id).actor(seen.actor).bytes(),
                          record_dot_key(record.id, seen.actor, known.next()),
                          [&](BytesView key, BytesView) -> Result<Step> {
                            const BytesView dot = key.subspan(RecordId::kSize);
                            Unpacker in(dot);
                            in.actor();
                            const Sequence counter = in.seq();
                            if (counter > seen.counter) return Step::stop;
                            reached = counter == seen.counter;
                            FP_TRY(const bool refused, was_refused(read, dot));
                            only_refused = only_refused && refused;
                            return Step::more;
                          }));
    if (!reached || !only_refused) return false;
    passed.add({seen.actor, seen.counter});
  }
  if (passed == record.vv) return false;
  record.vv = std::move(passed);
  return true;
}

Result<StagedState> unpack_staged(ValueCodec& codec, BytesView key, BytesView value) {
  StagedState staged;
  FP_CHECK_OK(record_of_key(key));
  Unpacker place(key.subspan(RecordId::kSize));
  staged.device = place.id<DeviceId>();
  FP_TRY(const Bytes plain, codec.decode(kStaged, key, value));
  Unpacker in(plain);
  staged.received = Instant{in.i64()};
  const BytesView canonical = in.rest();
  FP_CHECK_OK(in.finish("staged state"));
  FP_TRY(staged.state, wire::decode_record(canonical));
  return staged;
}

Result<std::vector<RecoveredEntry>> read_recovered(const KvRead& read, ValueCodec& codec,
                                                   const RecordId& id) {
  std::vector<RecoveredEntry> all;
  FP_CHECK_OK(
      read.scan(kRecovered, id.view(), {}, [&](BytesView key, BytesView value) -> Result<Step> {
        FP_TRY(const Bytes plain, codec.decode(kRecovered, key, value));
        Unpacker in(plain);
        RecoveredEntry entry;
        const std::uint8_t kind = in.u8();
        if (kind > static_cast<std::uint8_t>(RecoveredEntry::Kind::differing))
          return fail(Errc::corrupt, "recovered entry of an unknown kind");
        entry.kind = static_cast<RecoveredEntry::Kind>(kind);
        entry.at = Instant{in.i64()};
        entry.author = in.text();
        entry.note = in.text();
        entry.device = in.id<DeviceId>();
        entry.dot.actor = in.actor();
        entry.dot.counter = in.seq();
        const BytesView canonical = in.blob();
        FP_CHECK_OK(in.finish("recovered entry"));
        if (!canonical.empty()) {
          FP_TRY(entry.state, wire::decode_record(canonical));
        }
        all.push_back(std::move(entry));
        return Step::more;
      }));
  return all;
}

Result<bool> store_lacks(const KvRead& read, ValueCodec& codec, const model::Record& state) {
  FP_TRY(const auto erased, read.get(kErased, state.id.view()));
  if (erased) return false;  // gone on purpose, and not to come back
  FP_TRY(const auto record, load_record(read, codec, state.id));
  if (!record || !record->vv.covers(state.vv)) return true;
  model::Record copy = state;
  FP_TRY(const auto differing, take_differing(read, codec, &*record, copy));
  return !differing.empty();
}

Status recover_record(KvWrite& write, HubApply& run, ValueCodec& codec,
                      const HubStore::RecoveryInput& input, const OwnChain& chain) {
  if (input.decision == HubStore::Recovery::release)
    return release_held(write, run, codec, input, chain);
  std::vector<std::pair<Bytes, StagedState>> staged;
  FP_CHECK_OK(write.scan(kStaged, input.record.view(), {},
                         [&](BytesView key, BytesView value) -> Result<Step> {
                           FP_TRY(StagedState one, unpack_staged(codec, key, value));
                           staged.emplace_back(to_bytes(key), std::move(one));
                           return Step::more;
                         }));
  if (staged.empty())
    return fail(Errc::not_found,
                "nothing of record " + to_text(input.record) + " waits to be recovered");
  for (const auto& [key, one] : staged) {
    if (input.decision == HubStore::Recovery::join)
      FP_CHECK_OK(join_staged(write, run, codec, input, one, chain));
    else
      FP_CHECK_OK(put_recovered(write, codec, input.record,
                                {RecoveredEntry::Kind::refused,
                                 input.times.wall,
                                 input.author,
                                 input.note,
                                 one.device,
                                 one.state,
                                 {}}));
    FP_CHECK_OK(erase_staged(write, key));
  }
  return {};
}

Result<bool> differs_from_recovered(const KvRead& read, ValueCodec& codec,
                                    const model::Record& record, const model::Change& change) {
  FP_TRY(const auto any, read.last_key(kRecovered, record.id.view()));
  if (!any) return false;
  const model::DotGroup* group = group_at(record, change.dot);
  if (group == nullptr) {
    // Given up, and here after all: what it says was never part of the record.
    FP_TRY(const auto decided, read_recovered(read, codec, record.id));
    const bool given_up = std::any_of(decided.begin(), decided.end(), [&](const RecoveredEntry& e) {
      return e.kind == RecoveredEntry::Kind::released && e.state.vv.covers(change.dot);
    });
    // What a later change replaced leaves that one's value under its path: none there, and the copy that was
    // joined claimed to know a change that it had not seen.
    return (given_up && !change.edits.empty()) ||
           std::any_of(change.edits.begin(), change.edits.end(), [&](const auto& edit) {
             return model::siblings(record, edit.path).empty();
           });
  }
  return std::any_of(group->fields.begin(), group->fields.end(),
                     [&](const model::FieldValue& field) {
                       const model::Value* said = value_at(change.edits, field.path);
                       return said == nullptr || *said != field.value;
                     });
}

Status settle_differing(KvWrite& write, HubApply& run, ValueCodec& codec,
                        const model::Change& change, const HubStore::RulingInput& input,
                        const OwnChain& chain) {
  FP_TRY(const model::Record* record, run.peek(change.record));
  if (record == nullptr)
    return fail(Errc::corrupt, "record " + to_text(change.record) + " is not stored");
  FP_TRY(const model::DotGroup from, group_said_by(change));
  std::vector<model::FieldValue> fields;
  const model::DotGroup* recovered = group_at(*record, change.dot);
  for (const model::FieldValue& edit : change.edits) {
    const model::Value* known =
        recovered == nullptr ? nullptr : value_at(recovered->fields, edit.path);
    if (known == nullptr || *known != edit.value) fields.push_back(edit);
  }
  const model::Record like = *record;
  FP_CHECK_OK(put_recovered(write, codec, change.record,
                            {RecoveredEntry::Kind::differing,
                             input.times.wall,
                             input.author,
                             input.note,
                             {},
                             {},
                             change.dot}));
  FP_CHECK_OK(write.erase(kExceptions, dot_key(change.dot.actor, change.dot.counter)));
  if (input.ruling == HubStore::Ruling::reject || fields.empty())
    return run.deliver_again(change.record);
  return add_beside(write, run, like, from, std::move(fields),
                    {input.author, input.note, input.times, input.salt, input.clear_texts}, chain);
}

}  // namespace fieldpost::storage
