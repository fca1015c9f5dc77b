// What a tablet keeps for a hub that was put back to an older state: own changes to be sent again, and the
// states it was given.
#include "base/planted.h"
#include "storage/kv_agent_tables.h"

namespace fieldpost::storage {

namespace {

/// The hub stands at `head`, and the next entries are no longer here. It may be the second such loss.
void note_gap(OwnActor& own, Sequence head) {
  own.lost_from = own.lost_to.value == 0 ? head : std::min(own.lost_from, head);
  own.lost_to = std::max(own.lost_to, own.purged_to);
}

}  // namespace

std::vector<KvAgentStore::Lost> KvAgentStore::take_in(AgentState& state,
                                                      const WelcomeFacts& facts) {
  std::vector<Lost> lost;
  state.epoch = facts.epoch;
  state.welcome_id = facts.welcome_id;
  state.sweep = state.sweep || state.grants != facts.grants;
  state.grants = facts.grants;
  state.compartment = facts.compartment;
  for (const WelcomeFacts::Acked& acked : facts.acked) {
    for (OwnActor& own : state.actors) {
      if (own.actor != acked.actor) continue;
      const Sequence now = std::min(own.head, acked.acked);
      if (facts.new_epoch && now < own.acked)
        lost.push_back({own.actor, now, own.acked, own.purged_to});
      if (facts.new_epoch && now < own.purged_to) note_gap(own, now);
      own.acked = facts.new_epoch && !planted(Bug::resend_missing) ? now : std::max(own.acked, now);
      own.backed_up = std::min(acked.backed_up, own.acked);
      own.forked = acked.forked && !own.closed;
    }
  }
  return lost;
}

Status KvAgentStore::put_told(KvWrite& write, StoredAgentState& next, const WelcomeFacts& facts,
                              const std::vector<Lost>& lost) {
  FP_CHECK_OK(return_to_pending(write, next, lost));
  if (facts.new_epoch) {
    // They were judged by another life of the hub's data: this one tells what it says of them.
    std::vector<Bytes> old;
    FP_CHECK_OK(
        write.scan(kExceptions, {}, {}, [&](BytesView key, BytesView) -> Result<KvRead::Step> {
          old.push_back(to_bytes(key));
          return KvRead::Step::more;
        }));
    for (const Bytes& key : old) FP_CHECK_OK(write.erase(kExceptions, key));
  }
  return put_exceptions(write, next, facts.exceptions);
}

Status KvAgentStore::put_exceptions(KvWrite& write, StoredAgentState& next,
                                    const std::vector<wire::ChangeException>& exceptions) {
  for (const wire::ChangeException& e : exceptions) {
    const Bytes key = dot_key(e.actor, e.counter);
    FP_TRY(const auto renamed, write.get(kRenames, own_key(e.record, e.actor, e.counter)));
    if (renamed && e.rule == wire::kPredecessorRefused) continue;  // written anew already
    FP_CHECK_OK(write.put(kExceptions, key, codec_.encode(kExceptions, key, pack_exception(e))));
    FP_TRY(const auto stored, write.get(kChain, key));
    if (!stored) {
      FP_CHECK_OK(write.put(kLost, e.record.view(), codec_.encode(kLost, e.record.view(), {})));
      continue;
    }
    const Bytes value = to_bytes(*stored);
    // An older base may cover it, from before the hub was put back: it is shown until the hub's own does.
    FP_CHECK_OK(put_own(write, next, e.record, own_key(e.record, e.actor, e.counter)));
    // And it may have been forgotten with its unit.
    const auto entry = open_chain(key, value);
    if (!entry) continue;  // damaged: what it was of is not known
    const auto change = wire::decode_change(e.actor, entry->frame);
    if (!change) continue;  // nobody here can read it
    FP_CHECK_OK(note_ungranted(write, next.state, e.record, change->unit));
  }
  return {};
}

Status KvAgentStore::put_own(KvWrite& write, StoredAgentState& next, const RecordId& id,
                             BytesView key) {
  // Of a record that was forgotten or erased here it may be all there is.
  FP_TRY(const bool known, knows(write, id));
  if (!known) ++next.records;
  return write.put(kOwn, key, {});
}

Status KvAgentStore::return_to_pending(KvWrite& write, StoredAgentState& next,
                                       const std::vector<Lost>& lost) {
  for (const Lost& part : lost) {
    FP_CHECK_OK(note_purged_lost(write, part));
    std::vector<Bytes> own;
    std::vector<Bytes> damaged;
    FP_CHECK_OK(write.scan(kChain, Packer().actor(part.actor).bytes(),
                           dot_key(part.actor, part.from.next()),
                           [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
                             const auto opened = open_chain(key, value);
                             if (!opened && opened.error().is(Errc::corrupt)) {
                               damaged.push_back(to_bytes(key));
                               return KvRead::Step::more;
                             }
                             FP_TRY(const ChainEntry& entry, opened);
                             if (entry.counter > part.to) return KvRead::Step::stop;
                             FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
                             own.push_back(Packer().id(framed.record).raw(key).take());
                             return KvRead::Step::more;
                           }));
    // Some may have been forgotten with their unit: once it is in sync again, it is to look.
    next.state.sweep = next.state.sweep || !own.empty();
    for (const Bytes& key : own) {
      FP_TRY(const RecordId id, RecordId::from(BytesView(key).first(RecordId::kSize)));
      FP_CHECK_OK(put_own(write, next, id, key));
    }
    // That the hub had it was its only consolation: noted anew, as what cannot be sent.
    for (const Bytes& key : damaged)
      FP_CHECK_OK(write.erase(kDamaged, damage_key(Damage::Kind::own_change, true, key)));
  }
  return {};
}

Status KvAgentStore::note_delivered(KvWrite& write, const model::Record& incoming) {
  FP_TRY(const auto flagged, write.get(kLost, incoming.id.view()));
  if (!flagged) return {};
  Packer vector;
  for (const auto& entry : incoming.vv.entries()) vector.actor(entry.actor).seq(entry.counter);
  return write.put(kLost, incoming.id.view(),
                   codec_.encode(kLost, incoming.id.view(), vector.bytes()));
}

Status KvAgentStore::settle_lost(KvWrite& write, const AgentState& state) {
  FP_TRY(const std::uint64_t flagged, write.count(kLost));
  if (flagged == 0) return {};
  std::vector<Bytes> settled;
  FP_CHECK_OK(
      write.scan(kLost, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
        FP_TRY(const RecordId id, RecordId::from(key));
        FP_TRY(const auto record, load_base(write, id));
        FP_TRY(const Bytes plain, codec_.decode(kLost, key, value));
        model::VersionVector known;
        for (Unpacker in(plain); in.left() > 0 && !in.failed();) {
          const ActorId actor = in.actor();
          known.add({actor, in.seq()});
        }
        for (const OwnActor& own : state.actors) {
          // What the hub only heard to be missing, it does not have.
          const Sequence newest = record ? record->vv[own.actor] : Sequence{};
          const bool missing = newest > own.lost_from && newest <= own.lost_to;
          if (!missing) known.add({own.actor, own.acked});
        }
        if (!record || known.covers(record->vv)) settled.push_back(to_bytes(key));
        return KvRead::Step::more;
      }));
  for (const Bytes& key : settled) FP_CHECK_OK(write.erase(kLost, key));
  return {};
}

Status KvAgentStore::each_base(const std::function<Status(const model::Record&)>& visit) const {
  return kv_.view([&](const KvRead& read) -> Status {
    return read.scan(kBase, {}, {}, [&](BytesView key, BytesView value) -> Result<KvRead::Step> {
      FP_TRY(const auto plain, open_value(kBase, key, value));
      if (!plain) return KvRead::Step::more;
      FP_TRY(const model::Record record, wire::decode_record(*plain));
      FP_CHECK_OK(visit(record));
      return KvRead::Step::more;
    });
  });
}

Result<std::optional<model::Record>> KvAgentStore::base(const RecordId& id) const {
  std::optional<model::Record> found;
  FP_CHECK_OK(kv_.view([&](const KvRead& read) -> Status {
    FP_TRY(found, load_base(read, id));
    return {};
  }));
  return found;
}

Status KvAgentStore::note_lost_at_hub(const std::vector<RecordId>& records) {
  return kv_.update([&](KvWrite& write) -> Status {
    for (const RecordId& id : records)
      FP_CHECK_OK(write.put(kLost, id.view(), codec_.encode(kLost, id.view(), {})));
    return {};
  });
}

}  // namespace fieldpost::storage
