// What a tablet no longer has to keep of its own chains.
#include "base/planted.h"
#include "model/time_interval.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

namespace {

/// By its own times, at the latest: the clock may have stood anywhere, but no change is older than the welcome
/// that it names.
Instant claimed_at(const model::Change& change) {
  const Instant claimed = model::estimate(change.times).at;
  const auto heard = model::welcome_time(change.welcome);
  return heard ? std::max(claimed, *heard) : claimed;
}

}  // namespace

std::optional<Hash> KvAgentStore::purged_hash(ActorId actor, Sequence counter) const {
  const OwnActor* own = stored_.state.find(actor);
  if (own == nullptr || counter.value == 0 || counter != own->purged_to) return std::nullopt;
  return own->purged_hash;
}

Result<AgentStore::Purged> KvAgentStore::purge(Instant before, std::size_t entries_max) {
  Purged done;
  StoredAgentState next = stored_;
  const auto any = std::any_of(next.state.actors.begin(), next.state.actors.end(), [](auto& own) {
    return std::min(own.acked, planted(Bug::purge_ignores_backups) ? own.acked : own.backed_up) >
           own.purged_to;
  });
  if (!any) return done;
  FP_CHECK_OK(commit(
      next,
      [&](KvWrite& write) -> Status {
        for (OwnActor& own : next.state.actors)
          FP_CHECK_OK(purge_chain(write, own, before, entries_max, done));
        return {};
      },
      UpdateKind::freeing));
  return done;
}

Status KvAgentStore::purge_chain(KvWrite& write, OwnActor& own, Instant before,
                                 std::size_t entries_max, Purged& done) {
  // Of a forked chain nobody can say yet which entries the backups have.
  if (own.forked || done.more || own.head.value == 0) return {};
  const Sequence safe = planted(Bug::purge_ignores_backups) ? own.acked : own.backed_up;
  const Sequence last = std::min({own.acked, safe, Sequence{own.head.value - 1}});
  std::vector<std::pair<Bytes, ChainEntry>> entries;
  FP_CHECK_OK(write.scan(kChain, Packer().actor(own.actor).bytes(),
                         dot_key(own.actor, own.purged_to.next()),
                         [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                           auto entry = open_chain(key, value);
                           // A damaged one stays where `verify` finds it.
                           if (!entry || entry->counter > last) return KvRead::Step::stop;
                           if (done.entries + entries.size() == entries_max) {
                             done.more = true;
                             return KvRead::Step::stop;
                           }
                           entries.emplace_back(to_bytes(key), *std::move(entry));
                           return KvRead::Step::more;
                         }));
  for (const auto& [key, entry] : entries) {
    const bool follows = entry.counter == own.purged_to.next();
    FP_TRY(const bool ready, ready_to_go(write, own.actor, entry, before));
    if (!follows || !ready) {
      done.more = false;
      return {};
    }
    FP_CHECK_OK(write.erase(kChain, key));
    own.purged_to = entry.counter;
    own.purged_hash = entry.hash;
    ++done.entries;
  }
  return {};
}

Result<bool> KvAgentStore::ready_to_go(KvWrite& write, ActorId actor, const ChainEntry& entry,
                                       Instant before) {
  const auto change = wire::decode_change(actor, entry.frame);
  if (!change || !(claimed_at(*change) < before)) return false;
  const RecordId& id = change->record;
  const Bytes own = own_key(id, actor, entry.counter);
  FP_TRY(const auto exception, write.get(kExceptions, dot_key(actor, entry.counter)));
  FP_TRY(const auto lost, write.get(kLost, id.view()));
  FP_TRY(const bool damaged, is_damaged(write, id));
  if (exception || lost || damaged) return false;
  FP_TRY(const auto pending, write.get(kOwn, own));
  if (!pending) return true;
  // A tablet's own change is not sent back to it. Acknowledged without an exception it is merged at the hub: it
  // goes into the base as a delivery would have brought it.
  FP_TRY(const auto stored, write.get(kBase, id.view()));
  FP_TRY(const auto base, load_base(write, id));
  if (stored && !base) return false;  // damaged: fetched again first
  model::Record record = base ? *base : model::empty_record(id, change->type, change->unit);
  const model::Applied applied = model::apply(record, *change);
  if (applied != model::Applied::applied && applied != model::Applied::already_known) return false;
  const auto canonical = wire::encode_record(record);
  if (!canonical) return false;
  if (!planted(Bug::purge_without_base))
    FP_CHECK_OK(write.put(kBase, id.view(), codec_.encode(kBase, id.view(), *canonical)));
  FP_CHECK_OK(write.erase(kOwn, own));
  return true;
}

Status KvAgentStore::settle_purged(KvWrite& write, const model::Record& incoming,
                                   const AgentState& state) {
  std::vector<Bytes> over;
  for (const OwnActor& own : state.actors) {
    const Sequence newest = std::min(incoming.vv[own.actor], own.purged_to);
    if (newest.value == 0) continue;
    FP_CHECK_OK(write.scan(kExceptions, Packer().actor(own.actor).bytes(), {},
                           [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                             FP_TRY(const auto exception, open_exception(key, value));
                             if (exception.counter > newest) return KvRead::Step::stop;
                             const bool refused =
                                 exception.kind == wire::ExceptionKind::unauthorised;
                             if (exception.record == incoming.id && !refused)
                               over.push_back(to_bytes(key));
                             return KvRead::Step::more;
                           }));
  }
  for (const Bytes& key : over) FP_CHECK_OK(write.erase(kExceptions, key));
  return {};
}

Status KvAgentStore::note_purged_lost(KvWrite& write, const Lost& lost) {
  if (lost.from >= lost.purged_to) return {};
  std::vector<RecordId> records;
  FP_CHECK_OK(
      write.scan(kBase, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
        FP_TRY(const Bytes plain, codec_.decode(kBase, key, value));
        FP_TRY(const model::Record record, wire::decode_record(plain));
        if (record.vv[lost.actor] > lost.from) records.push_back(record.id);
        return KvRead::Step::more;
      }));
  for (const RecordId& id : records)
    FP_CHECK_OK(write.put(kLost, id.view(), codec_.encode(kLost, id.view(), {})));
  return {};
}

}  // namespace fieldpost::storage
