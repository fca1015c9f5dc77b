// Where random bytes come from: a parameter, so that tests and the simulator can replay a run.
//
// Thread rule: a RandomSource is as thread-safe as who made it says; keys::system_random() is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/ids.h"

namespace fieldpost {

/// Fills the span. Must not fail: the operating system's source aborts rather than give weak bytes.
using RandomSource = std::function<void(std::span<std::uint8_t>)>;

/// A fresh random id: `random_id<Salt>(random)`.
template <class Id>
Id random_id(const RandomSource& random) {
  Id id;
  random(id.bytes);
  return id;
}

inline std::uint64_t random_u64(const RandomSource& random) {
  std::array<std::uint8_t, 8> bytes{};
  random(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Never 0: 0 means "no actor".
inline ActorId random_actor(const RandomSource& random) {
  for (;;) {
    if (const std::uint64_t value = random_u64(random); value != 0) return {value};
  }
}

}  // namespace fieldpost
