#include "storage/kv_agent_store.h"

#include "base/limits.h"
#include "base/planted.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

Result<std::optional<RecordView>> KvAgentStore::load_from(const KvRead& read,
                                                          const RecordId& id) const {
  RecordView view;
  FP_TRY(view.damaged, is_damaged(read, id));
  FP_TRY(auto base, load_base(read, id));
  FP_TRY(const auto stored, read.get(kBase, id.view()));
  view.damaged = view.damaged || (stored && !base);
  std::vector<model::Change> waiting;
  FP_CHECK_OK(read.scan(kOwn, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
    const BytesView dot = key.subspan(RecordId::kSize);
    FP_TRY(const auto value, read.get(kChain, dot));
    if (!value) return fail(Errc::corrupt, "own change " + to_hex(dot) + " is not in its chain");
    const auto opened = open_chain(dot, *value);
    Unpacker in(dot);
    const ActorId actor = in.actor();
    if (!opened && opened.error().is(Errc::corrupt)) {
      view.damaged = true;
      view.unreadable.push_back({actor, in.seq()});
      return KvRead::Step::more;
    }
    FP_TRY(const ChainEntry entry, opened);
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
      FP_TRY(own.exception, open_exception(dot, *exception));
    }
    view.own.push_back(std::move(own));
    return KvRead::Step::more;
  }));
  if (!base && view.own.empty()) {
    if (!view.damaged) return std::optional<RecordView>{};
    view.record.id = id;
    return std::optional<RecordView>(std::move(view));
  }
  // Keys order by actor id; people and chains order by age.
  const auto age = [&](const OwnChange& own) {
    const auto& actors = stored_.state.actors;
    return std::find_if(actors.begin(), actors.end(),
                        [&](const OwnActor& a) { return a.actor == own.change.dot.actor; }) -
           actors.begin();
  };
  std::stable_sort(view.own.begin(), view.own.end(),
                   [&](const OwnChange& a, const OwnChange& b) { return age(a) < age(b); });
  FP_TRY(const auto lost, read.get(kLost, id.view()));
  view.lost_at_hub = lost.has_value();
  view.at_hub = !view.lost_at_hub && !view.damaged;
  for (const OwnChange& own : view.own) {
    const bool refused = own.exception && own.exception->kind == wire::ExceptionKind::unauthorised;
    if (!refused) waiting.push_back(own.change);
    if ((!own.acked && !planted(Bug::at_hub_too_early)) || own.exception) view.at_hub = false;
  }
  view.record =
      base ? std::move(*base)
           : model::empty_record(id, view.own.front().change.type, view.own.front().change.unit);
  model::drain(view.record, waiting);
  for (OwnChange& own : view.own) own.applied = view.record.vv.covers(own.change.dot);
  return std::optional<RecordView>(std::move(view));
}

Result<bool> KvAgentStore::is_refused(const KvRead& read, BytesView dot) const {
  FP_TRY(const auto value, read.get(kExceptions, dot));
  if (!value) return false;
  FP_TRY(const Bytes plain, codec_.decode(kExceptions, dot, *value));
  FP_TRY(const auto exception, unpack_exception(plain));
  return exception.kind == wire::ExceptionKind::unauthorised;
}

Status KvAgentStore::join_base(KvWrite& write, const model::Record& incoming,
                               StoredAgentState& next) {
  const RecordId& id = incoming.id;
  FP_TRY(auto base, load_base(write, id));
  FP_TRY(bool known, knows(write, id));
  model::Record joined = incoming;
  // A state that has seen all of this one stands for it, whatever the hub knows otherwise.
  const bool whole = base && incoming.vv.covers(base->vv);
  if (base && !whole) FP_CHECK_OK(model::join(joined, *base));
  FP_CHECK_OK(whole ? write.erase(kLost, id.view()) : note_delivered(write, incoming));
  std::vector<Bytes> covered;
  FP_CHECK_OK(
      write.scan(kOwn, id.view(), {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
        Unpacker in(key.subspan(RecordId::kSize));
        const ActorId actor = in.actor();
        const Sequence counter = in.seq();
        // What a hub that was put back does not have is waiting, whatever the base knows of it.
        const OwnActor* own = next.state.find(actor);
        const bool there = own == nullptr || counter <= own->acked;
        if (there && incoming.vv.covers({actor, counter})) covered.push_back(to_bytes(key));
        return KvRead::Step::more;
      }));
  for (const Bytes& key : covered) {
    const BytesView dot = BytesView(key).subspan(RecordId::kSize);
    FP_TRY(const bool refused, is_refused(write, dot));
    // The vector passes over a refused change without what it said: it stays on the list of problems.
    if (refused) continue;
    FP_CHECK_OK(write.erase(kOwn, key));
    FP_CHECK_OK(write.erase(kExceptions, dot));
  }
  FP_CHECK_OK(settle_delivered(write, id, covered));
  FP_CHECK_OK(settle_purged(write, incoming, next.state));
  if (!known) ++next.records;
  if (base && *base == joined) return {};
  FP_TRY(const Bytes canonical, wire::encode_record(joined));
  return write.put(kBase, id.view(), codec_.encode(kBase, id.view(), canonical));
}

namespace {

/// Damage does not end a verification: the first is named, the rest counted.
class Found {
 public:
  void add(Errc errc, std::string what) {
    if (!first_) first_ = fail(errc, std::move(what));
    ++count_;
  }
  Status finish() const {
    if (!first_) return {};
    Error error = *first_;
    if (count_ > 1) error.detail += " (" + std::to_string(count_) + " such places in all)";
    return error;
  }

 private:
  std::optional<Error> first_;
  std::uint64_t count_ = 0;
};

}  // namespace

Status KvAgentStore::verify(const std::function<void(std::uint64_t)>& progress) const {
  std::uint64_t done = 0;
  Found found;
  for (const OwnActor& own : stored_.state.actors) {
    std::optional<Hash> previous;  // none at the beginning and behind a damaged change
    if (own.purged_to.value > 0) previous = own.purged_hash;
    for (Sequence at = own.purged_to.next(); at <= own.head;) {
      const std::string name = "own chain " + own.actor.hex();
      const auto page = chain_page(own.actor, at, limits::kPushTargetBytes, 1000);
      if (!page && !page.error().is(Errc::corrupt)) return page.error();
      if (!page) {
        found.add(Errc::corrupt, page.error().detail);
        previous.reset();
        at = at.next();
        continue;
      }
      if (page->empty() || page->front().counter != at)
        return fail(Errc::chain_broken, name + " lacks change " + std::to_string(at.value));
      for (const ChainEntry& entry : *page) {
        const std::string change = " at change " + std::to_string(at.value);
        if (entry.counter != at) return fail(Errc::chain_broken, name + " breaks" + change);
        if (previous && wire::chain_next(*previous, entry.frame) != entry.hash)
          found.add(Errc::chain_broken, name + " breaks" + change);
        if (const auto decoded = wire::decode_change(own.actor, entry.frame); !decoded)
          found.add(Errc::corrupt, name + change + ": " + decoded.error().detail);
        previous = entry.hash;
        at = at.next();
        progress(++done);
      }
    }
    if (previous && *previous != own.hash)
      found.add(Errc::chain_broken, "own chain " + own.actor.hex() + " ends in another hash");
  }
  RecordId after;
  while (true) {
    FP_TRY(const std::vector<RecordId> ids, ids_after(after, 256));
    if (ids.empty()) return found.finish();
    for (const RecordId& id : ids) {
      const auto view = load(id);
      const Status sound = view && *view ? model::check_record((*view)->record) : Status{};
      if (!view)
        found.add(Errc::corrupt, "record " + to_text(id) + ": " + view.error().message());
      else if (!*view || (*view)->damaged)
        found.add(Errc::corrupt, "record " + to_text(id) + " was damaged on this tablet's disk");
      else if (!sound && !sound.error().is(Errc::too_large))
        found.add(Errc::corrupt, "record " + to_text(id) + ": " + sound.error().message());
      progress(++done);
    }
    after = ids.back();
  }
}

Result<std::unique_ptr<AgentStore>> open_agent_store(Kv& kv, ValueCodec& codec) {
  auto store = std::make_unique<KvAgentStore>(kv, codec);
  FP_CHECK_OK(store->open());
  return std::unique_ptr<AgentStore>(std::move(store));
}

}  // namespace fieldpost::storage
