// What the hub's welcome says of the own chains, and what follows when it knows another history of one.
#include <algorithm>

#include "base/planted.h"
#include "sync/agent_session.h"
#include "sync/recorder.h"

namespace fieldpost::sync {

Result<storage::AgentStore::WelcomeFacts> AgentSession::judge(const wire::Welcome& welcome) const {
  storage::AgentStore::WelcomeFacts facts;
  facts.epoch = challenge_.epoch;
  facts.new_epoch = new_epoch_;
  facts.welcome_id = welcome.id;
  facts.grants = welcome.grants;
  facts.compartment = welcome.compartment;
  if (welcome.verdicts.size() != hello_.actors.size()) {
    return fail(Errc::malformed,
                "the hub's welcome does not answer for every chain of this tablet");
  }
  for (std::size_t i = 0; i < welcome.verdicts.size(); ++i) {
    const wire::Verdict& verdict = welcome.verdicts[i];
    if (verdict.actor != hello_.actors[i].actor) {
      return fail(Errc::malformed, "the hub's welcome answers for another chain");
    }
    const storage::OwnActor* own = store_.state().find(verdict.actor);
    if (own == nullptr) return fail(Errc::malformed, "the hub's welcome names an unknown chain");
    // What stands above a closed chain's end is another copy's. Below it only a hub that lost something can
    // stand.
    const bool settled = !new_epoch_ && own->acked == own->head;
    if (planted(Bug::actor_reused) && verdict.head > own->head) {
      facts.acked.push_back({verdict.actor, own->head, own->backed_up, false});
      continue;
    }
    // Of an earlier chain the hub compares the hash at the end that hello told.
    const bool whole = verdict.kind == wire::VerdictKind::known && verdict.head >= own->head;
    if (own->closed && (settled || whole)) {
      facts.acked.push_back(
          {verdict.actor, own->head, std::min(verdict.backed_up, own->head), false});
      continue;
    }
    bool forked = verdict.kind == wire::VerdictKind::forked ||
                  verdict.kind == wire::VerdictKind::foreign || verdict.head > own->head;
    // Where this tablet no longer keeps its own entries nothing can be compared; every backup of the hub had them.
    const bool gone = verdict.head < own->purged_to;
    if (!forked && !gone && verdict.head.value > 0) {
      FP_TRY(const auto mine, store_.chain_hash(verdict.actor, verdict.head));
      forked = (!mine || *mine != verdict.hash) && !planted(Bug::hash_not_compared);
    }
    if (!forked && verdict.head < own->acked && !new_epoch_) {
      return fail(Errc::chain_broken,
                  "the hub no longer has changes of this tablet that it had acknowledged (an older "
                  "copy of it may have been put back). Everything here is kept; ask the hub's "
                  "operator");
    }
    facts.acked.push_back({verdict.actor, forked ? own->acked : verdict.head,
                           forked ? own->backed_up : verdict.backed_up, forked});
  }
  for (const wire::ChangeException& exception : welcome.exceptions) {
    const auto on = std::find_if(facts.acked.begin(), facts.acked.end(),
                                 [&](const auto& acked) { return acked.actor == exception.actor; });
    // Of a history that is not this tablet's it says nothing that could be kept here.
    if (on != facts.acked.end() && on->forked) continue;
    const storage::OwnActor* own = store_.state().find(exception.actor);
    if (own != nullptr && own->closed && exception.counter > own->head) continue;
    FP_CHECK_OK(check_exception(exception, exception.actor,
                                on != facts.acked.end() ? on->acked : Sequence{}));
    facts.exceptions.push_back(exception);
  }
  return facts;
}

Status AgentSession::check_exception(const wire::ChangeException& exception, ActorId actor,
                                     Sequence head) const {
  const bool ours = exception.actor == actor && store_.state().find(actor) != nullptr &&
                    exception.counter.value > 0 && exception.counter <= head;
  if (!ours) {
    return fail(Errc::chain_broken, "the hub judged a change that this tablet never sent");
  }
  FP_TRY(const auto page, store_.chain_page(actor, exception.counter, 1, 1));
  if (page.empty() || page.front().counter != exception.counter) return {};  // purged
  FP_TRY(const wire::FramedChange own, wire::decode_change_frame(page.front().frame));
  if (own.record != exception.record)
    return fail(Errc::malformed, "the hub judged a change of this tablet under another record");
  return {};
}

void AgentSession::on_welcome(const TimeReading& now, const wire::Decoded& decoded,
                              AgentOutput& out) {
  const auto& welcome = std::get<wire::Welcome>(decoded.message);
  if (!wire::verify_welcome(decoded, challenge_, hello_, binding_)) {
    return stop_for_good(
        fail(Errc::bad_signature, "the hub's welcome is not signed by the hub this tablet trusts"),
        out);
  }
  auto facts = judge(welcome);
  if (!facts) return stop(std::move(facts).error(), out);
  // In a new epoch what the hub lost and what is written anew become known in one commit, below.
  if (!new_epoch_) {
    if (auto stored = store_.welcome(*facts); !stored) return stop(std::move(stored).error(), out);
  }
  link_.greeted(now.monotonic_ms - std::min(now.monotonic_ms, hello_ms_));
  anchor_ = HubAnchor{{welcome.hub_time, now.monotonic_ms}, now.boot};
  // Never more than fits the memory of a small tablet, whatever is granted.
  window_pushes_ = std::clamp<std::uint32_t>(welcome.window_pushes, 1, limits::kWindowPushes);
  window_bytes_ = std::clamp<std::uint32_t>(welcome.window_bytes, 1, limits::kWindowBytes);
  for (const wire::Grant& grant : welcome.grants) caught_up_[grant.unit] = false;
  out.changed = true;
  welcomed_ = now;
  told_ = *facts;
  for (const auto& acked : facts->acked) settle(acked.actor, acked.acked);
  for (std::size_t i = 0; i < facts->acked.size(); ++i) {
    const auto& acked = facts->acked[i];
    const wire::Verdict& verdict = welcome.verdicts[i];
    const storage::OwnActor& own = *store_.state().find(acked.actor);
    // With its epoch every chain ends, where the hub last acknowledged it: what follows may be on two copies.
    const bool ends = new_epoch_ && !own.closed && &own != store_.state().current();
    if (!acked.forked && ends)
      search_.add_found({acked.actor, std::max(own.acked, acked.acked), true});
    if (!acked.forked) continue;
    // Another device's chain: the hub compares no hashes of it. What it acknowledged, it has.
    if (verdict.kind == wire::VerdictKind::foreign)
      search_.add_found({acked.actor, acked.acked, false});
    else
      search_.add(acked.actor, std::min(verdict.head, own.head));
  }
  if (new_epoch_ || search_.started()) {
    phase_ = Phase::repairing;
    return go_on_apart(out);
  }
  go_live(out);
}

Status AgentSession::write_again_what_may_stand(
    const std::vector<wire::ChangeException>& exceptions) {
  const bool any = std::any_of(exceptions.begin(), exceptions.end(), [](const auto& e) {
    return e.kind == wire::ExceptionKind::unauthorised && e.rule == wire::kPredecessorRefused;
  });
  if (!any) return {};
  FP_TRY(const auto plan, plan_reauthoring(store_));
  return plan.changes.empty() ? Status{} : store_.restamp(plan, nullptr);
}

void AgentSession::go_live(AgentOutput& out) {
  phase_ = Phase::live;
  search_.clear();
  if (auto written = write_again_what_may_stand(told_->exceptions); !written)
    return stop(std::move(written).error(), out);
  confirm(told_->exceptions, out);
  note_asked();
  told_.reset();
  fill_window(out);
  note_sync(welcomed_, out);
}

void AgentSession::note_asked() {
  for (const auto& acked : told_->acked) {
    const auto from = std::find_if(hello_.unsettled.begin(), hello_.unsettled.end(),
                                   [&](const model::Dot& dot) { return dot.actor == acked.actor; });
    if (from == hello_.unsettled.end() || acked.forked) continue;
    asked_.push_back({acked.actor, from->counter, acked.acked});
  }
  for (const wire::ChangeException& e : told_->exceptions) answered_.insert({e.actor, e.counter});
}

Status AgentSession::settle_unanswered() {
  if (asked_.empty()) return {};
  FP_TRY(const auto exceptions, store_.exceptions());
  std::vector<model::Dot> settled;
  for (const wire::ChangeException& e : exceptions) {
    const bool asked = std::any_of(asked_.begin(), asked_.end(), [&](const Asked& range) {
      return e.actor == range.actor && e.counter >= range.from && e.counter <= range.to;
    });
    if (asked && !answered_.contains({e.actor, e.counter})) settled.push_back({e.actor, e.counter});
  }
  asked_.clear();
  answered_.clear();
  if (settled.empty()) return {};
  return store_.settle_exceptions(settled);
}

void AgentSession::note_sync(const TimeReading& now, AgentOutput& out) {
  if (!in_sync()) {
    synced_noted_ = false;
    return;
  }
  if (synced_noted_) return;
  if (auto settled = settle_unanswered(); !settled) return stop(std::move(settled).error(), out);
  const storage::AgentState& state = store_.state();
  const bool ungranted =
      std::any_of(state.cursors.begin(), state.cursors.end(),
                  [&](const wire::UnitCursor& c) { return !caught_up_.contains(c.unit); });
  if (ungranted || state.sweep || (state.ungranted > 0 && !std::exchange(swept_, true))) {
    if (auto forgotten = store_.forget_ungranted(); !forgotten)
      return stop(std::move(forgotten).error(), out);
  }
  synced_noted_ = true;
  progressed_ = true;
  out.changed = true;
  if (auto stored = store_.set_last_sync(hub_now(now)); !stored)
    return stop(std::move(stored).error(), out);
  send(wire::StatusReport{status(now)}, out);
}

storage::AgentStore::WelcomeFacts AgentSession::standing() const {
  const storage::AgentState& state = store_.state();
  storage::AgentStore::WelcomeFacts facts;
  facts.epoch = challenge_.epoch;
  facts.welcome_id = state.welcome_id;
  facts.grants = state.grants;
  facts.compartment = state.compartment;
  return facts;
}

Status AgentSession::begin_epoch(const wire::Challenge& challenge) {
  const storage::AgentState& state = store_.state();
  new_epoch_ = state.epoch && *state.epoch != challenge.epoch;
  if (!new_epoch_) return {};
  // Named in hello, so that what is written anew can be pushed on this very connection.
  const storage::OwnActor fresh = new_chain(identity_.hub, identity_.device, random_);
  return store_.add_actor(fresh.actor, fresh.hash);
}

void AgentSession::name_chains() {
  const auto& actors = store_.state().actors;
  std::vector<const storage::OwnActor*> named;
  for (const storage::OwnActor& own : actors) {
    // Nothing was ever written on it here, and nothing will be.
    if (!own.closed || own.head.value > 0) named.push_back(&own);
  }
  // More than a message holds: the oldest closed ones have been at the hub for long.
  for (auto it = named.begin(); named.size() > limits::kHelloActorsMax && it != named.end();)
    it = (*it)->closed && (*it)->acked == (*it)->head ? named.erase(it) : it + 1;
  for (const storage::OwnActor* own : named)
    hello_.actors.push_back({own->actor, own->head, own->hash});
}

void AgentSession::hear_of_closed(const storage::OwnActor& own,
                                  const std::vector<wire::ChangeException>& exceptions,
                                  AgentOutput& out) {
  std::vector<wire::ChangeException> ours;
  for (const wire::ChangeException& exception : exceptions) {
    if (exception.counter > own.head) continue;  // of another copy's change
    if (auto sound = check_exception(exception, own.actor, own.head); !sound)
      return stop(std::move(sound).error(), out);
    ours.push_back(exception);
  }
  if (ours.empty()) return;
  const ActorId actor = own.actor;
  const Sequence head = own.head;
  if (auto stored = store_.acknowledge(actor, head, ours); !stored)
    return stop(std::move(stored).error(), out);
  if (auto written = write_again_what_may_stand(ours); !written)
    return stop(std::move(written).error(), out);
  out.changed = true;
  confirm(ours, out);
  fill_window(out);
}

void AgentSession::on_hashes(const wire::HashReply& reply, AgentOutput& out) {
  if (auto answered = search_.answer(reply); !answered)
    return stop(std::move(answered).error(), out);
  go_on_apart(out);
}

void AgentSession::go_on_apart(AgentOutput& out) {
  if (const auto question = search_.question()) return send(*question, out);
  const auto plan = plan_restamp(store_, identity_.hub, identity_.device, search_.found(), random_);
  if (!plan) return stop_for_good(plan.error(), out);
  for (auto& acked : told_->acked) {
    const auto found = std::find_if(search_.found().begin(), search_.found().end(),
                                    [&](const Closing& c) { return c.actor == acked.actor; });
    if (!acked.forked || found == search_.found().end()) continue;
    acked.acked = found->last_common;
    acked.forked = false;
  }
  const ActorId current = plan->fresh ? plan->fresh->actor : store_.state().current()->actor;
  const bool named = current == hello_.actors.back().actor;
  auto stored = store_.restamp(*plan, &*told_);
  if (!stored) return stop(std::move(stored).error(), out);
  progressed_ = true;  // at once again: the hub has not yet heard what was written anew
  // Nothing was asked, so nothing that the hub sent was passed over; and it knows the fresh chain.
  if (new_epoch_ && named && !search_.asked()) return go_live(out);
  const std::string words =
      "this tablet's data was copied, restored or lost its newest part; it goes on under a new "
      "chain "
      "with " +
      std::to_string(plan->changes.size()) + " changes written anew";
  send(wire::Bye{words}, out);
  leave(fail(Errc::closed, words), out);
}

}  // namespace fieldpost::sync
