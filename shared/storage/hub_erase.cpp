#include "storage/hub_erase.h"

#include <algorithm>

#include "storage/hub_feed.h"
#include "storage/hub_ledger.h"
#include "storage/hub_repair.h"
#include "storage/hub_tables.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

Result<std::vector<Bytes>> keys_of(const KvRead& read, TableId table, BytesView prefix) {
  std::vector<Bytes> keys;
  FP_CHECK_OK(read.scan(table, prefix, {}, [&](BytesView key, BytesView) -> Result<Step> {
    keys.push_back(to_bytes(key));
    return Step::more;
  }));
  return keys;
}

/// The dots of all changes in the log for a record, as keys.
Result<std::vector<Bytes>> dots_of(const KvRead& read, const RecordId& id) {
  FP_TRY(auto keys, keys_of(read, kByRecord, id.view()));
  for (Bytes& key : keys) key.erase(key.begin(), key.begin() + RecordId::kSize);
  return keys;
}

model::Dot dot_of(BytesView key) {
  Unpacker in(key);
  const ActorId actor = in.actor();
  return {actor, in.seq()};
}

/// What was kept aside of it besides its changes: copies, decisions with their states, damaged bytes.
Status erase_beside(KvWrite& write, const RecordId& id) {
  for (const TableId table : {kStaged, kRecovered, kHeld}) {
    FP_TRY(const auto keys, keys_of(write, table, id.view()));
    for (const Bytes& key : keys) FP_CHECK_OK(write.erase(table, key));
  }
  FP_CHECK_OK(forget_damage(write, HubDamage::Kind::record, id.view()));
  return write.erase(kConflicts, id.view());
}

/// Its place in the feed becomes a new one, so that every tablet of the unit hears of it.
Status move_in_feed(KvWrite& write, ErasedRecord& erased, std::uint64_t before) {
  if (erased.unit.empty()) return {};  // nobody ever delivered it
  if (before != 0) FP_CHECK_OK(write.erase(kFeed, feed_key(erased.unit, before)));
  FP_TRY(const FeedEnd end, read_feed_end(write, erased.unit));
  erased.position = end.position + 1;
  FP_CHECK_OK(write.put(kFeed, feed_key(erased.unit, erased.position), erased.id.view()));
  return move_feed_end(write, erased.unit, end, erased.position,
                       Packer().raw(as_bytes("erased")).id(erased.id).bytes());
}

}  // namespace

Bytes pack_erased(const ErasedRecord& erased) {
  Packer out;
  out.u8(1).id(erased.id).text(erased.type).text(erased.unit).u64(erased.known.size());
  for (const auto& entry : erased.known.entries()) out.actor(entry.actor).seq(entry.counter);
  out.i64(erased.at.ms).text(erased.rule).text(erased.author).u64(erased.position);
  return out.take();
}

Result<ErasedRecord> unpack_erased(BytesView bytes) {
  Unpacker in(bytes);
  if (in.u8() != 1) return fail(Errc::unsupported, "an erased record's entry of an unknown format");
  ErasedRecord erased;
  erased.id = in.id<RecordId>();
  erased.type = in.text();
  erased.unit = in.text();
  for (std::uint64_t n = in.u64(); n > 0 && !in.failed(); --n) {
    const ActorId actor = in.actor();
    erased.known.add({actor, in.seq()});
  }
  erased.at = Instant{in.i64()};
  erased.rule = in.text();
  erased.author = in.text();
  erased.position = in.u64();
  FP_CHECK_OK(in.finish("erased record's entry"));
  return erased;
}

Result<std::optional<ErasedRecord>> read_erased(const KvRead& read, ValueCodec& codec,
                                                const RecordId& id) {
  std::optional<ErasedRecord> found;
  FP_TRY(const auto value, read.get(kErased, id.view()));
  if (!value) return found;
  FP_TRY(const Bytes plain, codec.decode(kErased, id.view(), *value));
  FP_TRY(found, unpack_erased(plain));
  return found;
}

Result<RetentionFacts> retention_facts(const KvRead& read, ValueCodec& codec, const RecordId& id,
                                       const KeptByHold& kept) {
  RetentionFacts facts;
  FP_TRY(const auto value, read.get(kRecords, id.view()));
  if (!value) return fail(Errc::not_found, "no record " + to_text(id));
  const auto stored = decode_stored_record(codec, id, *value);
  facts.damaged = !stored;
  if (stored) {
    facts.type = stored->record.type;
    facts.unit = stored->record.unit;
  }
  facts.on_hold = kept.contains(id);
  FP_TRY(const auto conflict, read.get(kConflicts, id.view()));
  facts.conflict = conflict.has_value();
  FP_TRY(const auto staged, read.last_key(kStaged, id.view()));
  facts.staged = staged.has_value();
  FP_TRY(const auto dots, dots_of(read, id));
  for (const Bytes& dot : dots) {
    FP_TRY(const auto logged, read.get(kLog, dot));
    const auto entry = logged ? decode_log_entry(codec, dot, *logged)
                              : Result<LogEntry>(fail(Errc::corrupt, "a change is missing"));
    if (!entry)
      facts.damaged = true;
    else
      facts.last_received = std::max(facts.last_received, entry->received);
    FP_TRY(const auto exception, read.get(kExceptions, dot));
    if (!exception) continue;
    FP_TRY(const StoredException open, unpack_stored_exception(*exception));
    facts.held = facts.held || open.exception.kind == wire::ExceptionKind::held;
    facts.quarantined =
        facts.quarantined || open.exception.kind == wire::ExceptionKind::quarantined;
  }
  return facts;
}

Result<RetentionPage> retention_page(const KvRead& read, ValueCodec& codec, const RecordId& after,
                                     std::size_t limit, const RetentionRules& rules,
                                     const KeptByHold& kept) {
  RetentionPage page;
  page.last = after;
  std::vector<RecordId> ids;
  FP_CHECK_OK(read.scan(kRecords, {}, after.is_zero() ? BytesView{} : after.view(),
                        [&](BytesView key, BytesView) -> Result<Step> {
                          FP_TRY(const RecordId id, RecordId::from(key));
                          if (id != after) ids.push_back(id);
                          return ids.size() < limit ? Step::more : Step::stop;
                        }));
  page.ended = ids.size() < limit;
  if (!ids.empty()) page.last = ids.back();
  for (const RecordId& id : ids) {
    FP_TRY(RetentionFacts facts, retention_facts(read, codec, id, kept));
    const Keeps keeps = what_keeps(facts, rules);
    if (keeps != Keeps::no_rule) page.entries.push_back({id, std::move(facts), keeps});
  }
  return page;
}

Result<Keeps> erase_if_due(KvWrite& write, ValueCodec& codec, const RecordId& id,
                           const ErasureOrder& order, const KeptByHold& kept,
                           ErasureReport& report) {
  FP_TRY(const RetentionFacts facts, retention_facts(write, codec, id, kept));
  const Keeps keeps = what_keeps(facts, order.rules);
  if (keeps != Keeps::nothing) return keeps;
  ErasedRecord what;
  what.id = id;
  what.at = order.at;
  what.rule = order.rules.find(facts.type)->second.words;
  what.author = order.author;
  FP_TRY(ErasedRecord erased, erase_record(write, codec, what, report.changes));
  FP_CHECK_OK(note_in_ledger(write, codec, LedgerKind::erased, pack_erased(erased)));
  report.erased.push_back(std::move(erased));
  return keeps;
}

Result<bool> erase_log_entry(KvWrite& write, ValueCodec& codec, BytesView dot, Instant at) {
  FP_TRY(const auto value, write.get(kLog, dot));
  if (!value) return false;
  const auto entry = decode_log_entry(codec, dot, *value);
  // Damaged: what it said is gone from here, too, and its hash cannot be told. `verify` names it.
  if (!entry || entry->erased) return entry.has_value();
  const Bytes left =
      encode_erased_entry(codec, dot, entry->received, {wire::change_hash(entry->frame), at});
  FP_CHECK_OK(write.put(kLog, dot, left));
  FP_CHECK_OK(forget_damage(write, HubDamage::Kind::change, dot));
  return true;
}

Result<ErasedRecord> erase_record(KvWrite& write, ValueCodec& codec, const ErasedRecord& what,
                                  std::uint64_t& changes) {
  ErasedRecord erased = what;
  std::uint64_t before = 0;
  FP_TRY(const auto earlier, read_erased(write, codec, what.id));
  if (earlier) {
    erased.known.merge(earlier->known);
    before = earlier->position;
  }
  FP_TRY(const auto value, write.get(kRecords, what.id.view()));
  if (value) {
    if (const auto stored = decode_stored_record(codec, what.id, *value)) {
      erased.type = stored->record.type;
      erased.unit = stored->record.unit;
      erased.known.merge(stored->record.vv);
    }
    FP_TRY(before, feed_place(write, what.id, erased.unit, *value));
  }
  FP_TRY(const auto dots, dots_of(write, what.id));
  for (const Bytes& dot : dots) {
    erased.known.add(dot_of(dot));
    FP_TRY(const bool done, erase_log_entry(write, codec, dot, erased.at));
    changes += done ? 1 : 0;
    FP_CHECK_OK(write.erase(kExceptions, dot));
  }
  FP_CHECK_OK(erase_beside(write, what.id));
  FP_CHECK_OK(write.erase(kRecords, what.id.view()));
  FP_CHECK_OK(move_in_feed(write, erased, before));
  const BytesView key = erased.id.view();
  FP_CHECK_OK(write.put(kErased, key, codec.encode(kErased, key, pack_erased(erased))));
  return erased;
}

}  // namespace fieldpost::storage
