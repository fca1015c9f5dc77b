// What the roots read off the clocks and hand down: time is a parameter here.
//
// Thread rule: plain values.
#pragma once

#include <optional>

#include "model/change.h"

namespace fieldpost::sync {

struct TimeReading {
  Instant wall;                    ///< the wall clock, whatever it is set to
  std::uint64_t boot = 0;          ///< differs from boot to boot
  std::uint64_t monotonic_ms = 0;  ///< since boot, sleep included
};

/// The last signed hub time, and when (monotonic) it was learned in which boot.
struct HubAnchor {
  model::HubTime time;
  std::uint64_t boot = 0;
};

/// Hub time now, as far as it can be said: carried forward in the boot in which it was learned, else a bound
/// below which it cannot be.
inline Instant hub_time_at_least(const HubAnchor& anchor, const TimeReading& now) {
  if (anchor.boot != now.boot || now.monotonic_ms < anchor.time.monotonic_ms) return anchor.time.at;
  return Instant{anchor.time.at.ms +
                 static_cast<std::int64_t>(now.monotonic_ms - anchor.time.monotonic_ms)};
}

/// As far as it may be kept for judging certificates: a hub's word is not taken past the end of the certificate it
/// came with. That certificate is refused from then on, and a renewed one is believed, also when it was the hub's
/// clock that was wrong.
inline HubAnchor up_to(HubAnchor heard, const std::optional<Instant>& certificate_end) {
  if (certificate_end && heard.time.at > *certificate_end) heard.time.at = *certificate_end;
  return heard;
}

/// The times of a change made now. An anchor of another boot says nothing and is left out.
inline model::ChangeTimes change_times(const TimeReading& now,
                                       const std::optional<HubAnchor>& anchor) {
  model::ChangeTimes times{now.wall, now.boot, now.monotonic_ms, std::nullopt};
  if (anchor && anchor->boot == now.boot) times.hub = anchor->time;
  return times;
}

}  // namespace fieldpost::sync
