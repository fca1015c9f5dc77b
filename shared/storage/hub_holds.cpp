#include "storage/hub_holds.h"

#include <deque>

#include "storage/hub_erase.h"
#include "storage/hub_ledger.h"
#include "storage/hub_repair.h"
#include "storage/hub_tables.h"
#include "storage/hub_values.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

Status put_hold(KvWrite& write, ValueCodec& codec, const LegalHold& hold) {
  const BytesView key = hold.id.view();
  FP_CHECK_OK(write.put(kHolds, key, codec.encode(kHolds, key, pack_hold(hold))));
  return note_in_ledger(write, codec, LedgerKind::hold, pack_hold(hold));
}

Result<LegalHold> open_hold(ValueCodec& codec, BytesView key, BytesView value) {
  auto plain = codec.decode(kHolds, key, value);
  if (!plain) {
    return fail(Errc::corrupt, "legal hold " + to_hex(key) +
                                   " was damaged on the disk: nothing is erased until the hub is "
                                   "restored from a backup");
  }
  return unpack_hold(*plain);
}

Result<std::optional<LegalHold>> find_hold(const KvRead& read, ValueCodec& codec,
                                           const HoldId& id) {
  std::optional<LegalHold> found;
  FP_TRY(const auto value, read.get(kHolds, id.view()));
  if (!value) return found;
  FP_TRY(found, open_hold(codec, id.view(), *value));
  return found;
}

}  // namespace

Bytes pack_hold(const LegalHold& hold) {
  Packer out;
  out.u8(1).id(hold.id).id(hold.record).i64(hold.at.ms).text(hold.author).text(hold.reason);
  const LegalHold::Lift lift = hold.lift.value_or(LegalHold::Lift{});
  out.u8(hold.lift ? 1 : 0).i64(lift.at.ms).text(lift.author).text(lift.reason);
  return out.take();
}

Result<LegalHold> unpack_hold(BytesView bytes) {
  Unpacker in(bytes);
  if (in.u8() != 1) return fail(Errc::unsupported, "a legal hold of an unknown format");
  LegalHold hold;
  hold.id = in.id<HoldId>();
  hold.record = in.id<RecordId>();
  hold.at = Instant{in.i64()};
  hold.author = in.text();
  hold.reason = in.text();
  const bool lifted = in.u8() != 0;
  LegalHold::Lift lift;
  lift.at = Instant{in.i64()};
  lift.author = in.text();
  lift.reason = in.text();
  FP_CHECK_OK(in.finish("legal hold"));
  if (lifted) hold.lift = std::move(lift);
  return hold;
}

Result<std::vector<LegalHold>> read_holds(const KvRead& read, ValueCodec& codec) {
  std::vector<LegalHold> all;
  FP_CHECK_OK(
      read.scan(kHolds, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
        FP_TRY(LegalHold hold, open_hold(codec, key, value));
        all.push_back(std::move(hold));
        return KvRead::Step::more;
      }));
  return all;
}

Status add_hold(KvWrite& write, ValueCodec& codec, const LegalHold& hold) {
  FP_TRY(const auto erased, read_erased(write, codec, hold.record));
  if (erased) {
    return fail(Errc::conflict, "record " + to_text(hold.record) + " was erased at " +
                                    to_text(erased->at) + " (" + erased->rule +
                                    "): there is nothing left to keep");
  }
  FP_TRY(const auto record, write.get(kRecords, hold.record.view()));
  if (!record)
    return fail(Errc::not_found, "no record " + to_text(hold.record) +
                                     " at this hub; `fieldpost-hub records` lists them");
  FP_TRY(const auto known, write.get(kHolds, hold.id.view()));
  if (known) return fail(Errc::already_exists, "a legal hold " + hold.id.hex());
  return put_hold(write, codec, hold);
}

Result<LegalHold> lift_hold(KvWrite& write, ValueCodec& codec, const HoldId& id,
                            const LegalHold::Lift& lift) {
  FP_TRY(auto found, find_hold(write, codec, id));
  if (!found)
    return fail(Errc::not_found,
                "no legal hold " + id.hex() + "; `fieldpost-hub hold list` names them");
  if (found->lift) {
    return fail(Errc::conflict, "legal hold " + id.hex() + " was lifted by " + found->lift->author +
                                    " at " + to_text(found->lift->at));
  }
  found->lift = lift;
  FP_CHECK_OK(put_hold(write, codec, *found));
  return *std::move(found);
}

Result<bool> merge_hold(KvWrite& write, ValueCodec& codec, const LegalHold& hold) {
  FP_TRY(const auto known, find_hold(write, codec, hold.id));
  if (known && (known->lift || !hold.lift)) return false;
  const BytesView key = hold.id.view();
  FP_CHECK_OK(write.put(kHolds, key, codec.encode(kHolds, key, pack_hold(hold))));
  return true;
}

Result<KeptByHold> kept_by_holds(const KvRead& read, ValueCodec& codec,
                                 const References& references) {
  KeptByHold kept;
  std::deque<RecordId> to_follow;
  FP_TRY(const auto holds, read_holds(read, codec));
  for (const LegalHold& hold : holds) {
    if (!hold.lift && kept.emplace(hold.record, hold.id).second) to_follow.push_back(hold.record);
  }
  for (; !to_follow.empty(); to_follow.pop_front()) {
    const RecordId& id = to_follow.front();
    FP_TRY(const auto value, read.get(kRecords, id.view()));
    if (!value) continue;  // named, and not here (yet)
    const HoldId hold = kept.at(id);
    FP_TRY(const StoredRecord stored, sound_record(read, codec, id, *value));
    for (const RecordId& named : references(stored.record)) {
      if (kept.emplace(named, hold).second) to_follow.push_back(named);
    }
  }
  return kept;
}

}  // namespace fieldpost::storage
