// Dots and version vectors: what causality is made of. Integer counters only, never a clock.
//
// Thread rule: plain values.
// Invariants of VersionVector:
//   1. Entries are sorted by actor, unique, with actors and counters > 0.
//   2. `compare` is the causal partial order; `==` is full equality; there are no other operators.
// Source: Almeida et al., "Scalable and Accurate Causality Tracking for Eventually Consistent
// Stores" (dotted version vectors), 2014.
#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"

namespace fieldpost::model {

/// One event of one actor.
struct Dot {
  ActorId actor;
  Sequence counter;
  friend auto operator<=>(const Dot&, const Dot&) = default;
};

std::string to_text(const Dot& dot);  ///< "a1b2c3d4e5f60718:42"

class VersionVector {
 public:
  struct Entry {
    ActorId actor;
    Sequence counter;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  VersionVector() = default;
  /// Errors: `malformed` when entries are not sorted, not unique or hold a zero counter or actor.
  static Result<VersionVector> from_entries(std::vector<Entry> entries);

  Sequence operator[](ActorId actor) const;  ///< 0 when absent
  bool covers(const Dot& dot) const { return dot.counter <= (*this)[dot.actor]; }
  /// Every entry of `other` is covered by this.
  bool covers(const VersionVector& other) const;
  std::partial_ordering compare(const VersionVector& other) const;

  /// Raises the actor's entry to at least the dot's counter. A dot with a zero in it is no dot: ignored.
  void add(const Dot& dot);
  void merge(const VersionVector& other);  ///< pointwise maximum

  std::span<const Entry> entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  friend bool operator==(const VersionVector&, const VersionVector&) = default;

 private:
  std::vector<Entry> entries_;
};

}  // namespace fieldpost::model
