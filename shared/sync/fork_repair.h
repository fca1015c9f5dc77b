// After a fork or a lost tail: where the two histories part, and how the tablet's goes on.
//
// A tablet whose store was copied, restored or has lost its newest part finds another history of its own chain
// at the hub. Both are kept: the hub keeps what it has, and the tablet writes what only it has once more, on a
// fresh chain. FORK: `last_common` is found by exchanging hashes, 256 to a question.
//
// Thread rule: as AgentSession, which drives it.
// Invariants:
//   1. A search ends after at most 9 questions (256-fold each, counters of 64 bits), or with an error.
//   2. last_common is a counter whose hash is the same on both sides, or 0.
//   3. Every change above last_common of a closing chain is in the plan once, and, when there is any, every
//      unacknowledged change of the later chains: in the order in which they were made, with `origin` naming
//      where each first stood. An earlier chain that did not fork goes on as it is.
//   4. Contexts and `prev` of the plan's changes name no dot above a cut; what they covered there, they
//      cover under its new name.
#pragma once

#include <optional>
#include <vector>

#include "base/random_source.h"
#include "storage/agent_store.h"

namespace fieldpost::sync {

/// A chain that ends at `last_common`, the last change that the hub has as this tablet has it.
struct Closing {
  ActorId actor;
  Sequence last_common;
  bool outlived = false;  ///< not forked: it ends with the hub's epoch
};

/// Finds the last common point of the chains that forked.
class ForkSearch {
 public:
  explicit ForkSearch(const storage::AgentStore& store) : store_(store) {}

  /// Both sides have at most `at_most`.
  void add(ActorId actor, Sequence at_most);
  void add_found(const Closing& closing) { done_.push_back(closing); }
  void clear() {
    open_.clear();
    done_.clear();
    asked_ = false;
  }
  bool started() const { return !open_.empty() || !done_.empty(); }
  /// Whether anything had to be asked.
  bool asked() const { return asked_; }
  /// What to ask the hub now, or nothing when every point is found.
  std::optional<wire::HashQuery> question() const;
  /// Errors: `malformed` when it does not answer the question; the store's.
  Status answer(const wire::HashReply& reply);
  const std::vector<Closing>& found() const { return done_; }

 private:
  struct Open {
    ActorId actor;
    Sequence common;  ///< known to be the same
    Sequence most;    ///< above this it is not
  };
  static std::vector<Sequence> counters(const Open& open);
  void settle();

  const storage::AgentStore& store_;
  std::vector<Open> open_;
  std::vector<Closing> done_;
  bool asked_ = false;
};

/// The plan for AgentStore::restamp. Errors: the store's; `corrupt` when a change does not decode.
Result<storage::Restamp> plan_restamp(const storage::AgentStore& store, const HubId& hub,
                                      const DeviceId& device, const std::vector<Closing>& closings,
                                      const RandomSource& random);

/// After changes were refused: those that rest on them, and only for that were refused, written anew at the end
/// of the current chain, with `prev` and contexts that leave out what was refused. Each was judged before its
/// author could know. Errors: as plan_restamp.
Result<storage::Restamp> plan_reauthoring(const storage::AgentStore& store);

}  // namespace fieldpost::sync
