// A benchmark has nobody to answer to: what fails ends it with a sentence.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/result.h"

namespace fieldpost::bench {

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
inline void need(Status status) {
  if (!status) throw std::runtime_error(status.error().message());
}

using Clock = std::chrono::steady_clock;
inline double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}
inline double seconds_since(Clock::time_point from) { return seconds_between(from, Clock::now()); }

}  // namespace fieldpost::bench
