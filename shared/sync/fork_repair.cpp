#include "sync/fork_repair.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"
#include "base/planted.h"
#include "sync/recorder.h"
#include "wire/codec.h"

namespace fieldpost::sync {

void ForkSearch::add(ActorId actor, Sequence at_most) {
  // What every backup of the hub had was the same on both sides, and is no longer here to be asked about.
  const storage::OwnActor* own = store_.state().find(actor);
  open_.push_back({actor, own == nullptr ? Sequence{} : own->purged_to, at_most});
  settle();
  asked_ = asked_ || !open_.empty();
}

void ForkSearch::settle() {
  for (auto it = open_.begin(); it != open_.end();) {
    if (it->common < it->most) {
      ++it;
      continue;
    }
    done_.push_back({it->actor, it->common, false});
    it = open_.erase(it);
  }
}

std::vector<Sequence> ForkSearch::counters(const Open& open) {
  const std::uint64_t span = open.most.value - open.common.value;
  const std::uint64_t count = std::min<std::uint64_t>(span, limits::kHashQueryMax);
  std::vector<Sequence> all;
  all.reserve(count);
  // Even steps, the last at the end: (common, most] in `count` parts, without overflow.
  const std::uint64_t step = span / count;
  const std::uint64_t longer = span % count;  // that many steps are one longer
  std::uint64_t at = open.common.value;
  for (std::uint64_t i = 0; i < count; ++i) {
    at += step + (i < longer ? 1 : 0);
    all.push_back(Sequence{at});
  }
  return all;
}

std::optional<wire::HashQuery> ForkSearch::question() const {
  if (open_.empty()) return std::nullopt;
  return wire::HashQuery{open_.front().actor, counters(open_.front())};
}

Status ForkSearch::answer(const wire::HashReply& reply) {
  if (open_.empty() || reply.actor != open_.front().actor)
    return fail(Errc::malformed, "the hub told hashes that nobody asked for");
  Open& open = open_.front();
  const std::vector<Sequence> asked = counters(open);
  auto told = reply.hashes.begin();
  Sequence common = open.common;
  Sequence most = open.most;
  for (const Sequence counter : asked) {
    const bool answered = told != reply.hashes.end() && told->head == counter;
    FP_TRY(const auto mine, store_.chain_hash(open.actor, counter));
    const bool same = answered && mine && *mine == told->hash;
    if (answered) ++told;
    if (same) {
      common = counter;
      continue;
    }
    // A chain of hashes that differs once differs from there on.
    most = Sequence{counter.value - 1};
    break;
  }
  while (told != reply.hashes.end() && std::binary_search(asked.begin(), asked.end(), told->head))
    ++told;
  if (told != reply.hashes.end())
    return fail(Errc::malformed, "the hub told a hash that nobody asked for");
  open.common = common;
  open.most = most;
  settle();
  return {};
}

namespace {

/// Builds the fresh chain change by change.
class Planner {
 public:
  Planner(const storage::AgentStore& store, const storage::OwnActor& fresh)
      : store_(store), fresh_(fresh) {}

  Status cut(const storage::OwnActor& own, Sequence last, const Hash& start, bool outlived) {
    storage::Restamp::Cut made{own.actor, last, start, outlived};
    if (last.value > 0) {
      FP_TRY(const auto hash, store_.chain_hash(own.actor, last));
      if (!hash)
        return fail(Errc::corrupt,
                    "own change " + std::to_string(last.value) + " is missing from the store");
      made.hash = *hash;
    }
    plan_.cuts.push_back(made);
    FP_CHECK_OK(each(own.actor, last, own.head, [&](const storage::ChainEntry& entry) -> Status {
      FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
      // What was removed here and is older than its `prev` says which was the newest.
      const bool gone = framed.prev <= own.purged_to;
      cut_records_[own.actor].emplace(framed.record, gone ? framed.prev : Sequence{});
      return {};
    }));
    FP_CHECK_OK(find_kept(own, last));
    return each(own.actor, last, own.head, [&](const storage::ChainEntry& entry) -> Status {
      if (planted(Bug::restamp_loses_newest) && entry.counter == own.head) return {};
      return take(own.actor, entry);
    });
  }

  /// A later chain's changes may name those that were cut off an earlier one.
  bool anything_renamed() const { return !names_.empty(); }

  storage::Restamp take_plan(bool current_goes_on) {
    if (!current_goes_on || !plan_.changes.empty()) plan_.fresh = fresh_;
    return std::move(plan_);
  }

 private:
  using Visit = std::function<Status(const storage::ChainEntry&)>;

  /// The entries in (after, to], a page at a time.
  Status each(ActorId actor, Sequence after, Sequence to, const Visit& visit) const {
    for (Sequence at = after; at < to;) {
      FP_TRY(const auto page, store_.chain_page(actor, at.next(), limits::kPushTargetBytes,
                                                limits::kPushChangesMax));
      if (page.empty() || page.front().counter != at.next())
        return fail(Errc::corrupt,
                    "own change " + std::to_string(at.next().value) + " is missing from the store");
      for (const storage::ChainEntry& entry : page) {
        if (entry.counter > to) return {};
        FP_CHECK_OK(visit(entry));
        at = entry.counter;
      }
    }
    return {};
  }

  /// The newest counter that the cut chain keeps of each record that it loses changes of.
  Status find_kept(const storage::OwnActor& own, Sequence last) {
    auto& records = cut_records_[own.actor];
    if (records.empty()) return {};
    return each(own.actor, own.purged_to, last, [&](const storage::ChainEntry& entry) -> Status {
      FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
      const auto found = records.find(framed.record);
      if (found != records.end()) found->second = entry.counter;
      return {};
    });
  }

  Status take(ActorId actor, const storage::ChainEntry& entry) {
    auto decoded = wire::decode_change(actor, entry.frame);
    if (!decoded)
      return fail(Errc::corrupt, "own change " + model::to_text({actor, entry.counter}) +
                                     " cannot be read: " + decoded.error().detail);
    storage::NewChange made;
    model::Change& change = made.change;
    change = std::move(*decoded);
    const model::Dot old = change.dot;
    // Where it first stood: a change written anew twice is still known by its first name.
    if (!change.origin && !planted(Bug::origin_missing))
      change.origin = model::Origin{old, wire::change_hash(entry.frame)};
    if (!planted(Bug::context_not_renamed)) change.context = today(change.record, change.context);
    const auto before = written_.find(change.record);
    if (!planted(Bug::prev_not_renamed))
      change.prev = before == written_.end() ? Sequence{} : before->second;
    change.dot = {fresh_.actor, fresh_.head.next()};
    FP_CHECK_OK(model::check_change(change));
    FP_TRY(made.frame, wire::encode_change(change));
    made.hash = wire::chain_next(fresh_.hash, made.frame);
    fresh_.head = change.dot.counter;
    fresh_.hash = made.hash;
    written_[change.record] = change.dot.counter;
    names_[{change.record, actor}].emplace(old.counter, change.dot.counter);
    const Sequence below = cut_records_[actor][change.record];
    plan_.changes.push_back({std::move(made), old, below});
    return {};
  }

  model::VersionVector today(const RecordId& record, const model::VersionVector& seen) const {
    model::VersionVector now;
    for (const auto& entry : seen.entries()) {
      const auto names = names_.find({record, entry.actor});
      // The newest of the lost dots that the entry covers.
      const auto after = names == names_.end() ? std::map<Sequence, Sequence>::const_iterator{}
                                               : names->second.upper_bound(entry.counter);
      if (names == names_.end() || after == names->second.begin()) {
        now.add({entry.actor, entry.counter});
        continue;
      }
      now.add({entry.actor, cut_records_.at(entry.actor).at(record)});
      now.add({fresh_.actor, std::prev(after)->second});
    }
    return now;
  }

  const storage::AgentStore& store_;
  storage::Restamp plan_;
  storage::OwnActor fresh_;
  std::map<ActorId, std::map<RecordId, Sequence>> cut_records_;  ///< → newest counter kept
  std::map<RecordId, Sequence> written_;                         ///< newest on the fresh chain
  std::map<std::pair<RecordId, ActorId>, std::map<Sequence, Sequence>>
      names_;  ///< old counter → new
};

}  // namespace

Result<storage::Restamp> plan_restamp(const storage::AgentStore& store, const HubId& hub,
                                      const DeviceId& device, const std::vector<Closing>& closings,
                                      const RandomSource& random) {
  const auto& actors = store.state().actors;
  const auto closing_of = [&](const storage::OwnActor& own) {
    return std::find_if(closings.begin(), closings.end(),
                        [&](const Closing& c) { return c.actor == own.actor; });
  };
  // A current chain on which nothing stands yet may be the fresh one.
  const bool empty = !actors.empty() && actors.back().head.value == 0 && !actors.back().closed &&
                     closing_of(actors.back()) == closings.end();
  Planner planner(store, empty ? actors.back() : new_chain(hub, device, random));
  bool current_goes_on = false;
  // By age: a later chain's changes were made after, and name, those of an earlier one.
  for (const storage::OwnActor& own : actors) {
    const auto closing = closing_of(own);
    const bool is_fresh = empty && &own == &actors.back();
    const bool whole = closing == closings.end() || closing->last_common == own.head;
    if ((own.closed && whole) || is_fresh) continue;
    current_goes_on = true;
    const Sequence last =
        std::max(closing != closings.end() ? closing->last_common : own.acked, own.purged_to);
    // A chain that did not fork stays, unless what it has to say next may name what is cut off before it.
    const bool stays =
        closing == closings.end() && (own.acked == own.head || !planner.anything_renamed());
    if (stays) continue;
    current_goes_on = false;
    const bool outlived = closing == closings.end() || closing->outlived;
    FP_CHECK_OK(
        planner.cut(own, last, wire::chain_start(hub, device, own.actor), outlived && !own.closed));
  }
  return planner.take_plan(current_goes_on);
}

}  // namespace fieldpost::sync
