#include "storage/hub_verify.h"

#include "storage/hub_gaps.h"
#include "storage/hub_repair.h"
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
  std::uint64_t erased_entries = 0;  ///< met in the chains

  Status chain(ActorId actor, const ActorHeadState& head) {
    Hash hash = wire::chain_start(hub, head.device, actor);
    Sequence at;
    bool signed_last = false;
    FP_TRY(const auto gaps, read_gaps(read, actor));
    auto gap = gaps.begin();
    // What the tablet says is gone, where the chain stands: it goes on behind that.
    const auto pass_gaps = [&]() -> Status {
      for (; gap != gaps.end() && gap->gap.from == at.next(); ++gap) {
        if (!wire::verify_gap(head.device, gap->gap)) {
          return fail(Errc::bad_signature, "the gap from change " +
                                               model::to_text({actor, gap->gap.from}) +
                                               " on: its signature does not verify");
        }
        report.missing += gap->gap.to.value - at.value;
        at = gap->gap.to;
        hash = gap->gap.hash;
        signed_last = true;
        ++report.gaps;
      }
      return {};
    };
    FP_CHECK_OK(read.scan(
        kLog, Packer().actor(actor).bytes(), {},
        [&](BytesView key, BytesView value) -> Result<Step> {
          const auto opened = decode_log_entry(codec, key, value);
          if (!opened && opened.error().is(Errc::corrupt)) {
            return fail(Errc::corrupt,
                        "change " + model::to_text({actor, at.next()}) +
                            " in the log was damaged on the disk: the chain cannot be "
                            "proved past it. Restore it from a backup");
          }
          FP_TRY(const LogEntry& entry, opened);
          const std::string name = model::to_text({actor, entry.counter});
          FP_CHECK_OK(pass_gaps());
          if (entry.counter != at.next()) {
            return fail(Errc::chain_broken, "change " + model::to_text({actor, at.next()}) +
                                                " is missing from the log");
          }
          at = entry.counter;
          hash = chain_next(hash, entry);
          if (entry.erased) ++erased_entries;
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
    FP_CHECK_OK(pass_gaps());
    if (gap != gaps.end()) {
      return fail(Errc::chain_broken, "a gap from change " +
                                          model::to_text({actor, gap->gap.from}) +
                                          " on, where the log has no end");
    }
    if (at != head.head || hash != head.hash || (at.value > 0 && !signed_last)) {
      return fail(Errc::chain_broken, "actor " + actor.hex() + ": the log ends at change " +
                                          std::to_string(at.value) + ", its head says " +
                                          std::to_string(head.head.value));
    }
    ++report.actors;
    return {};
  }

  Status replay(const RecordId& id, const model::Record& stored) {
    auto replayed = replay_record(read, codec, id);
    if (!replayed && replayed.error().is(Errc::not_found))
      replayed = model::empty_record(id, stored.type, stored.unit);
    if (!replayed) return std::move(replayed).error();
    if (!(*replayed == stored)) {
      return fail(Errc::corrupt,
                  "record " + to_text(id) + " differs from what its signed changes give");
    }
    ++report.records;
    progress(++done);
    return {};
  }

  /// A change of a record on the list of erased ones.
  Status erased_change(const RecordId& id, BytesView dot, bool set_aside) {
    FP_TRY(const auto value, read.get(kLog, dot));
    const std::string name = "change " + to_hex(dot);
    if (!value) return fail(Errc::corrupt, name + " is not in the log");
    FP_TRY(const LogEntry entry, decode_log_entry(codec, dot, *value));
    if (entry.erased) {
      ++report.erased_changes;
    } else if (!set_aside) {
      return fail(Errc::corrupt, name + " is still in the log, although its record " + to_text(id) +
                                     " is on the list of erased ones");
    }
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
    const auto opened = decode_stored_record(codec, id, value);
    if (!opened && opened.error().is(Errc::corrupt)) {
      return fail(Errc::corrupt, "record " + to_text(id) +
                                     " was damaged on the disk: `fieldpost-hub repair` rebuilds it "
                                     "from its changes");
    }
    FP_TRY(const StoredRecord& stored, opened);
    FP_CHECK_OK(verifier.replay(id, stored.record));
    return Step::more;
  }));
  // Every logged change must belong to a record or be set aside or held: nothing may vanish quietly.
  FP_CHECK_OK(read.scan(kByRecord, {}, {}, [&](BytesView key, BytesView) -> Result<Step> {
    FP_TRY(const RecordId id, record_of_key(key));
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto record, read.get(kRecords, id.view()));
    FP_TRY(const auto exception, read.get(kExceptions, dot));
    FP_TRY(const auto erased, read.get(kErased, key.first(RecordId::kSize)));
    if (erased) {
      FP_TRY(const RecordId id, RecordId::from(key.first(RecordId::kSize)));
      if (record)
        return fail(Errc::corrupt,
                    "record " + to_text(id) + " is stored and on the list of erased ones");
      FP_CHECK_OK(verifier.erased_change(id, dot, exception.has_value()));
      return Step::more;
    }
    if (!record && !exception) {
      return fail(Errc::corrupt,
                  "change " + to_hex(dot) + " is in the log but its record is not stored");
    }
    return Step::more;
  }));
  FP_TRY(verifier.report.erased, read.count(kErased));
  if (verifier.erased_entries != verifier.report.erased_changes) {
    return fail(Errc::corrupt,
                "the log has " + std::to_string(verifier.erased_entries) +
                    " changes without their content, the erased records account for " +
                    std::to_string(verifier.report.erased_changes));
  }
  return verifier.report;
}

}  // namespace fieldpost::storage
