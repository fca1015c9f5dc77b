// After a fork: the own chains cut, and what stood above the cut on a fresh one.
#include "base/planted.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

Status KvAgentStore::cut_chain(KvWrite& write, const Restamp::Cut& cut,
                               std::set<RecordId>& refetch) {
  std::vector<std::pair<Bytes, RecordId>> above;
  FP_CHECK_OK(write.scan(kChain, Packer().actor(cut.actor).bytes(),
                         dot_key(cut.actor, cut.last.next()),
                         [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                           FP_TRY(const ChainEntry entry, open_chain(key, value));
                           FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
                           above.emplace_back(to_bytes(key), framed.record);
                           return KvRead::Step::more;
                         }));
  for (const auto& [key, record] : above) {
    const Bytes own = Packer().id(record).raw(key).take();
    FP_TRY(const auto waiting, write.get(kOwn, own));
    if (!waiting) refetch.insert(record);
    FP_CHECK_OK(write.erase(kOwn, own));
    FP_CHECK_OK(write.erase(kExceptions, key));
    FP_CHECK_OK(write.erase(kChain, key));
  }
  return {};
}

Status KvAgentStore::drop_bases(KvWrite& write, const std::set<RecordId>& refetch,
                                const std::vector<OwnActor>& actors) {
  if (refetch.empty()) return {};
  for (const RecordId& id : refetch) FP_CHECK_OK(write.erase(kBase, id.view()));
  // What this tablet wrote of them is here: shown until the rest is delivered again.
  std::vector<Bytes> own_keys;
  for (const OwnActor& own : actors) {
    FP_CHECK_OK(write.scan(kChain, Packer().actor(own.actor).bytes(), {},
                           [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                             FP_TRY(const ChainEntry entry, open_chain(key, value));
                             FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
                             if (refetch.contains(framed.record))
                               own_keys.push_back(Packer().id(framed.record).raw(key).take());
                             return KvRead::Step::more;
                           }));
  }
  for (const Bytes& key : own_keys) FP_CHECK_OK(write.put(kOwn, key, {}));
  return {};
}

Status KvAgentStore::extend(OwnActor& own, const NewChange& change) {
  if (own.closed || change.change.dot != model::Dot{own.actor, own.head.next()})
    return fail(Errc::conflict, "the change does not follow the chain's head");
  own.head = change.change.dot.counter;
  own.hash = change.hash;
  return {};
}

Status KvAgentStore::restamp(const Restamp& plan, const WelcomeFacts* welcome) {
  StoredAgentState next = stored_;
  auto& actors = next.state.actors;
  const OwnActor* there = plan.fresh ? next.state.find(plan.fresh->actor) : nullptr;
  if (there != nullptr && (there != &actors.back() || there->head.value != 0 || there->closed))
    return fail(Errc::conflict, "the fresh chain is not fresh");
  for (const Restamp::Cut& cut : plan.cuts) {
    const auto own = std::find_if(actors.begin(), actors.end(),
                                  [&](const OwnActor& a) { return a.actor == cut.actor; });
    if (own == actors.end() || cut.last > own->head || cut.last < own->purged_to ||
        (own->closed && cut.last == own->head))
      return fail(Errc::conflict, "a chain to be cut is not as the plan says");
    // The hub left out of its deliveries what this tablet had pushed: it may have it under the old name.
    if (cut.last < own->acked) next.state.deliver_again();
    own->head = cut.last;
    own->hash = cut.hash;
    own->acked = cut.last;
    own->forked = false;
    own->closed = true;
    own->outlived = cut.outlived;
  }
  if (there != nullptr)
    actors.back() = *plan.fresh;
  else if (plan.fresh)
    actors.push_back(*plan.fresh);
  if (actors.back().closed) return fail(Errc::conflict, "no chain is left to write on");
  // What is written anew or shown again may be of a unit that was taken away.
  next.state.sweep = true;
  const std::vector<Lost> lost =
      welcome == nullptr ? std::vector<Lost>{} : take_in(next.state, *welcome);
  return commit(next, [&](KvWrite& write) -> Status {
    std::set<RecordId> refetch;
    for (const Restamp::Cut& cut : plan.cuts) FP_CHECK_OK(cut_chain(write, cut, refetch));
    for (const Restamp::Rewritten& one : plan.changes) {
      if (!plan.fresh) FP_CHECK_OK(extend(next.state.actors.back(), one.change));
      FP_CHECK_OK(put_chain(write, one.change));
      // The old one is settled by this: kept in its chain, if that keeps it, but no longer waiting for anything.
      const Bytes from = dot_key(one.from.actor, one.from.counter);
      FP_CHECK_OK(write.erase(kOwn, Packer().id(one.change.change.record).raw(from).take()));
      FP_CHECK_OK(write.erase(kExceptions, from));
      const model::Change& change = one.change.change;
      const Bytes key = own_key(change.record, one.from.actor, one.from.counter);
      const Bytes plain =
          Packer().actor(change.dot.actor).seq(change.dot.counter).seq(one.below).take();
      FP_CHECK_OK(write.put(kRenames, key, codec_.encode(kRenames, key, plain)));
    }
    // After the new chain is in: its changes of these records are found, too.
    FP_CHECK_OK(drop_bases(write, refetch, actors));
    return welcome == nullptr ? Status{} : put_told(write, next, *welcome, lost);
  });
}

Result<std::map<Sequence, model::Dot>> KvAgentStore::renames(const RecordId& record,
                                                             ActorId actor) const {
  std::map<Sequence, model::Dot> found;
  FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
    return read.scan(kRenames, Packer().id(record).actor(actor).bytes(), {},
                     [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                       Unpacker place(key.subspan(RecordId::kSize));
                       place.actor();
                       const Sequence old = place.seq();
                       FP_TRY(const Bytes plain, codec_.decode(kRenames, key, value));
                       Unpacker in(plain);
                       const ActorId to = in.actor();
                       found[old] = {to, in.seq()};
                       return KvRead::Step::more;
                     });
  }));
  return found;
}

Result<model::VersionVector> KvAgentStore::renamed(const RecordId& record,
                                                   const model::VersionVector& seen,
                                                   ActorId seen_under) const {
  model::VersionVector now = seen;
  if (planted(Bug::form_context_not_renamed)) return now;
  const auto& actors = stored_.state.actors;
  auto fresh = std::find_if(actors.begin(), actors.end(),
                            [&](const OwnActor& a) { return a.actor == seen_under; });
  FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
    // Each later chain took over what an earlier one lost: in their order, so that a rename of a rename holds.
    for (; fresh != actors.end() && ++fresh != actors.end();) {
      model::VersionVector next;
      for (const auto& entry : now.entries()) {
        std::optional<std::pair<Sequence, Sequence>> newest;  // new counter, newest old one kept
        FP_CHECK_OK(read.scan(kRenames, Packer().id(record).actor(entry.actor).bytes(), {},
                              [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                                Unpacker place(key.subspan(RecordId::kSize));
                                place.actor();
                                if (place.seq() > entry.counter) return KvRead::Step::stop;
                                FP_TRY(const Bytes plain, codec_.decode(kRenames, key, value));
                                Unpacker in(plain);
                                const ActorId to = in.actor();
                                const Sequence counter = in.seq();
                                const Sequence below = in.seq();
                                FP_CHECK_OK(in.finish("rename"));
                                if (to == fresh->actor) newest = {counter, below};
                                return KvRead::Step::more;
                              }));
        next.add({entry.actor, newest ? newest->second : entry.counter});
        if (newest) next.add({fresh->actor, newest->first});
      }
      now = std::move(next);
    }
    return {};
  }));
  return now;
}

}  // namespace fieldpost::storage
