// The tablet's store in tables of a key-value engine: what its parts share. Internal to this folder.
//
// Thread rule: as AgentStore.
// Invariants: those of agent_store.h, and
//   1. `own` names the changes of the own chains that no delivered state of their record covers, as far as the
//      hub still has it: what it lost since, or set aside, is named again.
//   2. Every value but those of `own` goes through the codec, bound to its table and key.
#pragma once

#include <algorithm>
#include <set>

#include "base/planted.h"
#include "storage/agent_state_codec.h"
#include "storage/kv.h"
#include "storage/pack.h"
#include "storage/value_codec.h"
#include "wire/codec.h"

namespace fieldpost::storage {

class KvAgentStore final : public AgentStore {
 public:
  KvAgentStore(Kv& kv, ValueCodec& codec) : kv_(kv), codec_(codec) {}

  Status open() {
    return kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(const auto value, read.get(kMeta, as_bytes(kStateKey)));
      if (!value) return {};
      FP_TRY(const Bytes plain, codec_.decode(kMeta, as_bytes(kStateKey), *value));
      FP_TRY(stored_, unpack_state(plain));
      return {};
    });
  }

  const AgentState& state() const override { return stored_.state; }

  Status add_actor(ActorId actor, const Hash& chain_start,
                   const std::optional<Epoch>& enrolled_in) override {
    StoredAgentState next = stored_;
    if (!next.state.epoch) next.state.epoch = enrolled_in;
    if (next.state.find(actor) != nullptr)
      return fail(Errc::already_exists, "actor " + actor.hex());
    next.state.actors.push_back({actor, {}, chain_start, {}, {}, false, false, false});
    return commit(
        next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing);
  }

  Status begin(const Start& start) override {
    StoredAgentState next = stored_;
    next.state.generation = start.generation;
    next.state.machine = start.machine;
    if (start.fresh && next.state.find(start.fresh->actor) != nullptr)
      return fail(Errc::already_exists, "actor " + start.fresh->actor.hex());
    if (start.fresh) next.state.actors.push_back(*start.fresh);
    return commit(
        next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing);
  }

  Status append(const std::vector<NewChange>& changes, std::uint64_t ref_counter,
                const std::vector<RecordId>& finished_drafts) override {
    StoredAgentState next = stored_;
    if (next.state.actors.empty()) return fail(Errc::conflict, "no own chain is open");
    next.state.ref_counter = std::max(next.state.ref_counter, ref_counter);
    return commit(next, [&](KvWrite& write) -> Status {
      OwnActor& own = next.state.actors.back();
      for (const NewChange& change : changes) {
        FP_CHECK_OK(extend(own, change));
        FP_TRY(const bool known, knows(write, change.change.record));
        if (!known) ++next.records;
        FP_CHECK_OK(put_chain(write, change));
        FP_CHECK_OK(note_ungranted(write, next.state, change.change.record, change.change.unit));
      }
      for (const RecordId& id : finished_drafts) FP_CHECK_OK(write.erase(kDrafts, id.view()));
      return {};
    });
  }

  Status put_draft(const Draft& draft) override {
    const Bytes plain = Packer().text(draft.type).i64(draft.saved.ms).blob(draft.body).take();
    return kv_.update([&](KvWrite& write) -> Status {
      return write.put(kDrafts, draft.id.view(), codec_.encode(kDrafts, draft.id.view(), plain));
    });
  }

  Status erase_draft(const RecordId& id) override {
    return kv_.update(
        [&](KvWrite& write) -> Status {
          FP_CHECK_OK(write.erase(kDrafts, id.view()));
          return settle(write, Damage::Kind::draft, id.view());  // its author knows
        },
        UpdateKind::freeing);
  }

  Result<std::vector<Draft>> drafts() const override {
    std::vector<Draft> all;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kDrafts, {}, {},
                       [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                         FP_TRY(const auto sound, open_value(kDrafts, key, value));
                         if (!sound) return KvRead::Step::more;
                         const Bytes& plain = *sound;
                         Unpacker in(plain);
                         Draft draft;
                         FP_TRY(draft.id, RecordId::from(key));
                         draft.type = in.text();
                         draft.saved = Instant{in.i64()};
                         draft.body = to_bytes(in.blob());
                         FP_CHECK_OK(in.finish("draft"));
                         all.push_back(std::move(draft));
                         return KvRead::Step::more;
                       });
    }));
    return all;
  }

  Result<std::optional<RecordView>> load(const RecordId& id) const override {
    std::optional<RecordView> view;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(view, load_from(read, id));
      return {};
    }));
    return view;
  }

  Result<std::vector<RecordId>> ids_after(const RecordId& after, std::size_t limit) const override {
    std::vector<RecordId> ids;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_CHECK_OK(collect_ids(read, kBase, after, limit, ids));
      FP_CHECK_OK(collect_ids(read, kOwn, after, limit, ids));
      FP_CHECK_OK(collect_damaged(read, after, limit, ids));
      return {};
    }));
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    if (ids.size() > limit) ids.resize(limit);
    return ids;
  }

  Result<std::vector<ChainEntry>> chain_page(ActorId actor, Sequence first, std::size_t bytes_max,
                                             std::size_t count_max) const override {
    std::vector<ChainEntry> page;
    std::size_t bytes = 0;
    const Bytes prefix = Packer().actor(actor).take();
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kChain, prefix, dot_key(actor, first),
                       [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                         auto opened = open_chain(key, value);
                         if (!opened && !page.empty()) return KvRead::Step::stop;
                         FP_TRY(ChainEntry entry, std::move(opened));
                         bytes += entry.frame.size();
                         if (!page.empty() && bytes > bytes_max) return KvRead::Step::stop;
                         page.push_back(std::move(entry));
                         return page.size() < count_max ? KvRead::Step::more : KvRead::Step::stop;
                       });
    }));
    return page;
  }

  Result<std::optional<Hash>> chain_hash(ActorId actor, Sequence counter) const override {
    std::optional<Hash> hash = purged_hash(actor, counter);
    if (hash) return hash;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      const Bytes key = dot_key(actor, counter);
      FP_TRY(const auto value, read.get(kChain, key));
      if (!value) return {};
      FP_TRY(const ChainEntry entry, open_chain(key, *value));
      hash = entry.hash;
      return {};
    }));
    return hash;
  }

  Status welcome(const WelcomeFacts& facts) override {
    StoredAgentState next = stored_;
    const std::vector<Lost> lost = take_in(next.state, facts);
    if (pack_state(next) == pack_state(stored_) && facts.exceptions.empty()) return {};
    return commit(
        next,
        [&](KvWrite& write) -> Status {
          FP_CHECK_OK(put_told(write, next, facts, lost));
          return drop_erased(write, next);
        },
        UpdateKind::freeing);
  }

  Status acknowledge(ActorId actor, Sequence head,
                     const std::vector<wire::ChangeException>& exceptions) override {
    StoredAgentState next = stored_;
    for (OwnActor& own : next.state.actors) {
      if (own.actor == actor) own.acked = std::clamp(head, own.acked, own.head);
    }
    return commit(
        next,
        [&](KvWrite& write) -> Status {
          // It looks at each of them: only once, and not with each batch of many.
          const auto& actors = next.state.actors;
          const bool all = std::all_of(actors.begin(), actors.end(),
                                       [](const OwnActor& own) { return own.acked == own.head; });
          if (all) FP_CHECK_OK(settle_lost(write, next.state));
          FP_CHECK_OK(put_exceptions(write, next, exceptions));
          return drop_erased(write, next);
        },
        UpdateKind::freeing);  // a full tablet must still learn what is safe to drop
  }

  Status settle_exceptions(const std::vector<model::Dot>& changes) override {
    StoredAgentState next = stored_;
    return commit(
        next,
        [&](KvWrite& write) -> Status {
          for (const model::Dot& dot : changes)
            FP_CHECK_OK(write.erase(kExceptions, dot_key(dot.actor, dot.counter)));
          return drop_erased(write, next);
        },
        UpdateKind::freeing);
  }

  Status integrate(const std::string& unit, const Bytes& cursor,
                   const std::vector<model::Record>& states,
                   const std::vector<RecordId>& erased) override {
    StoredAgentState next = stored_;
    auto& cursors = next.state.cursors;
    std::erase(next.state.again, unit);
    const auto at = std::lower_bound(
        cursors.begin(), cursors.end(), unit,
        [](const wire::UnitCursor& c, const std::string& u) { return c.unit < u; });
    if (at != cursors.end() && at->unit == unit) {
      at->cursor = cursor;
    } else {
      cursors.insert(at, {unit, cursor});
    }
    if (planted(Bug::cursor_before_states))
      FP_CHECK_OK(commit(
          next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing));
    // A cursor alone is a few bytes: a full tablet is in sync as long as nobody else wrote anything.
    return commit(
        next,
        [&](KvWrite& write) -> Status {
          for (const model::Record& record : states) FP_CHECK_OK(join_base(write, record, next));
          for (const RecordId& id : erased) FP_CHECK_OK(erase_record(write, unit, id, next));
          return {};
        },
        states.empty() ? UpdateKind::freeing : UpdateKind::normal);
  }

  Status forget_ungranted() override;
  static Result<bool> owns(const KvRead& read, const RecordId& id);
  /// Somebody who could not know, or a form of before, has written to a unit that is not granted.
  static Status note_ungranted(KvWrite& write, AgentState& state, const RecordId& id,
                               const std::string& unit);
  Status note_claim(const model::Dot& dot) override {
    StoredAgentState next = stored_;
    next.state.claimed = dot;
    return commit(
        next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing);
  }

  Result<Purged> purge(Instant before, std::size_t entries_max) override;

  Status set_last_sync(Instant hub_time) override {
    StoredAgentState next = stored_;
    next.state.last_sync = hub_time;
    return commit(
        next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing);
  }

  Status each_base(const std::function<Status(const model::Record&)>& visit) const override;
  Result<std::optional<model::Record>> base(const RecordId& id) const override;
  Status note_lost_at_hub(const std::vector<RecordId>& records) override;

  Status restamp(const Restamp& plan, const WelcomeFacts* welcome) override;
  Result<model::VersionVector> renamed(const RecordId& record, const model::VersionVector& seen,
                                       ActorId seen_under) const override;

  Result<std::map<Sequence, model::Dot>> renames(const RecordId& record,
                                                 ActorId actor) const override;

  Result<AgentCounts> counts() const override {
    AgentCounts counts;
    counts.records = stored_.records;
    counts.waiting = stored_.state.waiting;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      FP_TRY(counts.exceptions, read.count(kExceptions));
      FP_TRY(counts.drafts, read.count(kDrafts));
      return {};
    }));
    FP_TRY(const KvStats stats, kv_.stats());
    counts.store_bytes = stats.used_bytes;
    counts.room_bytes = stats.room_bytes;
    return counts;
  }

  Result<std::vector<wire::ChangeException>> exceptions() const override {
    std::vector<wire::ChangeException> all;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kExceptions, {}, {},
                       [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                         FP_TRY(auto exception, open_exception(key, value));
                         all.push_back(std::move(exception));
                         return KvRead::Step::more;
                       });
    }));
    return all;
  }

  Result<Hash> digest(const std::string& unit) const override {
    crypto::Hasher hasher("fieldpost.v1.store-digest");
    RecordId after;
    while (true) {
      FP_TRY(const std::vector<RecordId> ids, ids_after(after, 256));
      if (ids.empty()) return hasher.finish();
      for (const RecordId& id : ids) {
        FP_TRY(const auto view, load(id));
        // A damaged one counts with every unit, as nothing: the digest differs, and says so.
        if (view && view->damaged) {
          hasher.update(id.view());
          hasher.update(Hash{}.view());
          continue;
        }
        if (!view || view->record.unit != unit || view->record.vv.empty()) continue;
        const auto canonical = wire::encode_record(view->record);
        // With own changes the hub set aside a record may be larger than one can be: it differs from the
        // hub's, and the digest says so instead of failing.
        if (!canonical && !canonical.error().is(Errc::too_large)) return canonical.error();
        hasher.update(id.view());
        hasher.update((canonical ? wire::state_digest(*canonical) : Hash{}).view());
      }
      after = ids.back();
    }
  }

  Status verify(const std::function<void(std::uint64_t)>& progress) const override;

  // kv_agent_damage.cpp
  Result<std::size_t> settle_damage(Instant now) override;
  Result<std::vector<Damage>> damages() const override;
  std::uint64_t refetches() const override { return refetches_; }
  Result<bool> scrub(std::size_t bytes) override;

 private:
  // Table      key                       value (through the codec unless said)
  // meta       "state"                   pack_state
  // chain      actor ‖ counter           frame ‖ h(counter)
  // base       record id                 canonical state
  // own        record id ‖ actor ‖ ctr   empty, plain: own changes the base does not cover
  // drafts     record id                 type, saved, body
  // exceptions actor ‖ counter           pack_exception
  // renames    record id ‖ old actor ‖ old counter   new actor, new counter, newest old one kept
  // lost       record id                 of what the hub lacks something: the vector it was last known to have
  // damaged    kind ‖ key of the value   see kv_agent_damage.cpp
  // ungranted  record id                 empty, plain: to be forgotten once it is settled
  // erased     record id                 empty, plain: at the hub, and something of it waits here or has a problem
  static constexpr TableId kMeta = 0;
  static constexpr TableId kChain = 1;
  static constexpr TableId kBase = 2;
  static constexpr TableId kOwn = 3;
  static constexpr TableId kDrafts = 4;
  static constexpr TableId kExceptions = 5;
  static constexpr TableId kRenames = 6;
  static constexpr TableId kLost = 7;
  static constexpr TableId kDamaged = 8;
  static constexpr TableId kUngranted = 9;
  static constexpr TableId kErased = 10;
  static constexpr std::string_view kStateKey = "state";

  static Bytes dot_key(ActorId actor, Sequence counter) {
    return Packer().actor(actor).seq(counter).take();
  }
  static Bytes own_key(const RecordId& id, ActorId actor, Sequence counter) {
    return Packer().id(id).actor(actor).seq(counter).take();
  }

  /// Runs `body` and stores `next` in one commit; the cached state follows only on success.
  Status commit(StoredAgentState& next, const std::function<Status(KvWrite&)>& body,
                UpdateKind kind = UpdateKind::normal) {
    Status done = kv_.update(
        [&](KvWrite& write) -> Status {
          FP_CHECK_OK(body(write));
          next.state.waiting = 0;
          for (const OwnActor& own : next.state.actors)
            next.state.waiting += own.head.value - own.acked.value;
          return write.put(kMeta, as_bytes(kStateKey),
                           codec_.encode_raw(kMeta, as_bytes(kStateKey), pack_state(next)));
        },
        kind);
    if (done) stored_ = std::move(next);
    return done;
  }

  Result<bool> knows(const KvRead& read, const RecordId& id) const {
    FP_TRY(const auto base, read.get(kBase, id.view()));
    if (base) return true;
    FP_TRY(const auto own, read.last_key(kOwn, id.view()));
    if (own) return true;
    return is_damaged(read, id);
  }

  /// Errors: `conflict` when the change does not follow.
  static Status extend(OwnActor& own, const NewChange& change);
  Status put_chain(KvWrite& write, const NewChange& change) {
    const model::Dot dot = change.change.dot;
    const Bytes key = dot_key(dot.actor, dot.counter);
    Bytes plain = change.frame;
    plain.insert(plain.end(), change.hash.bytes.begin(), change.hash.bytes.end());
    FP_CHECK_OK(write.put(kChain, key, codec_.encode(kChain, key, plain)));
    return write.put(kOwn, own_key(change.change.record, dot.actor, dot.counter), {});
  }

  Result<ChainEntry> open_chain(BytesView key, BytesView value) const {
    auto sound = codec_.decode(kChain, key, value);
    if (!sound) {
      note_damage(sound.error(), kChain, key);
      return fail(Errc::corrupt, unreadable_words(key));
    }
    Bytes plain = std::move(*sound);
    Unpacker in(key);
    in.actor();
    ChainEntry entry;
    entry.counter = in.seq();
    FP_CHECK_OK(in.finish("chain key"));
    if (plain.size() < Hash::kSize) return fail(Errc::corrupt, "chain entry is cut short");
    FP_TRY(entry.hash, Hash::from(BytesView(plain).last(Hash::kSize)));
    plain.resize(plain.size() - Hash::kSize);
    entry.frame = std::move(plain);
    return entry;
  }

  Result<std::optional<model::Record>> load_base(const KvRead& read, const RecordId& id) const {
    FP_TRY(const auto value, read.get(kBase, id.view()));
    if (!value) return std::optional<model::Record>{};
    FP_TRY(const auto plain, open_value(kBase, id.view(), *value));
    if (!plain) return std::optional<model::Record>{};
    FP_TRY(model::Record record, wire::decode_record(*plain));
    return std::optional<model::Record>(std::move(record));
  }

  // ---- damage (kv_agent_damage.cpp) ----
  using Place = std::pair<TableId, Bytes>;
  /// Remembers a value that does not open, for settle_damage. Other errors are none of its business.
  void note_damage(const Error& error, TableId table, BytesView key) const {
    if (error.is(Errc::corrupt)) seen_.insert({table, to_bytes(key)});
  }
  /// Nothing when the value is damaged, which is noted.
  Result<std::optional<Bytes>> open_value(TableId table, BytesView key, BytesView value) const;
  /// In a damaged one's place: that nobody knows what the hub said, until it says it again.
  Result<wire::ChangeException> open_exception(BytesView key, BytesView value) const;
  static std::string unreadable_words(BytesView dot_key);
  static Bytes damage_key(Damage::Kind kind, bool settled, BytesView key);
  /// The record waits to be delivered again.
  static Result<bool> is_damaged(const KvRead& read, const RecordId& id);
  static Status collect_damaged(const KvRead& read, const RecordId& after, std::size_t limit,
                                std::vector<RecordId>& ids);
  Status set_aside(KvWrite& write, const Place& place, Instant now, bool& fetch) const;
  Status set_change_aside(KvWrite& write, BytesView dot, BytesView raw, Instant now,
                          bool& fetch) const;
  Status stand_on_own_changes(KvWrite& write, const RecordId& id) const;
  std::optional<Instant> made_at(const KvRead& read, ActorId actor, Sequence counter) const;
  Status put_damage(KvWrite& write, const Damage& damage, BytesView key) const;
  Result<std::optional<Damage>> get_damage(const KvRead& read, Damage::Kind kind, bool settled,
                                           BytesView key) const;
  Result<Damage> open_damage(BytesView key, BytesView value) const;
  Status settle(KvWrite& write, Damage::Kind kind, BytesView key) const;
  /// The record came again: what was missing of it is settled.
  Status settle_delivered(KvWrite& write, const RecordId& id, const std::vector<Bytes>& covered);

  Result<std::optional<RecordView>> load_from(const KvRead& read, const RecordId& id) const;
  Status cut_chain(KvWrite& write, const Restamp::Cut& cut, std::set<RecordId>& refetch);
  Status drop_bases(KvWrite& write, const std::set<RecordId>& refetch,
                    const std::vector<OwnActor>& actors);
  /// Changes of a chain that the hub had acknowledged and has no more: those in (from, to].
  struct Lost {
    ActorId actor;
    Sequence from;
    Sequence to;
    Sequence purged_to;  ///< those up to here cannot be sent again
  };
  static std::vector<Lost> take_in(AgentState& state, const WelcomeFacts& facts);
  /// What the hub has again, by what it delivered or acknowledged since.
  Status settle_lost(KvWrite& write, const AgentState& state);
  Status note_delivered(KvWrite& write, const model::Record& incoming);
  Status put_told(KvWrite& write, StoredAgentState& next, const WelcomeFacts& facts,
                  const std::vector<Lost>& lost);
  Status return_to_pending(KvWrite& write, StoredAgentState& next, const std::vector<Lost>& lost);
  /// Names an own change again; its record counts if it was not known here.
  Status put_own(KvWrite& write, StoredAgentState& next, const RecordId& id, BytesView key);
  // ---- agent_purge.cpp ----
  std::optional<Hash> purged_hash(ActorId actor, Sequence counter) const;
  Status purge_chain(KvWrite& write, OwnActor& own, Instant before, std::size_t entries_max,
                     Purged& done);
  /// Whether nothing stands against removing it; what it says is in its record's base then.
  Result<bool> ready_to_go(KvWrite& write, ActorId actor, const ChainEntry& entry, Instant before);
  /// The records of which the hub may have lost what was removed here.
  Status note_purged_lost(KvWrite& write, const Lost& lost);
  /// What a hub that was put back said of changes removed here is over once it delivers them.
  Status settle_purged(KvWrite& write, const model::Record& incoming, const AgentState& state);
  // ---- agent_erase.cpp ----
  /// The hub erased it: see `integrate`.
  Status erase_record(KvWrite& write, const std::string& unit, const RecordId& id,
                      StoredAgentState& next);
  /// What was kept of erased records and is settled since.
  Status drop_erased(KvWrite& write, StoredAgentState& next);
  Status drop_settled_own(KvWrite& write, const RecordId& id, const AgentState& state);
  Result<bool> is_refused(const KvRead& read, BytesView dot) const;
  Status join_base(KvWrite& write, const model::Record& incoming, StoredAgentState& next);

  Status put_exceptions(KvWrite& write, StoredAgentState& next,
                        const std::vector<wire::ChangeException>& exceptions);

  static Status collect_ids(const KvRead& read, TableId table, const RecordId& after,
                            std::size_t limit, std::vector<RecordId>& ids) {
    std::size_t found = 0;
    RecordId last;
    return read.scan(table, {}, after.is_zero() ? BytesView{} : after.view(),
                     [&](BytesView key, BytesView) -> Result<KvRead::Step> {
                       if (!names_record(key))
                         return KvRead::Step::more;  // what the disk cut is none
                       FP_TRY(const RecordId id, record_of_key(key));
                       if (id == after || (found > 0 && id == last)) return KvRead::Step::more;
                       ids.push_back(last = id);
                       return ++found < limit ? KvRead::Step::more : KvRead::Step::stop;
                     });
  }

  Kv& kv_;
  ValueCodec& codec_;
  StoredAgentState stored_;
  mutable std::set<Place> seen_;  ///< damaged, and not yet set aside
  std::uint64_t refetches_ = 0;
  Place scrubbed_{kMeta, {}};  ///< up to here, in this pass
};

}  // namespace fieldpost::storage
