// How much a tablet puts on its way, against a link of a known rate that breaks: played in virtual time.
#include "sync/link_estimate.h"

#include <deque>

#include "tests/support/catch.h"

using namespace fieldpost;
using sync::LinkEstimate;

namespace {

struct Link {
  double bytes_per_ms;
  std::uint64_t round_trip_ms;
  std::uint64_t commit_ms = 5;
  std::uint64_t breaks_every_ms = 0;  ///< 0: never
  std::uint64_t away_ms = 1'000;      ///< from a break to the next greeting
};

struct Played {
  std::uint64_t took_ms = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;
  std::size_t most_in_flight = 0;  ///< once 64 kB were acknowledged
  int windows_without_progress = 0;
  double resent_percent() const {
    return 100.0 * static_cast<double>(lost) / static_cast<double>(lost + acknowledged);
  }
  /// Of what the link could have carried in that time.
  double goodput_percent(const Link& link) const {
    return 100.0 * static_cast<double>(acknowledged) /
           (link.bytes_per_ms * static_cast<double>(took_ms));
  }
};

/// Pushes so many bytes of frames, each 40 % of its changes, over one link after the other.
Played play(LinkEstimate& estimate, const Link& link, std::uint64_t bytes) {
  struct Push {
    LinkEstimate::Sent sent;
    std::size_t bytes;
    std::uint64_t answered_ms;
  };
  Played out;
  std::uint64_t now = 0;
  while (out.acknowledged < bytes) {
    estimate.connected(now);
    const std::uint64_t began = now;
    const std::uint64_t before = out.acknowledged;
    estimate.greeted(link.round_trip_ms);
    std::deque<Push> flying;
    std::size_t in_flight = 0;
    double line_free_ms = static_cast<double>(now);
    for (;; ++now) {
      while (!flying.empty() && flying.front().answered_ms <= now) {
        out.acknowledged += flying.front().bytes;
        in_flight -= flying.front().bytes;
        estimate.acknowledged(flying.front().sent, now, flying.front().bytes);
        flying.pop_front();
      }
      if (out.acknowledged >= bytes) break;
      if (link.breaks_every_ms != 0 && now - began >= link.breaks_every_ms) break;
      while (in_flight < estimate.flight_bytes() && flying.size() < limits::kWindowPushes) {
        const std::size_t frame = estimate.push_bytes * 2 / 5;
        line_free_ms = std::max(line_free_ms, static_cast<double>(now)) +
                       static_cast<double>(frame) / link.bytes_per_ms;
        flying.push_back(
            {estimate.sent(now, frame, estimate.push_bytes), frame,
             static_cast<std::uint64_t>(line_free_ms) + link.round_trip_ms + link.commit_ms});
        in_flight += frame;
      }
      if (out.acknowledged > 64 * 1024)
        out.most_in_flight = std::max(out.most_in_flight, in_flight);
    }
    if (out.acknowledged == before) ++out.windows_without_progress;
    if (out.acknowledged < bytes) {
      out.lost += in_flight;
      estimate.connection_lost(now, in_flight);
      now += link.away_ms;
    }
  }
  out.took_ms = now;
  return out;
}

constexpr double kKbit = 1.0 / 8;  // bytes a millisecond

}  // namespace

TEST_CASE("on a good link the window is soon full, near and far") {
  for (const std::uint64_t round_trip_ms : {1U, 100U, 300U}) {
    INFO(round_trip_ms);
    LinkEstimate estimate;
    const auto played = play(estimate, {100'000 * kKbit, round_trip_ms}, 20'000'000);
    CHECK(estimate.flight_bytes() == limits::kWindowBytes);
    CHECK(estimate.push_bytes == limits::kPushTargetBytes);
    CHECK(played.lost == 0);
    CHECK(played.took_ms < 20 * round_trip_ms + 3'000);
  }
}

TEST_CASE("a hub whose disk is slow is not mistaken for a slow link") {
  LinkEstimate estimate;
  play(estimate, {100'000 * kKbit, 2, 90}, 20'000'000);
  CHECK(estimate.flight_bytes() == limits::kWindowBytes);
}

TEST_CASE("512 kbit/s that break every 5 s: little is sent twice, most of the link is used") {
  const Link link{512 * kKbit, 4, 5, 5'000, 1'000};
  for (const std::uint64_t bytes : {500'000U, 5'000'000U}) {
    INFO(bytes);
    LinkEstimate estimate;
    const auto played = play(estimate, link, bytes);
    CHECK(played.resent_percent() <= 5);
    CHECK(played.goodput_percent(link) >= 70);  // 1 s in 6 is away
    CHECK(played.windows_without_progress == 0);
    CHECK(estimate.lost_bytes() == played.lost);
    CHECK(estimate.pushed_bytes() >= played.lost + played.acknowledged);
  }
}

TEST_CASE("every window of a few seconds moves something, down to the slowest link") {
  for (const double kbit : {16.0, 32.0, 64.0}) {
    for (const std::uint64_t round_trip_ms : {10U, 300U, 800U}) {
      INFO(kbit << " kbit/s, round trip " << round_trip_ms << " ms");
      LinkEstimate estimate;
      const auto played = play(estimate, {kbit * kKbit, round_trip_ms, 5, 3'000, 1'000}, 200'000);
      CHECK(played.windows_without_progress <= 1);  // the first, on the slowest: nothing was known
    }
  }
}

TEST_CASE("2G with a long round trip is kept full, and a push does not wait for seconds") {
  const Link link{50 * kKbit, 1'200};
  LinkEstimate estimate;
  const auto played = play(estimate, link, 400'000);
  CHECK(played.goodput_percent(link) >= 80);
  CHECK(static_cast<double>(played.most_in_flight) / link.bytes_per_ms < 6'000);
}

TEST_CASE("a link that has become good is used as one, after many that broke") {
  LinkEstimate estimate;
  play(estimate, {64 * kKbit, 10, 5, 3'000, 1'000}, 100'000);
  CHECK(estimate.flight_bytes() < 8 * 1024);
  play(estimate, {100'000 * kKbit, 5}, 20'000'000);
  CHECK(estimate.flight_bytes() > limits::kWindowBytes / 2);
}

TEST_CASE(
    "connections that break before anything is acknowledged end at the smallest push, not below") {
  LinkEstimate estimate;
  for (int i = 0; i < 20; ++i) {
    estimate.connected(0);
    estimate.greeted(2'000);
    estimate.sent(2'000, 5'000, 12'000);
    estimate.connection_lost(3'000, 5'000);
  }
  CHECK(estimate.flight_bytes() == LinkEstimate::kFlightFloor);
  CHECK(estimate.push_bytes >= LinkEstimate::kPushBytesMin);
  CHECK(estimate.push_bytes < 2 * 1024);
}

TEST_CASE("a connection that ends with nothing under way says nothing about the link") {
  LinkEstimate estimate;
  const auto before = estimate.flight_bytes();
  estimate.connected(0);
  estimate.connection_lost(60'000, 0);
  CHECK(estimate.flight_bytes() == before);
  CHECK(estimate.lost_bytes() == 0);
}
