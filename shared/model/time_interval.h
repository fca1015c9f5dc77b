// When a change was made, as far as it can be said: an interval, and what the author's clock claims beside it.
//
// A device's wall clock proves nothing. What bounds a change from below is the newest hub time that its author is
// known to have had when writing it; from above, the moment at which the hub received it. The claimed time is a
// statement inside, or outside, of that.
//
// Thread rule: pure functions over plain values.
// Invariants:
//   1. `latest` is the receipt by the hub's clock; `earliest`, when there is one, is not later.
//   2. `outside` says that the claim contradicts the interval by more than its own estimated error: the device's
//      clock was wrong (or the hub's). Such a claim is shown, never corrected and never hidden.
#pragma once

#include <optional>

#include "model/change.h"

namespace fieldpost::model {

struct TimeInterval {
  std::optional<Instant> earliest;  ///< the author had heard of this hub time; nothing: of none
  Instant latest;                   ///< the hub had the change
  EstimatedTime claimed;            ///< as the author's device has it, and by which clock
  /// How far the claim may be off; nothing when nobody knows (a wall clock never compared with a hub).
  std::optional<std::int64_t> error_ms;
  /// The device's wall clock minus hub time, when this change was made; nothing when not compared.
  std::optional<std::int64_t> wall_error_ms;
  bool outside = false;
};

/// A crystal that is off by 200 in a million; and a welcome that took two seconds to arrive.
inline constexpr std::int64_t kClockDriftParts = 5'000;
inline constexpr std::int64_t kTransitErrorMs = 2'000;

/// `welcome_sent`: hub time of the last welcome that the change names, if it names one.
TimeInterval time_interval(const ChangeTimes& times, std::optional<Instant> welcome_sent,
                           Instant received);

/// A welcome's id is the hub's clock when it was sent, in milliseconds, or one more than the one before: a bound
/// for people, not for authority. Nothing for no welcome.
std::optional<Instant> welcome_time(std::uint64_t welcome_id);

/// Milliseconds from `from` to `to`; the ends of 64 bits instead of an overflow.
std::int64_t ms_between(Instant from, Instant to);

}  // namespace fieldpost::model
