#include "model/time_interval.h"

#include <algorithm>
#include <limits>

namespace fieldpost::model {

std::int64_t ms_between(Instant from, Instant to) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  if (from.ms < 0 && to.ms > kMost + from.ms) return kMost;
  if (from.ms > 0 && to.ms < kLeast + from.ms) return kLeast;
  return to.ms - from.ms;
}

std::optional<Instant> welcome_time(std::uint64_t welcome_id) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (welcome_id == 0 || welcome_id > kMost) return std::nullopt;
  return Instant{static_cast<std::int64_t>(welcome_id)};
}

TimeInterval time_interval(const ChangeTimes& times, std::optional<Instant> welcome_sent,
                           Instant received) {
  TimeInterval out;
  out.latest = received;
  out.claimed = estimate(times);
  if (times.hub) out.earliest = times.hub->at;
  if (welcome_sent && (!out.earliest || *out.earliest < *welcome_sent)) out.earliest = welcome_sent;
  // The hub's own clock was set back since: of its two words, the receipt is the later one.
  if (out.earliest) out.earliest = std::min(*out.earliest, received);
  if (out.claimed.clock == ClockKind::hub) {
    const std::int64_t since = std::max<std::int64_t>(0, ms_between(times.hub->at, out.claimed.at));
    out.error_ms = kTransitErrorMs + since / kClockDriftParts;
    out.wall_error_ms = ms_between(out.claimed.at, times.wall);
  }
  const std::int64_t slack = out.error_ms.value_or(0);
  out.outside = ms_between(out.latest, out.claimed.at) > slack ||
                (out.earliest && ms_between(out.claimed.at, *out.earliest) > slack);
  return out;
}

}  // namespace fieldpost::model
