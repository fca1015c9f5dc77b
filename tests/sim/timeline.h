// Virtual time: what happens next, and when.
//
// Thread rule: one thread.
// Invariants:
//   1. Events run in order of time; of one time, in the order in which they were set.
//   2. Time passes only from event to event.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/ids.h"

namespace fieldpost::sim {

inline constexpr std::uint64_t kSecond = 1'000;
inline constexpr std::uint64_t kMinute = 60 * kSecond;
inline constexpr std::uint64_t kHour = 60 * kMinute;
inline constexpr std::uint64_t kDay = 24 * kHour;

class Timeline {
 public:
  using Event = std::function<void()>;

  explicit Timeline(Instant start) : now_(start) {}

  Instant now() const { return now_; }
  std::uint64_t steps() const { return steps_; }
  void after(std::uint64_t ms, Event event) {
    const auto at = now_.ms + static_cast<std::int64_t>(ms);
    events_.emplace(std::pair(at, order_++), std::move(event));
  }
  /// Time of the next event; `end` when there is none before it.
  Instant next(Instant end) const {
    if (events_.empty() || events_.begin()->first.first >= end.ms) return end;
    return Instant{events_.begin()->first.first};
  }
  /// Runs the next event. There must be one.
  void step() {
    auto node = events_.extract(events_.begin());
    now_ = Instant{node.key().first};
    ++steps_;
    node.mapped()();
  }

 private:
  Instant now_;
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, Event> events_;
};

}  // namespace fieldpost::sim
