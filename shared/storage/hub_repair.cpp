#include "storage/hub_repair.h"

#include <algorithm>

#include "base/planted.h"
#include "storage/hub_recovery.h"
#include "storage/hub_tables.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

constexpr std::uint8_t kMended = 0x80;

Bytes damage_key(HubDamage::Kind kind, bool mended, BytesView key) {
  const auto first = static_cast<std::uint8_t>(kind);
  return Packer().u8(mended ? first | kMended : first).raw(key).take();
}

Status put_damage(KvWrite& write, HubDamage::Kind kind, bool mended, BytesView key,
                  std::optional<Instant> found, BytesView raw) {
  return write.put(
      kDamaged, damage_key(kind, mended, key),
      Packer().u8(1).u8(found ? 1 : 0).i64(found.value_or(Instant{}).ms).blob(raw).take());
}

/// True when the change was kept but never merged.
Result<bool> never_merged(const KvRead& read, BytesView dot) {
  FP_TRY(const auto value, read.get(kExceptions, dot));
  if (!value) return false;
  FP_TRY(const StoredException stored, unpack_stored_exception(*value));
  return stored.exception.kind == wire::ExceptionKind::quarantined ||
         stored.exception.kind == wire::ExceptionKind::unauthorised;
}

}  // namespace

Result<std::uint64_t> feed_place(const KvRead& read, const RecordId& record,
                                 const std::string& unit, BytesView value) {
  const auto stands_at = [&](std::uint64_t position) -> Result<bool> {
    FP_TRY(const auto found, read.get(kFeed, feed_key(unit, position)));
    return found &&
           std::equal(found->begin(), found->end(), record.bytes.begin(), record.bytes.end());
  };
  constexpr std::size_t kPositionBytes = 8;
  if (value.size() >= ValueCodec::kHeadAt + kPositionBytes) {
    const std::uint64_t said = Unpacker(value.subspan(ValueCodec::kHeadAt, kPositionBytes)).u64();
    FP_TRY(const bool right, stands_at(said));
    if (right) return said;
  }
  std::uint64_t position = 0;
  const Bytes prefix = feed_prefix(unit);
  FP_CHECK_OK(read.scan(kFeed, prefix, {}, [&](BytesView key, BytesView id) -> Result<Step> {
    if (!std::equal(id.begin(), id.end(), record.bytes.begin(), record.bytes.end()))
      return Step::more;
    position = Unpacker(key.subspan(prefix.size())).u64();
    return Step::stop;
  }));
  return position;
}

Status forget_damage(KvWrite& write, HubDamage::Kind kind, BytesView key) {
  for (const bool mended : {false, true})
    FP_CHECK_OK(write.erase(kDamaged, damage_key(kind, mended, key)));
  return {};
}

namespace {

Status repair_record(KvWrite& write, ValueCodec& codec, BytesView key, Instant now,
                     RepairReport& report) {
  FP_TRY(const RecordId id, RecordId::from(key));
  FP_TRY(const auto value, write.get(kRecords, key));
  if (!value || decode_stored_record(codec, id, *value)) return {};  // somebody was faster
  const Bytes raw = to_bytes(*value);
  auto mended = mend_record(write, codec, id, raw, now);
  if (!mended && !mended.error().is(Errc::corrupt)) return std::move(mended).error();
  if (!mended) {
    ++report.records_lost;
    FP_TRY(const auto known, write.get(kDamaged, damage_key(HubDamage::Kind::record, false, key)));
    if (known) return {};
    return put_damage(write, HubDamage::Kind::record, false, key, now, raw);
  }
  ++report.records_mended;
  FP_TRY(const Bytes fresh, encode_stored_record(codec, mended->record, mended->position));
  return write.put(kRecords, key, fresh);
}

Status repair_log(KvWrite& write, ValueCodec& codec, BytesView key, Instant now,
                  RepairReport& report) {
  FP_TRY(const auto value, write.get(kLog, key));
  if (!value || decode_log_entry(codec, key, *value)) return {};
  ++report.log_damaged;
  FP_TRY(const auto known, write.get(kDamaged, damage_key(HubDamage::Kind::change, false, key)));
  if (known) return {};
  return put_damage(write, HubDamage::Kind::change, false, key, now, to_bytes(*value));
}

}  // namespace

std::string damage_words(const HubDamage& damage) {
  const std::string since = damage.found ? ", found " + to_text(*damage.found) : std::string();
  if (damage.kind == HubDamage::Kind::change) {
    return "change " + model::to_text(damage.dot) + " in the log was damaged on the disk" + since +
           ": what it did to its record stands, but it cannot be proved or shown any more. Restore "
           "it from a backup; the tablet that made it may have it, too";
  }
  return "record " + to_text(damage.record) + " was damaged on the disk" + since +
         (damage.mended
              ? "; it was rebuilt from its changes"
              : ", and so were changes that would give it again: it is not delivered, and "
                "new changes of it wait in quarantine. Restore the hub from a backup");
}

Result<model::Record> replay_record(const KvRead& read, ValueCodec& codec, const RecordId& id) {
  std::vector<model::Change> changes;
  FP_CHECK_OK(read.scan(kByRecord, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const bool aside, never_merged(read, dot));
    if (aside) return Step::more;
    FP_TRY(const auto value, read.get(kLog, dot));
    if (!value) return fail(Errc::corrupt, "change " + to_hex(dot) + " is not in the log");
    FP_TRY(const LogEntry entry, decode_log_entry(codec, dot, *value));
    FP_TRY(model::Change change, wire::decode_change(entry.actor, entry.frame));
    changes.push_back(std::move(change));
    return Step::more;
  }));
  FP_TRY(const auto recovered, read_recovered(read, codec, id));
  // What came back from tablets' copies after a loss has no changes here, and differing ones are apart.
  const auto joined = [](const RecoveredEntry& entry) {
    return entry.kind == RecoveredEntry::Kind::joined ||
           entry.kind == RecoveredEntry::Kind::released;
  };
  const auto first = std::find_if(recovered.begin(), recovered.end(), joined);
  if (changes.empty() && first == recovered.end())
    return fail(Errc::not_found, "no change of record " + to_text(id) + " is in the log");
  model::Record replayed =
      changes.empty() ? model::empty_record(id, first->state.type, first->state.unit)
                      : model::empty_record(id, changes.front().type, changes.front().unit);
  for (const RecoveredEntry& entry : recovered) {
    if (entry.kind != RecoveredEntry::Kind::differing) continue;
    std::erase_if(changes, [&](const model::Change& c) { return c.dot == entry.dot; });
  }
  model::drain(replayed, changes);
  for (const RecoveredEntry& entry : recovered) {
    if (joined(entry)) FP_CHECK_OK(model::join(replayed, entry.state));
    model::drain(replayed, changes);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (const model::Change& waiting : changes) {
      FP_TRY(moved, pass_over_refused(read, replayed, waiting));
      if (moved) break;
    }
    model::drain(replayed, changes);
  }
  return replayed;
}

Result<StoredRecord> sound_record(const KvRead& read, ValueCodec& codec, const RecordId& id,
                                  BytesView value) {
  auto stored = decode_stored_record(codec, id, value);
  if (stored || !stored.error().is(Errc::corrupt)) return stored;
  auto replayed = replay_record(read, codec, id);
  if (!replayed) {
    return fail(Errc::corrupt, "record " + to_text(id) +
                                   " was damaged on the hub's disk and cannot be rebuilt (" +
                                   replayed.error().detail + "): restore the hub from a backup");
  }
  StoredRecord sound;
  sound.record = *std::move(replayed);
  if (planted(Bug::rebuilt_without_newest) && sound.record.groups.size() > 1)
    sound.record.groups.pop_back();
  FP_TRY(const Bytes canonical, wire::encode_record(sound.record));
  sound.bytes = canonical.size();
  FP_TRY(sound.position, feed_place(read, id, sound.record.unit, value));
  return sound;
}

Result<StoredRecord> mend_record(KvWrite& write, ValueCodec& codec, const RecordId& id,
                                 BytesView value, std::optional<Instant> now) {
  auto stored = decode_stored_record(codec, id, value);
  if (stored || !stored.error().is(Errc::corrupt)) return stored;
  const Bytes raw = to_bytes(value);  // writing moves what views see
  FP_TRY(StoredRecord sound, sound_record(write, codec, id, raw));
  FP_CHECK_OK(write.erase(kDamaged, damage_key(HubDamage::Kind::record, false, id.view())));
  FP_CHECK_OK(put_damage(write, HubDamage::Kind::record, true, id.view(), now, raw));
  return sound;
}

Result<RepairReport> repair_values(KvWrite& write, ValueCodec& codec,
                                   const std::vector<StoredPlace>& places, Instant now) {
  RepairReport report;
  for (const StoredPlace& place : places) {
    if (place.table == kRecords)
      FP_CHECK_OK(repair_record(write, codec, place.key, now, report));
    else
      FP_CHECK_OK(repair_log(write, codec, place.key, now, report));
  }
  return report;
}

Result<ScrubPage> scrub_values(const KvRead& read, ValueCodec& codec, const StoredPlace& from,
                               std::size_t bytes_max) {
  ScrubPage page;
  page.next = from;
  if (page.next.table != kLog) page.next.table = kRecords;
  std::size_t bytes = 0;
  while (true) {
    const TableId table = page.next.table;
    bool full = false;
    FP_CHECK_OK(
        read.scan(table, {}, page.next.key, [&](BytesView key, BytesView value) -> Result<Step> {
          const auto& last = page.next.key;
          if (std::equal(last.begin(), last.end(), key.begin(), key.end())) return Step::more;
          full = bytes >= bytes_max;
          if (full) return Step::stop;
          bytes += value.size();
          ++page.values;
          Status sound;
          if (table == kLog) {
            if (const auto entry = decode_log_entry(codec, key, value); !entry)
              sound = entry.error();
          } else {
            FP_TRY(const RecordId id, RecordId::from(key));
            if (const auto state = stored_state(codec, id, value); !state) sound = state.error();
          }
          if (!sound && !sound.error().is(Errc::corrupt)) return std::move(sound).error();
          if (!sound) page.damaged.push_back({table, to_bytes(key)});
          page.next.key = to_bytes(key);
          return Step::more;
        }));
    if (full) return page;
    page.ended = table == kLog;
    page.next = page.ended ? StoredPlace{} : StoredPlace{kLog, {}};
    if (page.ended) return page;
  }
}

Result<std::vector<HubDamage>> read_damages(const KvRead& read) {
  std::vector<HubDamage> all;
  FP_CHECK_OK(read.scan(kDamaged, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
    HubDamage damage;
    damage.kind = static_cast<HubDamage::Kind>(key[0] & ~kMended);
    damage.mended = (key[0] & kMended) != 0;
    if (damage.kind == HubDamage::Kind::change) {
      Unpacker dot(key.subspan(1));
      damage.dot.actor = dot.actor();
      damage.dot.counter = dot.seq();
    } else {
      FP_TRY(damage.record, RecordId::from(key.subspan(1)));
    }
    Unpacker in(value);
    in.u8();
    const bool known = in.u8() != 0;
    const Instant found{in.i64()};
    if (known) damage.found = found;
    damage.raw = to_bytes(in.blob());
    all.push_back(std::move(damage));
    return Step::more;
  }));
  return all;
}

}  // namespace fieldpost::storage
