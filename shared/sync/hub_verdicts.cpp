// What the hub knows of a tablet's chains: the same history, another one, or one that it has lost a part of.
#include <algorithm>

#include "storage/hub_values.h"
#include "sync/hub_session.h"

namespace fieldpost::sync {

namespace {

/// A search needs at most nine questions for a chain, and few chains fork at one time.
constexpr std::size_t kHashQueriesMax = 64;

}  // namespace

Result<bool> HubSession::same_history(const storage::ActorHeadState& known,
                                      const wire::ActorHead& claimed, bool current) const {
  if (known.head == claimed.head) return known.hash == claimed.hash;
  if (known.head < claimed.head) return true;  // the tablet compares: it has the hub's head
  // The hub has more. Of the current chain: its newest part was lost, or a copy writes on it. An older one
  // that ends on the hub's history was closed there.
  if (current) return false;
  FP_TRY(const auto there, hash_of(claimed.actor, claimed.head));
  return there && *there == claimed.hash;
}

void HubSession::tell_contact(HubOutput& out) {
  if (out.contact) {
    storage::ForkNotes notes = out.contact->forks;
    notes.add(device_->forks);
    device_->forks = notes;
  }
  out.contact = device_;
  device_->forks = {};
}

void HubSession::note_fork(Instant now, Chain& chain, Sequence head) {
  chain.forked = true;
  device_->forks.add({1, now, head, chain.claimed, 0});
}

Result<wire::Verdict> HubSession::verdict(Instant now, const wire::ActorHead& claimed,
                                          bool current) {
  wire::Verdict verdict{claimed.actor, wire::VerdictKind::unknown, {}, {}, {}};
  FP_TRY(const auto known, here().reader->actor(claimed.actor));
  Chain chain;
  chain.claimed = claimed.head;
  if (!known) {
    chain.next = Sequence{1};
    chain.hash = wire::chain_start(here().identity.hub, device_->id, claimed.actor);
  } else if (known->device != device_->id) {
    verdict.kind = wire::VerdictKind::foreign;
    return verdict;
  } else {
    verdict.kind = wire::VerdictKind::known;
    verdict.head = known->head;
    verdict.hash = known->hash;
    chain.next = known->head.next();
    chain.hash = known->hash;
    chain.told = known->head;
    FP_TRY(const bool same, same_history(*known, claimed, current));
    FP_TRY(verdict.backed_up, same ? here().reader->backed_up(claimed.actor) : Sequence{});
    if (!same) {
      verdict.kind = wire::VerdictKind::forked;
      note_fork(now, chain, known->head);
    }
  }
  chains_[claimed.actor] = chain;
  return verdict;
}

Status HubSession::note_announced(const wire::Hello& hello) {
  if (device_->former.empty()) return {};
  device_->said_welcome = std::max(device_->said_welcome, hello.welcome_id);
  for (const auto& [actor, chain] : chains_) {
    FP_TRY(const auto known, here().reader->actor(actor));
    if (!known) device_->announce({actor, device_->said_welcome});
  }
  return {};
}

std::uint64_t HubSession::born(ActorId actor) const {
  for (const storage::AnnouncedChain& chain : device_->announced) {
    if (chain.actor == actor) return chain.welcome;
  }
  return device_->said_welcome;
}

void HubSession::on_hash_query(Instant now, const wire::HashQuery& query, HubOutput& out) {
  const auto chain = chains_.find(query.actor);
  if (chain == chains_.end())
    return refuse(wire::ErrorCode::not_granted,
                  "a question about a chain that the hello did not name", out);
  if (++hash_queries_ > kHashQueriesMax)
    return refuse(wire::ErrorCode::busy, "more questions than a search needs", out);
  auto durable = here().reader->actor(query.actor);
  if (!durable)
    return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
  // Who asks has found that its history is another one, which the heads alone do not always show.
  if (*durable && !chain->second.forked) {
    note_fork(now, chain->second, (*durable)->head);
    tell_contact(out);
  }
  wire::HashReply reply;
  reply.actor = query.actor;
  HashWalk walk;  // ascending: each goes on where the one before was found
  for (const Sequence counter : query.counters) {
    if (!*durable || counter > (*durable)->head || counter.value == 0) continue;
    auto hash = hash_of(query.actor, counter, &walk);
    if (!hash)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    hash_steps_ += std::exchange(walk.steps, 0);
    if (hash_steps_ > context_.hash_steps_max)
      return refuse(wire::ErrorCode::busy, "questions that cost more than a search needs", out);
    if (*hash) walk = {counter, **hash, 0};
    if (*hash) reply.hashes.push_back({query.actor, counter, **hash});
  }
  send(reply, out);
}

Result<std::optional<Hash>> HubSession::hash_of(ActorId actor, Sequence counter,
                                                HashWalk* walk) const {
  // Hashes are stored where a batch ended; between two ends the log gives them.
  std::optional<Hash> hash;
  Sequence at = counter;
  for (; at.value > 0; --at.value) {
    if (walk != nullptr && at == walk->at) hash = walk->hash;
    if (walk != nullptr) ++walk->steps;
    if (hash) break;
    FP_TRY(hash, here().reader->hash_at(actor, at));
    if (hash) break;
  }
  if (at.value == 0) hash = wire::chain_start(here().identity.hub, device_->id, actor);
  for (; at < counter; at = at.next()) {
    FP_TRY(const auto entry, here().reader->log(actor, at.next()));
    if (!entry) return std::optional<Hash>{};
    hash = storage::chain_next(*hash, *entry);
  }
  return hash;
}

}  // namespace fieldpost::sync
