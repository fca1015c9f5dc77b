#include "storage/kv_agent_store.h"

#include <algorithm>

#include "base/limits.h"
#include "storage/agent_state_codec.h"
#include "storage/pack.h"
#include "wire/codec.h"

namespace fieldpost::storage {

namespace {

// Table      key                       value (through the codec unless said)
// meta       "state"                   pack_state
// chain      actor ‖ counter           frame ‖ h(counter)
// base       record id                 canonical state
// own        record id ‖ actor ‖ ctr   empty, plain: own changes the base does not cover
// drafts     record id                 type, saved, body
// exceptions actor ‖ counter           pack_exception
constexpr TableId kMeta = 0;
constexpr TableId kChain = 1;
constexpr TableId kBase = 2;
constexpr TableId kOwn = 3;
constexpr TableId kDrafts = 4;
constexpr TableId kExceptions = 5;
constexpr std::string_view kStateKey = "state";

Bytes dot_key(ActorId actor, Sequence counter) { return Packer().actor(actor).seq(counter).take(); }
Bytes own_key(const RecordId& id, ActorId actor, Sequence counter) {
  return Packer().id(id).actor(actor).seq(counter).take();
}

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

  Status add_actor(ActorId actor, const Hash& chain_start) override {
    StoredAgentState next = stored_;
    if (next.state.find(actor) != nullptr)
      return fail(Errc::already_exists, "actor " + actor.hex());
    next.state.actors.push_back({actor, {}, chain_start, {}, {}, false});
    return commit(next, [](KvWrite&) -> Status { return {}; });
  }

  Status append(const std::vector<NewChange>& changes, std::uint64_t ref_counter,
                const std::vector<RecordId>& finished_drafts) override {
    StoredAgentState next = stored_;
    if (next.state.actors.empty()) return fail(Errc::conflict, "no own chain is open");
    next.state.ref_counter = std::max(next.state.ref_counter, ref_counter);
    return commit(next, [&](KvWrite& write) -> Status {
      OwnActor& own = next.state.actors.back();
      for (const NewChange& change : changes) {
        if (change.change.dot != model::Dot{own.actor, own.head.next()}) {
          return fail(Errc::conflict, "the change does not follow the chain's head");
        }
        FP_TRY(const bool known, knows(write, change.change.record));
        if (!known) ++next.records;
        FP_CHECK_OK(put_chain(write, change));
        own.head = change.change.dot.counter;
        own.hash = change.hash;
        ++next.state.waiting;
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
    return kv_.update([&](KvWrite& write) { return write.erase(kDrafts, id.view()); },
                      UpdateKind::freeing);
  }

  Result<std::vector<Draft>> drafts() const override {
    std::vector<Draft> all;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kDrafts, {}, {},
                       [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                         FP_TRY(const Bytes plain, codec_.decode(kDrafts, key, value));
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
                         FP_TRY(ChainEntry entry, open_chain(key, value));
                         bytes += entry.frame.size();
                         if (!page.empty() && bytes > bytes_max) return KvRead::Step::stop;
                         page.push_back(std::move(entry));
                         return page.size() < count_max ? KvRead::Step::more : KvRead::Step::stop;
                       });
    }));
    return page;
  }

  Result<std::optional<Hash>> chain_hash(ActorId actor, Sequence counter) const override {
    std::optional<Hash> hash;
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
    AgentState& s = next.state;
    s.epoch = facts.epoch;
    s.welcome_id = facts.welcome_id;
    s.grants = facts.grants;
    s.compartment = facts.compartment;
    for (const WelcomeFacts::Acked& acked : facts.acked) {
      for (OwnActor& own : s.actors) {
        if (own.actor != acked.actor) continue;
        own.acked = std::max(own.acked, acked.acked);
        own.backed_up = acked.backed_up;
        own.forked = acked.forked;
      }
    }
    if (pack_state(next) == pack_state(stored_) && facts.exceptions.empty()) return {};
    return commit(
        next, [&](KvWrite& write) { return put_exceptions(write, facts.exceptions); },
        UpdateKind::freeing);
  }

  Status acknowledge(ActorId actor, Sequence head,
                     const std::vector<wire::ChangeException>& exceptions) override {
    StoredAgentState next = stored_;
    for (OwnActor& own : next.state.actors) {
      if (own.actor == actor) own.acked = std::clamp(head, own.acked, own.head);
    }
    return commit(
        next, [&](KvWrite& write) { return put_exceptions(write, exceptions); },
        UpdateKind::freeing);  // a full tablet must still learn what is safe to drop
  }

  Status integrate(const std::string& unit, const Bytes& cursor,
                   const std::vector<model::Record>& states) override {
    StoredAgentState next = stored_;
    auto& cursors = next.state.cursors;
    const auto at = std::lower_bound(
        cursors.begin(), cursors.end(), unit,
        [](const wire::UnitCursor& c, const std::string& u) { return c.unit < u; });
    if (at != cursors.end() && at->unit == unit) {
      at->cursor = cursor;
    } else {
      cursors.insert(at, {unit, cursor});
    }
    return commit(next, [&](KvWrite& write) -> Status {
      for (const model::Record& record : states) FP_CHECK_OK(join_base(write, record, next));
      return {};
    });
  }

  Status set_last_sync(Instant hub_time) override {
    StoredAgentState next = stored_;
    next.state.last_sync = hub_time;
    return commit(
        next, [](KvWrite&) -> Status { return {}; }, UpdateKind::freeing);
  }

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
    return counts;
  }

  Result<std::vector<wire::ChangeException>> exceptions() const override {
    std::vector<wire::ChangeException> all;
    FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
      return read.scan(kExceptions, {}, {},
                       [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                         FP_TRY(const Bytes plain, codec_.decode(kExceptions, key, value));
                         FP_TRY(auto exception, unpack_exception(plain));
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

 private:
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
                           codec_.encode(kMeta, as_bytes(kStateKey), pack_state(next)));
        },
        kind);
    if (done) stored_ = std::move(next);
    return done;
  }

  Result<bool> knows(const KvRead& read, const RecordId& id) const {
    FP_TRY(const auto base, read.get(kBase, id.view()));
    if (base) return true;
    FP_TRY(const auto own, read.last_key(kOwn, id.view()));
    return own.has_value();
  }

  Status put_chain(KvWrite& write, const NewChange& change) {
    const model::Dot dot = change.change.dot;
    const Bytes key = dot_key(dot.actor, dot.counter);
    Bytes plain = change.frame;
    plain.insert(plain.end(), change.hash.bytes.begin(), change.hash.bytes.end());
    FP_CHECK_OK(write.put(kChain, key, codec_.encode(kChain, key, plain)));
    return write.put(kOwn, own_key(change.change.record, dot.actor, dot.counter), {});
  }

  Result<ChainEntry> open_chain(BytesView key, BytesView value) const {
    FP_TRY(Bytes plain, codec_.decode(kChain, key, value));
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
    FP_TRY(const Bytes plain, codec_.decode(kBase, id.view(), *value));
    FP_TRY(model::Record record, wire::decode_record(plain));
    return std::optional<model::Record>(std::move(record));
  }

  Result<std::optional<RecordView>> load_from(const KvRead& read, const RecordId& id) const;
  Status join_base(KvWrite& write, const model::Record& incoming, StoredAgentState& next);

  Status put_exceptions(KvWrite& write, const std::vector<wire::ChangeException>& exceptions) {
    for (const wire::ChangeException& e : exceptions) {
      const Bytes key = dot_key(e.actor, e.counter);
      FP_CHECK_OK(write.put(kExceptions, key, codec_.encode(kExceptions, key, pack_exception(e))));
    }
    return {};
  }

  static Status collect_ids(const KvRead& read, TableId table, const RecordId& after,
                            std::size_t limit, std::vector<RecordId>& ids) {
    std::size_t found = 0;
    RecordId last;
    return read.scan(table, {}, after.is_zero() ? BytesView{} : after.view(),
                     [&](BytesView key, BytesView) -> Result<KvRead::Step> {
                       FP_TRY(const RecordId id, RecordId::from(key.first(RecordId::kSize)));
                       if (id == after || (found > 0 && id == last)) return KvRead::Step::more;
                       ids.push_back(last = id);
                       return ++found < limit ? KvRead::Step::more : KvRead::Step::stop;
                     });
  }

  Kv& kv_;
  ValueCodec& codec_;
  StoredAgentState stored_;
};

Result<std::optional<RecordView>> KvAgentStore::load_from(const KvRead& read,
                                                          const RecordId& id) const {
  FP_TRY(auto base, load_base(read, id));
  RecordView view;
  std::vector<model::Change> waiting;
  FP_CHECK_OK(read.scan(kOwn, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto value, read.get(kChain, dot));
    if (!value) return fail(Errc::corrupt, "own change " + to_hex(dot) + " is not in its chain");
    FP_TRY(const ChainEntry entry, open_chain(dot, *value));
    Unpacker in(dot);
    const ActorId actor = in.actor();
    FP_TRY(OwnChange own, [&]() -> Result<OwnChange> {
      FP_TRY(model::Change change, wire::decode_change(actor, entry.frame));
      OwnChange made;
      made.change = std::move(change);
      return made;
    }());
    const OwnActor* chain = stored_.state.find(actor);
    own.acked = chain != nullptr && entry.counter <= chain->acked;
    FP_TRY(const auto exception, read.get(kExceptions, dot));
    if (exception) {
      FP_TRY(const Bytes plain, codec_.decode(kExceptions, dot, *exception));
      FP_TRY(own.exception, unpack_exception(plain));
    }
    view.own.push_back(std::move(own));
    return KvRead::Step::more;
  }));
  if (!base && view.own.empty()) return std::optional<RecordView>{};
  // Keys order by actor id; people and chains order by age.
  const auto age = [&](const OwnChange& own) {
    const auto& actors = stored_.state.actors;
    return std::find_if(actors.begin(), actors.end(),
                        [&](const OwnActor& a) { return a.actor == own.change.dot.actor; }) -
           actors.begin();
  };
  std::stable_sort(view.own.begin(), view.own.end(),
                   [&](const OwnChange& a, const OwnChange& b) { return age(a) < age(b); });
  view.at_hub = true;
  for (const OwnChange& own : view.own) {
    const bool refused = own.exception && own.exception->kind == wire::ExceptionKind::unauthorised;
    if (!refused) waiting.push_back(own.change);
    if (!own.acked || own.exception) view.at_hub = false;
  }
  view.record =
      base ? std::move(*base)
           : model::empty_record(id, view.own.front().change.type, view.own.front().change.unit);
  model::drain(view.record, waiting);
  for (OwnChange& own : view.own) own.applied = view.record.vv.covers(own.change.dot);
  return std::optional<RecordView>(std::move(view));
}

Status KvAgentStore::join_base(KvWrite& write, const model::Record& incoming,
                               StoredAgentState& next) {
  const RecordId& id = incoming.id;
  FP_TRY(auto base, load_base(write, id));
  bool known = base.has_value();
  model::Record joined = incoming;
  if (base) FP_CHECK_OK(model::join(joined, *base));
  std::vector<Bytes> covered;
  FP_CHECK_OK(
      write.scan(kOwn, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
        known = true;
        Unpacker in(key.subspan(RecordId::kSize));
        const ActorId actor = in.actor();
        if (joined.vv.covers({actor, in.seq()})) covered.push_back(to_bytes(key));
        return KvRead::Step::more;
      }));
  for (const Bytes& key : covered) {
    FP_CHECK_OK(write.erase(kOwn, key));
    FP_CHECK_OK(write.erase(kExceptions, BytesView(key).subspan(RecordId::kSize)));
  }
  if (!known) ++next.records;
  if (base && *base == joined) return {};
  FP_TRY(const Bytes canonical, wire::encode_record(joined));
  return write.put(kBase, id.view(), codec_.encode(kBase, id.view(), canonical));
}

Status KvAgentStore::verify(const std::function<void(std::uint64_t)>& progress) const {
  std::uint64_t done = 0;
  for (const OwnActor& own : stored_.state.actors) {
    Sequence at{1};
    std::optional<Hash> previous;
    while (at <= own.head) {
      FP_TRY(const auto page, chain_page(own.actor, at, limits::kPushTargetBytes, 1000));
      if (page.empty() || page.front().counter != at) {
        return fail(Errc::chain_broken,
                    "own chain " + own.actor.hex() + " lacks change " + std::to_string(at.value));
      }
      for (const ChainEntry& entry : page) {
        if (entry.counter != at ||
            (previous && wire::chain_next(*previous, entry.frame) != entry.hash)) {
          return fail(Errc::chain_broken, "own chain " + own.actor.hex() + " breaks at change " +
                                              std::to_string(at.value));
        }
        FP_CHECK_OK([&]() -> Status {
          FP_TRY(const model::Change change, wire::decode_change(own.actor, entry.frame));
          (void)change;
          return {};
        }());
        previous = entry.hash;
        at = at.next();
        progress(++done);
      }
    }
    if (previous && *previous != own.hash) {
      return fail(Errc::chain_broken, "own chain " + own.actor.hex() + " ends in another hash");
    }
  }
  RecordId after;
  while (true) {
    FP_TRY(const std::vector<RecordId> ids, ids_after(after, 256));
    if (ids.empty()) return {};
    for (const RecordId& id : ids) {
      const auto view = load(id);
      if (!view)
        return fail(Errc::corrupt, "record " + to_text(id) + ": " + view.error().message());
      const Status sound = model::check_record((*view)->record);
      if (!sound && !sound.error().is(Errc::too_large)) return sound;
      progress(++done);
    }
    after = ids.back();
  }
}

}  // namespace

Result<std::unique_ptr<AgentStore>> open_agent_store(Kv& kv, ValueCodec& codec) {
  auto store = std::make_unique<KvAgentStore>(kv, codec);
  FP_CHECK_OK(store->open());
  return std::unique_ptr<AgentStore>(std::move(store));
}

}  // namespace fieldpost::storage
