// Edits that rested on a refused change: written anew without it.
#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"
#include "sync/fork_repair.h"
#include "wire/codec.h"

namespace fieldpost::sync {

namespace {

class Reauthoring {
 public:
  explicit Reauthoring(const storage::AgentStore& store) : store_(store) {}

  Result<storage::Restamp> plan() {
    FP_CHECK_OK(find_refused());
    if (targets_.empty()) return std::move(plan_);
    FP_CHECK_OK(read_chains());
    FP_CHECK_OK(find_removed());
    for (const RecordId& record : records_) {
      for (const storage::OwnActor& own : store_.state().actors) {
        FP_TRY(auto names, store_.renames(record, own.actor));
        if (!names.empty()) names_[{record, own.actor}] = std::move(names);
      }
    }
    current_ = *store_.state().current();
    for (const storage::OwnActor& own : store_.state().actors) {
      for (const Sequence counter : targets_[own.actor]) FP_CHECK_OK(rewrite(own.actor, counter));
    }
    return std::move(plan_);
  }

 private:
  using Place = std::pair<RecordId, ActorId>;

  Status find_refused() {
    FP_TRY(const auto exceptions, store_.exceptions());
    for (const wire::ChangeException& e : exceptions) {
      if (e.kind != wire::ExceptionKind::unauthorised) continue;
      refused_.insert({e.actor, e.counter});
      if (e.rule != wire::kPredecessorRefused) continue;
      targets_[e.actor].push_back(e.counter);
      records_.insert(e.record);
    }
    for (auto& [actor, counters] : targets_) std::sort(counters.begin(), counters.end());
    return {};
  }

  /// The counters of every own chain on the records in question that were not refused.
  Status read_chains() {
    for (const storage::OwnActor& own : store_.state().actors) {
      for (Sequence at; at < own.head;) {
        FP_TRY(const auto page, store_.chain_page(own.actor, at.next(), limits::kPushTargetBytes,
                                                  limits::kPushChangesMax));
        if (page.empty()) break;
        for (const storage::ChainEntry& entry : page) {
          at = entry.counter;
          FP_TRY(const auto framed, wire::decode_change_frame(entry.frame));
          if (records_.contains(framed.record) && framed.prev <= own.purged_to)
            gone_.emplace(Place{framed.record, own.actor}, framed.prev);
          const bool kept =
              records_.contains(framed.record) && !refused_.contains({own.actor, entry.counter});
          if (kept) kept_[{framed.record, own.actor}].push_back(entry.counter);
        }
      }
    }
    return {};
  }

  /// Of what was removed here, and so was merged, the newest own counter on each record: the `prev` of the first
  /// that is left, or what the base has seen. Records of which neither is known wait for their base.
  Status find_removed() {
    for (const storage::OwnActor& own : store_.state().actors) {
      if (own.purged_to.value == 0) continue;
      for (const RecordId& record : records_) {
        if (gone_.contains({record, own.actor})) continue;
        FP_TRY(const auto base, store_.base(record));
        if (base)
          gone_.emplace(Place{record, own.actor}, std::min(base->vv[own.actor], own.purged_to));
        else
          unknown_.insert(record);
      }
    }
    return {};
  }

  /// The newest own counter on the record, at or below `most`, that was not refused; 0 if none.
  Sequence newest_kept(const RecordId& record, ActorId actor, Sequence most) const {
    const auto found = kept_.find({record, actor});
    if (found != kept_.end()) {
      const auto after = std::upper_bound(found->second.begin(), found->second.end(), most);
      if (after != found->second.begin()) return *std::prev(after);
    }
    const auto gone = gone_.find({record, actor});
    // A context names what there was: `most` itself, when it is no newer.
    return gone == gone_.end() ? Sequence{} : std::min(gone->second, most);
  }

  model::VersionVector without_refused(const RecordId& record,
                                       const model::VersionVector& seen) const {
    model::VersionVector now;
    for (const auto& entry : seen.entries()) {
      const bool own = store_.state().find(entry.actor) != nullptr;
      now.add({entry.actor, own ? newest_kept(record, entry.actor, entry.counter) : entry.counter});
      const auto names = names_.find({record, entry.actor});
      if (names == names_.end()) continue;
      const auto after = names->second.upper_bound(entry.counter);
      if (after != names->second.begin()) now.add(std::prev(after)->second);
    }
    return now;
  }

  Status rewrite(ActorId actor, Sequence counter) {
    FP_TRY(const auto page, store_.chain_page(actor, counter, 1, 1));
    if (page.empty() || page.front().counter != counter) return {};  // no longer kept here
    FP_TRY(model::Change change, wire::decode_change(actor, page.front().frame));
    if (unknown_.contains(change.record)) return {};
    const model::Dot old = change.dot;
    if (!change.origin) change.origin = model::Origin{old, wire::change_hash(page.front().frame)};
    change.context = without_refused(change.record, change.context);
    change.prev = newest_kept(change.record, current_.actor, current_.head);
    change.dot = {current_.actor, current_.head.next()};
    FP_CHECK_OK(model::check_change(change));
    storage::NewChange made;
    FP_TRY(made.frame, wire::encode_change(change));
    made.hash = wire::chain_next(current_.hash, made.frame);
    current_.head = change.dot.counter;
    current_.hash = made.hash;
    kept_[{change.record, current_.actor}].push_back(change.dot.counter);
    names_[{change.record, actor}].emplace(counter, change.dot);
    const Sequence below = newest_kept(change.record, actor, Sequence{counter.value - 1});
    made.change = std::move(change);
    plan_.changes.push_back({std::move(made), old, below});
    return {};
  }

  const storage::AgentStore& store_;
  storage::Restamp plan_;
  storage::OwnActor current_;
  std::set<model::Dot> refused_;
  std::map<ActorId, std::vector<Sequence>> targets_;  ///< to be written anew, ascending
  std::set<RecordId> records_;
  std::map<Place, std::vector<Sequence>> kept_;  ///< ascending
  std::map<Place, Sequence> gone_;               ///< the newest that was removed here
  std::set<RecordId> unknown_;
  std::map<Place, std::map<Sequence, model::Dot>> names_;  ///< old counter → new dot
};

}  // namespace

Result<storage::Restamp> plan_reauthoring(const storage::AgentStore& store) {
  return Reauthoring(store).plan();
}

}  // namespace fieldpost::sync
