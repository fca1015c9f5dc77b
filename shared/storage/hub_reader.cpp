#include <algorithm>

#include "base/limits.h"
#include "base/planted.h"
#include "storage/hub_apply.h"
#include "storage/hub_erase.h"
#include "storage/hub_feed.h"
#include "storage/hub_gaps.h"
#include "storage/hub_holds.h"
#include "storage/hub_ledger.h"
#include "storage/hub_recovery.h"
#include "storage/hub_repair.h"
#include "storage/hub_staging.h"
#include "storage/hub_starts.h"
#include "storage/hub_tables.h"
#include "storage/hub_values.h"
#include "storage/hub_verify.h"
#include "storage/kv_hub_store.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

class KvHubReader final : public HubReader {
 public:
  KvHubReader(const Kv& kv, std::unique_ptr<ValueCodec> codec, const HubIdentity& identity)
      : kv_(kv), codec_(std::move(codec)), identity_(identity) {}

  void prepare(IncomingBatch& batch) const override {
    for (IncomingChange& change : batch.changes)
      change.prepared = prepare_change(*codec_, batch.actor, batch.received, change);
  }

  Result<std::optional<ActorHeadState>> actor(ActorId actor) const override {
    return one<ActorHeadState>(kActors, Packer().actor(actor).bytes(), unpack_actor);
  }

  Result<std::optional<Hash>> hash_at(ActorId actor, Sequence counter) const override {
    FP_TRY(const auto batch, one<StoredBatch>(kBatches, dot_key(actor, counter), unpack_batch));
    if (batch) return std::optional<Hash>(batch->hash);
    std::optional<Hash> end;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const auto gaps, read_gaps(read, actor));
      for (const StoredGap& gap : gaps) {
        if (gap.gap.to == counter) end = gap.gap.hash;
      }
      return {};
    }));
    return end;
  }

  Result<std::vector<wire::ChangeException>> exceptions(ActorId actor, Sequence from,
                                                        Sequence to) const override {
    std::vector<wire::ChangeException> found;
    const Bytes prefix = Packer().actor(actor).take();
    FP_CHECK_OK(scan(kExceptions, prefix, dot_key(actor, from),
                     [&](BytesView, BytesView value) -> Result<Step> {
                       FP_TRY(StoredException stored, unpack_stored_exception(value));
                       if (stored.exception.counter > to) return Step::stop;
                       found.push_back(std::move(stored.exception));
                       return found.size() < limits::kExceptionsMax ? Step::more : Step::stop;
                     }));
    return found;
  }

  Result<std::vector<wire::ChangeException>> unconfirmed(const std::vector<ActorId>& actors,
                                                         std::size_t limit) const override {
    std::vector<wire::ChangeException> found;
    for (ActorId actor : actors) {
      FP_CHECK_OK(scan(kExceptions, Packer().actor(actor).take(), {},
                       [&](BytesView, BytesView value) -> Result<Step> {
                         if (found.size() >= limit) return Step::stop;
                         FP_TRY(StoredException stored, unpack_stored_exception(value));
                         if (!stored.confirmed) found.push_back(std::move(stored.exception));
                         return Step::more;
                       }));
    }
    return found;
  }

  Result<FeedPage> feed(const std::string& unit, std::uint64_t position, std::uint64_t upto,
                        std::size_t bytes_max, std::size_t count_max) const override {
    FeedPage page;
    page.end_position = position;
    page.caught_up = true;
    std::size_t bytes = 0;
    const Bytes prefix = feed_prefix(unit);
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kFeed, prefix, feed_key(unit, position + 1),
                       [&](BytesView key, BytesView value) -> Result<Step> {
                         if (page.entries.size() >= count_max) return full(page);
                         FeedEntry entry;
                         entry.position = Unpacker(key.subspan(prefix.size())).u64();
                         if (entry.position > upto) return Step::stop;
                         FP_TRY(entry.record, RecordId::from(value));
                         FP_TRY(const auto stored, read.get(kRecords, value));
                         FP_TRY(const auto erased,
                                stored ? Result<std::optional<BytesView>>(std::nullopt)
                                       : read.get(kErased, value));
                         if (erased) {
                           entry.erased = true;
                           page.end_position = entry.position;
                           page.entries.push_back(std::move(entry));
                           return Step::more;
                         }
                         if (!stored) {
                           return fail(Errc::corrupt,
                                       "record " + to_text(entry.record) + " is in the feed only");
                         }
                         auto state = sound_state(read, entry.record, *stored);
                         if (!state && state.error().is(Errc::corrupt)) {
                           // Not rebuilt from what is left of it: the operator is told of it elsewhere.
                           page.end_position = entry.position;
                           return Step::more;
                         }
                         FP_TRY(entry.state, std::move(state));
                         bytes += entry.state.size();
                         if (planted(Bug::page_end_too_far)) page.end_position = entry.position;
                         if (!page.entries.empty() && bytes > bytes_max) return full(page);
                         page.end_position = entry.position;
                         page.entries.push_back(std::move(entry));
                         return Step::more;
                       });
    }));
    return page;
  }

  Result<std::uint64_t> feed_end(const std::string& unit) const override {
    FP_TRY(const FeedEnd end, marked_feed_end(unit));
    return end.position;
  }

  Result<FeedEnd> marked_feed_end(const std::string& unit) const override {
    FeedEnd end;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(end, read_feed_end(read, unit));
      return {};
    }));
    return end;
  }

  Result<FeedPast> feed_past(const StartId& start, const std::string& unit,
                             const FeedEnd& end) const override {
    FeedPast past = FeedPast::another;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const bool known, knows_start(read, start, identity_.start));
      if (!known) return {};
      FP_TRY(past, read_feed_past(read, unit, end));
      return {};
    }));
    if (planted(Bug::lost_past_unnoticed)) past = FeedPast::ours;
    return past;
  }

  Result<std::optional<model::Record>> record(const RecordId& id) const override {
    std::optional<model::Record> found;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const auto value, read.get(kRecords, id.view()));
      if (!value) return {};
      FP_TRY(StoredRecord stored, sound_record(read, *codec_, id, *value));
      found = std::move(stored.record);
      return {};
    }));
    return found;
  }

  Result<std::vector<RecordId>> ids_after(const RecordId& after, std::size_t limit) const override {
    return ids(kRecords, after, limit);
  }

  Result<std::vector<LogEntry>> history(const RecordId& id) const override {
    std::vector<LogEntry> entries;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kByRecord, id.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
        const BytesView dot = key.subspan(RecordId::kSize);
        FP_TRY(const auto value, read.get(kLog, dot));
        if (!value) return fail(Errc::corrupt, "change " + to_hex(dot) + " is not in the log");
        auto opened = decode_log_entry(*codec_, dot, *value);
        if (!opened && opened.error().is(Errc::corrupt)) {
          // Named without its content: nothing is missing from the list in silence.
          Unpacker in(dot);
          LogEntry damaged;
          damaged.actor = in.actor();
          damaged.counter = in.seq();
          entries.push_back(std::move(damaged));
          return Step::more;
        }
        FP_TRY(LogEntry entry, std::move(opened));
        entries.push_back(std::move(entry));
        return Step::more;
      });
    }));
    std::stable_sort(entries.begin(), entries.end(),
                     [](const LogEntry& a, const LogEntry& b) { return a.received < b.received; });
    return entries;
  }

  Result<std::vector<RecordId>> conflicts(const RecordId& after, std::size_t limit) const override {
    return ids(kConflicts, after, limit);
  }

  Result<std::vector<QuarantineEntry>> quarantine(std::size_t limit,
                                                  const model::Dot& after) const override {
    std::vector<QuarantineEntry> found;
    const Bytes from = dot_key(after.actor, after.counter.next());
    FP_CHECK_OK(scan(kExceptions, {}, from, [&](BytesView, BytesView value) -> Result<Step> {
      FP_TRY(StoredException stored, unpack_stored_exception(value));
      if (stored.exception.kind != wire::ExceptionKind::held) {
        found.push_back({std::move(stored.exception), stored.received, stored.device});
      }
      return found.size() < limit ? Step::more : Step::stop;
    }));
    return found;
  }

  Result<std::uint64_t> refused() const override {
    std::uint64_t refused = 0;
    FP_CHECK_OK(scan(kExceptions, {}, {}, [&](BytesView, BytesView value) -> Result<Step> {
      FP_TRY(const StoredException stored, unpack_stored_exception(value));
      refused += stored.exception.kind == wire::ExceptionKind::unauthorised ? 1 : 0;
      return Step::more;
    }));
    return refused;
  }

  Result<std::vector<HeldEntry>> held(std::size_t limit, const HeldEntry& after) const override {
    std::vector<HeldEntry> found;
    const Bytes from = record_dot_key(after.record, after.actor, after.counter.next());
    FP_CHECK_OK(scan(kHeld, {}, from, [&](BytesView key, BytesView value) -> Result<Step> {
      Unpacker in(key);
      HeldEntry entry;
      entry.record = in.id<RecordId>();
      entry.actor = in.actor();
      entry.counter = in.seq();
      entry.since = Instant{Unpacker(value).i64()};
      found.push_back(entry);
      return found.size() < limit ? Step::more : Step::stop;
    }));
    return found;
  }

  Result<std::optional<LogEntry>> log(ActorId actor, Sequence counter) const override {
    std::optional<LogEntry> found;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      const Bytes key = dot_key(actor, counter);
      FP_TRY(const auto value, read.get(kLog, key));
      if (!value) return {};
      FP_TRY(found, decode_log_entry(*codec_, key, *value));
      return {};
    }));
    return found;
  }

  Result<std::vector<StagedState>> staged(std::size_t limit, const RecordId& after) const override {
    std::vector<StagedState> found;
    const BytesView from = after.is_zero() ? BytesView{} : after.view();
    FP_CHECK_OK(scan(kStaged, {}, from, [&](BytesView key, BytesView value) -> Result<Step> {
      FP_TRY(const RecordId id, record_of_key(key));
      if (id == after) return Step::more;
      if (found.size() >= limit && found.back().state.id != id) return Step::stop;
      FP_TRY(StagedState one, unpack_staged(*codec_, key, value));
      found.push_back(std::move(one));
      return Step::more;
    }));
    return found;
  }

  Result<bool> is_staged(const RecordId& record, const DeviceId& device,
                         std::uint64_t digest) const override {
    bool found = false;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const auto value, read.get(kStaged, staged_key(record, device, digest)));
      found = value.has_value();
      return {};
    }));
    return found;
  }

  Result<std::uint64_t> staged_bytes(const DeviceId& device,
                                     std::uint64_t at_least) const override {
    std::uint64_t bytes = 0;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(bytes, storage::staged_bytes(read, device, at_least));
      return {};
    }));
    return bytes;
  }

  Result<std::vector<RecoveredEntry>> recovered(const RecordId& id) const override {
    std::vector<RecoveredEntry> found;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(found, read_recovered(read, *codec_, id));
      return {};
    }));
    return found;
  }

  Result<bool> lacks(const model::Record& state) const override {
    bool lacking = false;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(lacking, store_lacks(read, *codec_, state));
      return {};
    }));
    return lacking;
  }

  Result<Sequence> backed_up(ActorId actor) const override {
    FP_TRY(const auto found,
           one<Sequence>(kBackedUp, Packer().actor(actor).bytes(), unpack_backed_up));
    return found.value_or(Sequence{});
  }

  Result<std::vector<Unit>> units() const override { return all<Unit>(kUnits, unpack_unit); }
  Result<std::vector<Device>> devices() const override {
    return all<Device>(kDevices, unpack_device);
  }
  Result<std::optional<Device>> device(const DeviceId& id) const override {
    return one<Device>(kDevices, to_bytes(id.view()), unpack_device);
  }

  Result<HubCounts> counts() const override {
    HubCounts counts;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(counts.records, read.count(kRecords));
      FP_TRY(counts.changes, read.count(kLog));
      FP_TRY(counts.conflicts, read.count(kConflicts));
      FP_TRY(counts.held, read.count(kHeld));
      FP_TRY(counts.staged, read.count(kStaged));
      FP_TRY(counts.erased, read.count(kErased));
      FP_TRY(counts.holds, read.count(kHolds));
      FP_TRY(const std::uint64_t exceptions, read.count(kExceptions));
      counts.quarantined = exceptions - counts.held;
      FP_TRY(const auto damages, read_damages(read));
      for (const HubDamage& damage : damages) ++(damage.mended ? counts.mended : counts.damaged);
      return {};
    }));
    FP_TRY(const KvStats stats, kv_.stats());
    counts.store_bytes = stats.used_bytes;
    counts.map_bytes = stats.map_bytes;
    counts.room_bytes = stats.room_bytes;
    return counts;
  }

  Result<Hash> digest(const std::string& unit) const override {
    crypto::Hasher hasher("fieldpost.v1.store-digest");
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kRecords, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
        FP_TRY(const RecordId id, RecordId::from(key));
        const auto stored = sound_record(read, *codec_, id, value);
        if (!stored && stored.error().is(Errc::corrupt)) {
          // Counts with every unit, as nothing: the digest differs, and says so.
          hasher.update(id.view());
          hasher.update(Hash{}.view());
          return Step::more;
        }
        if (!stored) return stored.error();
        if (stored->record.unit == unit) {
          FP_TRY(const Bytes canonical, wire::encode_record(stored->record));
          hasher.update(id.view());
          hasher.update(wire::state_digest(canonical).view());
        }
        return Step::more;
      });
    }));
    return hasher.finish();
  }

  Result<std::vector<LegalHold>> holds() const override {
    return in_view<std::vector<LegalHold>>(
        [&](const KvRead& read) { return read_holds(read, *codec_); });
  }

  Result<KeptByHold> kept_by_holds(const References& references) const override {
    return in_view<KeptByHold>(
        [&](const KvRead& read) { return storage::kept_by_holds(read, *codec_, references); });
  }

  Result<std::optional<ErasedRecord>> erased(const RecordId& id) const override {
    return in_view<std::optional<ErasedRecord>>(
        [&](const KvRead& read) { return read_erased(read, *codec_, id); });
  }

  Result<RetentionPage> retention(const RecordId& after, std::size_t limit,
                                  const RetentionRules& rules,
                                  const KeptByHold& kept) const override {
    return in_view<RetentionPage>([&](const KvRead& read) {
      return retention_page(read, *codec_, after, limit, rules, kept);
    });
  }

  Result<std::vector<Bytes>> whole_ledger() const override {
    return in_view<std::vector<Bytes>>(
        [&](const KvRead& read) { return storage::whole_ledger(read, *codec_); });
  }

  Result<LedgerState> ledger() const override {
    return in_view<LedgerState>([&](const KvRead& read) { return read_ledger(read, *codec_); });
  }

  Result<VerifyReport> verify(const std::function<void(std::uint64_t)>& progress) const override {
    VerifyReport report;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(report, verify_hub(read, *codec_, identity_.hub, progress));
      return {};
    }));
    return report;
  }

  Result<ScrubPage> scrub(const StoredPlace& from, std::size_t bytes_max) const override {
    ScrubPage page;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(page, scrub_values(read, *codec_, from, bytes_max));
      return {};
    }));
    return page;
  }

  Result<std::vector<HubDamage>> damages() const override {
    std::vector<HubDamage> all;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(all, read_damages(read));
      return {};
    }));
    return all;
  }

 private:
  /// As stored; of a damaged record what its changes give.
  Result<Bytes> sound_state(const KvRead& read, const RecordId& id, BytesView value) const {
    auto state = stored_state(*codec_, id, value);
    if (state || !state.error().is(Errc::corrupt)) return state;
    FP_TRY(const StoredRecord sound, sound_record(read, *codec_, id, value));
    return wire::encode_record(sound.record);
  }

  static Step full(FeedPage& page) {
    page.caught_up = false;
    return Step::stop;
  }

  Status scan(TableId table, BytesView prefix, BytesView from, const KvRead::Visitor& visit) const {
    return kv_.view([&](const KvRead& read) { return read.scan(table, prefix, from, visit); });
  }

  template <class T, class Body>
  Result<T> in_view(const Body& body) const {
    T found;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(found, body(read));
      return {};
    }));
    return found;
  }

  template <class T>
  Result<std::optional<T>> one(TableId table, const Bytes& key,
                               Result<T> (*unpack)(BytesView)) const {
    std::optional<T> found;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const auto value, read.get(table, key));
      if (!value) return {};
      FP_TRY(found, unpack(*value));
      return {};
    }));
    return found;
  }

  template <class T>
  Result<std::vector<T>> all(TableId table, Result<T> (*unpack)(BytesView)) const {
    std::vector<T> found;
    FP_CHECK_OK(scan(table, {}, {}, [&](BytesView, BytesView value) -> Result<Step> {
      FP_TRY(T item, unpack(value));
      found.push_back(std::move(item));
      return Step::more;
    }));
    return found;
  }

  Result<std::vector<RecordId>> ids(TableId table, const RecordId& after, std::size_t limit) const {
    std::vector<RecordId> found;
    FP_CHECK_OK(scan(table, {}, after.is_zero() ? BytesView{} : after.view(),
                     [&](BytesView key, BytesView) -> Result<Step> {
                       FP_TRY(const RecordId id, RecordId::from(key));
                       if (id != after) found.push_back(id);
                       return found.size() < limit ? Step::more : Step::stop;
                     }));
    return found;
  }

  const Kv& kv_;
  std::unique_ptr<ValueCodec> codec_;
  HubIdentity identity_;
};

}  // namespace

std::unique_ptr<HubReader> make_hub_reader(const Kv& kv, std::unique_ptr<ValueCodec> codec,
                                           const HubIdentity& identity) {
  return std::make_unique<KvHubReader>(kv, std::move(codec), identity);
}

}  // namespace fieldpost::storage
