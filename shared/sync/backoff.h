// When to try the hub again: exponential, with jitter, so that a fleet does not return at once.
//
// Thread rule: plain value.
// Invariants:
//   1. A delay lies between half the ceiling and the ceiling; the ceiling doubles with each delay up to kMaxMs.
//   2. What the hub asked to wait is waited at least, and at most half as long again.
//   3. Only progress brings the ceiling back: a hub that greets and then says "busy" is not called each second.
// Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/limits.h"
#include "base/random_source.h"

namespace fieldpost::sync {

class Backoff {
 public:
  static constexpr std::uint32_t kFirstMs = 1'000;  ///< a blink of the link costs a second
  static constexpr std::uint32_t kMaxMs =
      120'000;  ///< a hub that is back is noticed in two minutes

  /// `retry_after_ms`: what the hub asked for, 0 if nothing; taken up to kRetryAfterMaxMs.
  std::uint32_t next_ms(const RandomSource& random, std::uint32_t retry_after_ms = 0) {
    const std::uint32_t ceiling = ceiling_ms_;
    ceiling_ms_ = std::min(kMaxMs, ceiling_ms_ * 2);
    const std::uint32_t own = ceiling / 2 + up_to(ceiling - ceiling / 2, random);
    const std::uint32_t asked = std::min(retry_after_ms, limits::kRetryAfterMaxMs);
    // The whole fleet was told the same figure: without jitter it would return together.
    return asked == 0 ? own : std::max(own, asked + up_to(asked / 2, random));
  }
  /// Something reached the other side durably.
  void succeeded() { ceiling_ms_ = kFirstMs; }

 private:
  static std::uint32_t up_to(std::uint32_t most, const RandomSource& random) {
    return static_cast<std::uint32_t>(random_u64(random) % (std::uint64_t{most} + 1));
  }

  std::uint32_t ceiling_ms_ = kFirstMs;
};

}  // namespace fieldpost::sync
