#include "sync/link_estimate.h"

#include <algorithm>

namespace fieldpost::sync {

namespace {

/// A connection that broke sooner says that the hub went away, not how long the link lasts.
constexpr std::uint64_t kWindowLeastMs = 1'000;
/// The link is kept full although acknowledgements come unevenly.
constexpr double kSpare = 1.25;

std::size_t bytes_of(double value) { return static_cast<std::size_t>(std::max(0.0, value)); }

}  // namespace

void LinkEstimate::connected(std::uint64_t now_ms) {
  connected_ms_ = now_ms;
  carried_ = 0;
  round_trip_ms_ = 0;
}

void LinkEstimate::greeted(std::uint64_t round_trip_ms) { round_trip_ms_ = round_trip_ms; }

LinkEstimate::Sent LinkEstimate::sent(std::uint64_t now_ms, std::size_t frame_bytes,
                                      std::size_t change_bytes) {
  const double ratio = static_cast<double>(change_bytes) / static_cast<double>(frame_bytes);
  change_bytes_per_frame_byte_ = (change_bytes_per_frame_byte_ * 3 + std::max(0.5, ratio)) / 4;
  pushed_ += frame_bytes;
  return {now_ms, carried_};
}

void LinkEstimate::acknowledged(const Sent& sent, std::uint64_t now_ms, std::size_t frame_bytes) {
  carried_ += frame_bytes;
  const std::uint64_t took_ms = std::max<std::uint64_t>(1, now_ms - std::min(now_ms, sent.at_ms));
  const double rate = static_cast<double>(carried_ - std::min(carried_, sent.carried_before)) /
                      static_cast<double>(took_ms);
  bytes_per_ms_ = std::max(rate, (bytes_per_ms_ * 3 + rate) / 4);
  if (took_ms <= round_trip_ms_ + kQueueMs / 2) {
    flight_ *= 2;
  } else if (took_ms <= round_trip_ms_ + kQueueMs) {
    flight_ += frame_bytes;
  } else {
    const double wanted = bytes_per_ms_ * static_cast<double>(round_trip_ms_ + kQueueMs);
    flight_ = std::min(flight_, bytes_of(wanted));
  }
  settle(now_ms);
}

void LinkEstimate::connection_lost(std::uint64_t heard_ms, std::size_t in_flight_bytes) {
  lost_ += in_flight_bytes;
  if (in_flight_bytes == 0) return;
  const std::uint64_t lasted_ms = heard_ms - std::min(heard_ms, connected_ms_);
  window_ms_ = window_ms_ ? (*window_ms_ + lasted_ms) / 2 : lasted_ms;
  settle(heard_ms);
}

void LinkEstimate::settle(std::uint64_t now_ms) {
  std::size_t least = kFlightUnbroken;
  if (window_ms_) {
    const std::uint64_t age_ms = now_ms - std::min(now_ms, connected_ms_);
    const std::uint64_t lasts_ms = std::max({kWindowLeastMs, *window_ms_, age_ms});
    const double at_risk_ms = static_cast<double>(lasts_ms) / kShare;
    const double way_ms = static_cast<double>(round_trip_ms_) * kSpare;
    flight_ = std::min(flight_, bytes_of(bytes_per_ms_ * (way_ms + at_risk_ms)));
    least = kFlightFloor;
  }
  flight_ = std::clamp<std::size_t>(flight_, least, limits::kWindowBytes);
  const double frame = static_cast<double>(flight_) / kPushesInFlight;
  push_bytes = std::clamp(bytes_of(frame * change_bytes_per_frame_byte_), kPushBytesMin,
                          limits::kPushTargetBytes);
}

}  // namespace fieldpost::sync
