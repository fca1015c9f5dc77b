// When to try the hub again: exponential, with full jitter, so that a fleet does not return at once.
//
// Thread rule: plain value.
// Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random_source.h"

namespace fieldpost::sync {

class Backoff {
 public:
  static constexpr std::uint32_t kFirstMs = 1'000;  ///< a blink of the link costs a second
  static constexpr std::uint32_t kMaxMs =
      120'000;  ///< a hub that is back is noticed in two minutes

  /// A delay in [ceiling / 2, ceiling], where the ceiling doubles with each failure.
  std::uint32_t next_ms(const RandomSource& random) {
    const std::uint32_t ceiling = ceiling_ms_;
    ceiling_ms_ = std::min(kMaxMs, ceiling_ms_ * 2);
    const std::uint32_t half = ceiling / 2;
    return half + static_cast<std::uint32_t>(random_u64(random) % (half + 1));
  }
  void succeeded() { ceiling_ms_ = kFirstMs; }

 private:
  std::uint32_t ceiling_ms_ = kFirstMs;
};

}  // namespace fieldpost::sync
