// How much a tablet has on its way to the hub at a time, and how much goes into one push. It outlives connections.
//
// What is unacknowledged when a link breaks is sent again, so little of it should be under way on a link that
// breaks often; too little and a good link stands idle. Three rules decide, the narrowest holds:
//   1. No longer than kQueueMs should a push wait behind others. While acknowledgements come at once, twice as
//      much is tried each time; when they come late, the rate measured says how much the link carries in that time.
//   2. Of the time that connections last before they break (learned from each that breaks with a push under way),
//      only a part, kShare, is at risk. One that lasts longer is a better link, and counts as it is.
//   3. Never less than kFlightFloor, or what fills the link from one acknowledgement to the next.
// Several pushes share it: a window of a few seconds has to end with most of what it carried acknowledged.
//
// Thread rule: plain value; time is a parameter (monotonic, milliseconds).
// Invariants:
//   1. Sizes of frames are as sent, compressed; `push_bytes` is what to take from the chain before compression.
//   2. kPushBytesMin <= push_bytes <= limits::kPushTargetBytes, unless a test sets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/limits.h"

namespace fieldpost::sync {

class LinkEstimate {
 public:
  static constexpr std::size_t kPushBytesMin = 1024;
  static constexpr std::uint64_t kQueueMs = 200;
  static constexpr std::size_t kShare = 24;
  static constexpr std::size_t kFlightFirst = 32 * 1024;
  /// On a link that never broke: a slow disk at the hub is not mistaken for a slow link for long.
  static constexpr std::size_t kFlightUnbroken = 8 * 1024;
  static constexpr std::size_t kFlightFloor = 2 * 1024;
  static constexpr std::size_t kPushesInFlight = 4;

  /// Uncompressed bytes of the next push.
  std::size_t push_bytes = 20 * 1024;
  /// Frame bytes that may be unacknowledged.
  std::size_t flight_bytes() const { return flight_; }

  void connected(std::uint64_t now_ms);
  /// From the hello to the welcome: nothing of this tablet's stood before it.
  void greeted(std::uint64_t round_trip_ms);

  /// What a push has to remember until its acknowledgement.
  struct Sent {
    std::uint64_t at_ms = 0;
    std::uint64_t carried_before = 0;
  };
  Sent sent(std::uint64_t now_ms, std::size_t frame_bytes, std::size_t change_bytes);
  void acknowledged(const Sent& sent, std::uint64_t now_ms, std::size_t frame_bytes);
  /// `heard_ms`: when it was last of use. `in_flight_bytes`: of pushes that nobody acknowledged.
  void connection_lost(std::uint64_t heard_ms, std::size_t in_flight_bytes);

  /// Frame bytes of pushes in all, and of those that were lost with their connection (and so sent again, but for
  /// what turns out to have arrived).
  std::uint64_t pushed_bytes() const { return pushed_; }
  std::uint64_t lost_bytes() const { return lost_; }

 private:
  void settle(std::uint64_t now_ms);

  std::size_t flight_ = kFlightFirst;
  double change_bytes_per_frame_byte_ = 2.5;
  double bytes_per_ms_ = 0;
  std::uint64_t round_trip_ms_ = 0;
  std::uint64_t connected_ms_ = 0;
  std::uint64_t carried_ = 0;               ///< acknowledged frame bytes of this connection
  std::optional<std::uint64_t> window_ms_;  ///< how long a connection lasts before it breaks
  std::uint64_t pushed_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace fieldpost::sync
