// A change: one edit of one record by one actor. Small, immutable, signed: the evidence.
//
// Thread rule: plain values.
// Invariants (checked by `check_change`, established by the decoder):
//   1. dot.counter > 0; context[dot.actor] <= prev < dot.counter (so the context does not cover the dot).
//   2. edits are sorted by path, unique; every Sealed value's seal is in `seals`.
//   3. seals are sorted by id, unique, and each is used.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/value.h"
#include "model/version_vector.h"

namespace fieldpost::model {

/// What kind of clock stands behind an estimated time.
enum class ClockKind : std::uint8_t {
  wall = 0,     ///< the device's own wall clock, never compared with a hub since its boot
  hub = 1,      ///< the last signed hub time plus monotonic time since, same boot
  receipt = 2,  ///< the hub's own clock (changes made at the hub)
};

/// A signed hub time and the monotonic instant at which the device learned it.
struct HubTime {
  Instant at;                  ///< hub's clock
  std::uint64_t monotonic_ms;  ///< device's monotonic clock then, same boot as ChangeTimes::boot
  friend bool operator==(const HubTime&, const HubTime&) = default;
};

struct ChangeTimes {
  Instant wall;                    ///< device's wall clock when the change was made
  std::uint64_t boot = 0;          ///< random per boot of the device
  std::uint64_t monotonic_ms = 0;  ///< since that boot
  std::optional<HubTime> hub;      ///< only when learned in this boot
  friend bool operator==(const ChangeTimes&, const ChangeTimes&) = default;
};

struct EstimatedTime {
  Instant at;
  ClockKind clock = ClockKind::wall;
  friend bool operator==(const EstimatedTime&, const EstimatedTime&) = default;
};

/// hub.at + (monotonic − hub.monotonic) when a hub time of this boot is known, else the wall clock.
/// Total: saturates instead of overflowing.
EstimatedTime estimate(const ChangeTimes& times);

/// Where a re-stamped change stood before a fork or restore.
struct Origin {
  Dot dot;
  Hash hash;  ///< hash of the old change's bytes
  friend bool operator==(const Origin&, const Origin&) = default;
};

struct Change {
  RecordId record;
  Dot dot;
  Sequence prev;  ///< this actor's previous counter on this record, 0 if none
  std::string type;
  std::string unit;
  VersionVector context;  ///< the record's vector when the author opened it
  std::vector<FieldValue> edits;
  std::vector<Seal> seals;
  std::string author;
  ChangeTimes times;
  std::uint32_t schema_version = 1;
  Value reason = Null{};  ///< Null, text, or Sealed
  std::optional<Origin> origin;
  Salt salt;
  std::uint64_t welcome =
      0;  ///< last welcome stored when it was made, 0 if none: grants are judged by it
  friend bool operator==(const Change&, const Change&) = default;
};

/// Errors: `malformed`, naming the broken invariant; `too_large` for a bound of base/limits.h.
Status check_change(const Change& change);

}  // namespace fieldpost::model
