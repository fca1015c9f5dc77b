// Random histories of one record: several tablets and the hub, stale forms, partial knowledge, new actors.
//
// A Script is what RapidCheck makes and shrinks: any list of steps is a valid one, so steps can be
// dropped freely. `play` turns it into changes. Nothing here calls the merge.
//
// Thread rule: plain values, pure functions.
// Invariants of History:
//   1. `changes` holds at most 64, each after all that it names; bit i of a mask means changes[i].
//   2. past[i] is i itself and all that must be known before it; a union of pasts is closed.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "model/change.h"

namespace fieldpost::test {

using Mask = std::uint64_t;

struct Step {
  enum class Kind : std::uint8_t {
    edit,       ///< save the form that is open, or one opened just now
    open,       ///< open the form: later edits may carry this context, however old it has become
    meet,       ///< learn all that another writer knows
    fetch,      ///< learn one change and what it rests on
    new_actor,  ///< the store was restored: go on as a new actor, perhaps from older knowledge
  };
  Kind kind = Kind::edit;
  std::uint8_t who = 0;
  std::uint64_t entropy = 0;  ///< what, where, which values
  friend bool operator==(const Step&, const Step&) = default;
};

struct Script {
  std::vector<Step> steps;
  std::uint64_t delivery = 0;  ///< seed of everything that happens to the changes afterwards
};

struct History {
  std::vector<model::Change> changes;
  std::vector<Mask> past;
  Mask all() const { return changes.size() == 64 ? ~Mask{0} : (Mask{1} << changes.size()) - 1; }
};

/// A small deterministic generator (splitmix64), so that a printed seed says everything.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }  ///< n > 0
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// `length` random steps.
Script make_script(std::uint64_t seed, std::size_t length);
History play(const Script& script);

/// The changes of a mask in a random order in which each comes after all that it names.
std::vector<std::size_t> random_admissible_order(const History& history, Mask mask, Dice& dice);
/// A closed set of changes: what some replica may know.
Mask random_knowledge(const History& history, Dice& dice);

/// Prints the history, one change a line, for a person who must find the bug.
std::ostream& operator<<(std::ostream& out, const Script& script);

}  // namespace fieldpost::test
