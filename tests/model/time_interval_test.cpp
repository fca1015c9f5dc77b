// What can be said of when a change was made, for clocks of every kind.
#include "model/time_interval.h"

#include <limits>

#include "tests/support/catch.h"

using namespace fieldpost;
using namespace fieldpost::model;

namespace {

constexpr std::int64_t kNoon = 1'772'349'300'000;
constexpr std::int64_t kHour = 3'600'000;
constexpr std::int64_t kTenYears = 10 * 365 * 24 * kHour;

ChangeTimes wall_only(std::int64_t wall_ms) { return {Instant{wall_ms}, 7, 5'000, std::nullopt}; }

/// Written `since_ms` after the hub said noon; the wall clock stands `off_ms` from it.
ChangeTimes with_hub(std::int64_t since_ms, std::int64_t off_ms) {
  return {Instant{kNoon + since_ms + off_ms}, 7, 1'000 + static_cast<std::uint64_t>(since_ms),
          HubTime{Instant{kNoon}, 1'000}};
}

}  // namespace

TEST_CASE(
    "a change lies between the hub time its author had and the receipt, and the estimate in it") {
  const auto made = time_interval(with_hub(2 * kHour, 0), std::nullopt, Instant{kNoon + 3 * kHour});
  CHECK(made.earliest == Instant{kNoon});
  CHECK(made.latest == Instant{kNoon + 3 * kHour});
  CHECK(made.claimed.at == Instant{kNoon + 2 * kHour});
  CHECK(made.claimed.clock == ClockKind::hub);
  CHECK(made.error_ms == kTransitErrorMs + 2 * kHour / kClockDriftParts);
  CHECK(made.wall_error_ms == 0);
  CHECK_FALSE(made.outside);
}

TEST_CASE("a wrong wall clock beside a hub time is measured, and does not move the estimate") {
  for (const std::int64_t off_ms : {-kNoon, kTenYears, -kHour, std::int64_t{90'000}}) {
    INFO(off_ms);
    const auto made = time_interval(with_hub(kHour, off_ms), std::nullopt, Instant{kNoon + kHour});
    CHECK(made.claimed.at == Instant{kNoon + kHour});
    CHECK(made.wall_error_ms == off_ms);
    CHECK_FALSE(made.outside);
  }
}

TEST_CASE(
    "a clock never compared with the hub claims without a bound, and is caught where it "
    "contradicts") {
  const Instant received{kNoon};
  const std::optional<Instant> welcome = Instant{kNoon - 24 * kHour};
  const auto good = time_interval(wall_only(kNoon - kHour), welcome, received);
  CHECK(good.claimed.clock == ClockKind::wall);
  CHECK_FALSE(good.error_ms);
  CHECK_FALSE(good.wall_error_ms);
  CHECK(good.earliest == welcome);
  CHECK_FALSE(good.outside);
  CHECK(time_interval(wall_only(0), welcome, received).outside);
  CHECK(time_interval(wall_only(kNoon + 1), welcome, received).outside);
  CHECK(time_interval(wall_only(kNoon + kTenYears), welcome, received).outside);
  CHECK(time_interval(wall_only(kNoon - 24 * kHour - 1), welcome, received).outside);
  CHECK_FALSE(time_interval(wall_only(kNoon - 24 * kHour), welcome, received).outside);
  CHECK_FALSE(time_interval(wall_only(kNoon), welcome, received).outside);
  // Before there was any contact, 1970 contradicts nothing that is known.
  const auto unknown = time_interval(wall_only(0), std::nullopt, received);
  CHECK_FALSE(unknown.earliest);
  CHECK_FALSE(unknown.outside);
}

TEST_CASE("of two hub times known the later bounds, and never beyond the receipt") {
  const Instant received{kNoon + kHour};
  CHECK(time_interval(with_hub(0, 0), Instant{kNoon - kHour}, received).earliest == Instant{kNoon});
  CHECK(time_interval(with_hub(0, 0), Instant{kNoon + 5}, received).earliest == Instant{kNoon + 5});
  CHECK(time_interval(with_hub(0, 0), std::nullopt, Instant{kNoon - kHour}).earliest ==
        Instant{kNoon - kHour});
}

TEST_CASE("an estimate is outside only by more than its own error") {
  const auto edge = [](std::int64_t early_ms) {
    return time_interval(with_hub(kHour, 0), std::nullopt, Instant{kNoon + kHour - early_ms});
  };
  const std::int64_t slack = kTransitErrorMs + kHour / kClockDriftParts;
  CHECK_FALSE(edge(slack).outside);
  CHECK(edge(slack + 1).outside);
}

TEST_CASE("the ends of 64 bits are told apart, not overflowed") {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  CHECK(ms_between(Instant{kLeast}, Instant{kMost}) == kMost);
  CHECK(ms_between(Instant{kMost}, Instant{kLeast}) == kLeast);
  CHECK(ms_between(Instant{-5}, Instant{7}) == 12);
  for (const std::int64_t wall : {kMost, kLeast, std::int64_t{0}}) {
    for (const std::int64_t received : {kMost, kLeast, std::int64_t{0}}) {
      const auto made = time_interval(wall_only(wall), Instant{wall}, Instant{received});
      CHECK(made.earliest <= made.latest);
      CHECK(made.outside == (wall > received));
    }
  }
}

TEST_CASE("a welcome's id is a time when it can be one") {
  CHECK_FALSE(welcome_time(0));
  CHECK(welcome_time(kNoon) == Instant{kNoon});
  CHECK_FALSE(welcome_time(~std::uint64_t{0}));
}
