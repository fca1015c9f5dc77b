#include "storage/hub_verify.h"

#include "storage/hub_recovery.h"
#include "storage/hub_tables.h"
#include "storage/hub_values.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

struct Verifier {
  const KvRead& read;
  ValueCodec& codec;
  const HubId& hub;
  const std::function<void(std::uint64_t)>& progress;
  HubReader::VerifyReport report;
  std::uint64_t done = 0;

  Status chain(ActorId actor, const ActorHeadState& head) {
    Hash hash = wire::chain_start(hub, head.device, actor);
    Sequence at;
    bool signed_last = false;
    FP_CHECK_OK(read.scan(
        kLog, Packer().actor(actor).bytes(), {},
        [&](BytesView key, BytesView value) -> Result<Step> {
          FP_TRY(const LogEntry entry, decode_log_entry(codec, key, value));
          const std::string name = model::to_text({actor, entry.counter});
          if (entry.counter != at.next()) {
            return fail(Errc::chain_broken, "change " + model::to_text({actor, at.next()}) +
                                                " is missing from the log");
          }
          at = entry.counter;
          hash = wire::chain_next(hash, entry.frame);
          FP_TRY(const auto stored, read.get(kBatches, key));
          signed_last = stored.has_value();
          if (stored) {
            FP_TRY(const StoredBatch batch, unpack_batch(*stored));
            if (batch.hash != hash)
              return fail(Errc::chain_broken,
                          "at change " + name + ": its hash differs from the stored one");
            if (!wire::verify_head(head.device, actor, at, hash, batch.signature)) {
              return fail(Errc::bad_signature,
                          "at change " + name + ": the signature does not verify");
            }
            ++report.signatures;
          }
          ++report.changes;
          progress(++done);
          return Step::more;
        }));
    if (at != head.head || hash != head.hash || (at.value > 0 && !signed_last)) {
      return fail(Errc::chain_broken, "actor " + actor.hex() + ": the log ends at change " +
                                          std::to_string(at.value) + ", its head says " +
                                          std::to_string(head.head.value));
    }
    ++report.actors;
    return {};
  }

  /// How a change that was kept but never merged was judged; nothing of any other.
  Result<std::optional<wire::ExceptionKind>> set_aside(BytesView dot) {
    std::optional<wire::ExceptionKind> aside;
    FP_TRY(const auto value, read.get(kExceptions, dot));
    if (!value) return aside;
    FP_TRY(const StoredException stored, unpack_stored_exception(*value));
    if (stored.exception.kind == wire::ExceptionKind::quarantined ||
        stored.exception.kind == wire::ExceptionKind::unauthorised)
      aside = stored.exception.kind;
    return aside;
  }

  Status replay(const RecordId& id, const model::Record& stored) {
    std::vector<model::Change> changes;
    std::vector<model::Dot> passed_over;
    FP_CHECK_OK(read.scan(kByRecord, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
      const BytesView dot = key.subspan(RecordId::kSize);
      FP_TRY(const auto aside, set_aside(dot));
      if (aside == wire::ExceptionKind::quarantined) return Step::more;
      FP_TRY(const auto value, read.get(kLog, dot));
      if (!value) return fail(Errc::corrupt, "change " + to_hex(dot) + " is not in the log");
      FP_TRY(const LogEntry entry, decode_log_entry(codec, dot, *value));
      auto change = wire::decode_change(entry.actor, entry.frame);
      if (!change && !aside) return change.error();
      if (!aside) {
        changes.push_back(std::move(*change));
        return Step::more;
      }
      // Refused: it says nothing, but the vector may have passed over it for one that had seen it.
      const bool passed = change && stored.vv.covers(change->dot);
      if (passed) passed_over.push_back(change->dot);
      return Step::more;
    }));
    model::Record replayed = model::empty_record(id, stored.type, stored.unit);
    FP_TRY(const auto recovered, read_recovered(read, codec, id));
    for (const RecoveredEntry& entry : recovered) {
      if (entry.kind != RecoveredEntry::Kind::differing) continue;
      std::erase_if(changes, [&](const model::Change& c) { return c.dot == entry.dot; });
    }
    model::drain(replayed, changes);
    for (const RecoveredEntry& entry : recovered) {
      const bool joined = entry.kind == RecoveredEntry::Kind::joined ||
                          entry.kind == RecoveredEntry::Kind::released;
      if (joined) FP_CHECK_OK(model::join(replayed, entry.state));
      model::drain(replayed, changes);
    }
    // One at a time, in order: a later one must not make an earlier change count as known.
    for (const model::Dot& dot : passed_over) {
      if (!replayed.vv.covers(dot) && !changes.empty()) replayed.vv.add(dot);
      model::drain(replayed, changes);
    }
    if (!(replayed == stored)) {
      return fail(Errc::corrupt,
                  "record " + to_text(id) + " differs from what its signed changes give");
    }
    ++report.records;
    progress(++done);
    return {};
  }
};

}  // namespace

Result<HubReader::VerifyReport> verify_hub(const KvRead& read, ValueCodec& codec, const HubId& hub,
                                           const std::function<void(std::uint64_t)>& progress) {
  Verifier verifier{read, codec, hub, progress, {}, 0};
  FP_CHECK_OK(read.scan(kActors, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
    FP_TRY(const ActorHeadState head, unpack_actor(value));
    FP_CHECK_OK(verifier.chain(Unpacker(key).actor(), head));
    return Step::more;
  }));
  FP_CHECK_OK(read.scan(kRecords, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
    FP_TRY(const RecordId id, RecordId::from(key));
    FP_TRY(const StoredRecord stored, decode_stored_record(codec, id, value));
    FP_CHECK_OK(verifier.replay(id, stored.record));
    return Step::more;
  }));
  // Every logged change must belong to a record or be set aside or held: nothing may vanish quietly.
  FP_CHECK_OK(read.scan(kByRecord, {}, {}, [&](BytesView key, BytesView) -> Result<Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto record, read.get(kRecords, key.first(RecordId::kSize)));
    FP_TRY(const auto exception, read.get(kExceptions, dot));
    if (!record && !exception) {
      return fail(Errc::corrupt,
                  "change " + to_hex(dot) + " is in the log but its record is not stored");
    }
    return Step::more;
  }));
  return verifier.report;
}

}  // namespace fieldpost::storage
