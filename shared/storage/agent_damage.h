// What a tablet's store has lost to its disk: values that are no longer what was written.
//
// Thread rule: plain values.
// Invariants:
//   1. The bytes found in a damaged value's place are kept, for whoever looks into it.
//   2. `settled` means: what the value said is here again, or its owner has let it go.
#pragma once

#include <optional>
#include <string>

#include "model/change.h"

namespace fieldpost::storage {

struct Damage {
  enum class Kind : std::uint8_t {
    record = 0,      ///< what the hub had delivered of a record: fetched again
    own_change = 1,  ///< a change made here: at the hub when `acked`, else it cannot be sent
    draft = 2,       ///< was nowhere else
  };
  Kind kind = Kind::record;
  RecordId record;               ///< zero where the value alone named it
  model::Dot dot;                ///< of an own change
  std::optional<Instant> found;  ///< none: met while the hub delivered the record again
  bool acked = false;
  bool settled = false;
  /// Device times of the nearest readable own changes before and after an own change.
  std::optional<Instant> made_after;
  std::optional<Instant> made_before;
  Bytes raw;

  /// It keeps this chain from going on: neither at the hub nor readable.
  bool unsendable() const { return kind == Kind::own_change && !acked && !settled; }
};

/// One sentence for people: what, since when, what becomes of it.
std::string damage_words(const Damage& damage);

}  // namespace fieldpost::storage
