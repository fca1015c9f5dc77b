// A world that cannot do what the test asked for is a broken test: it says so and ends.
#pragma once

#include <stdexcept>
#include <string>

#include "base/result.h"

namespace fieldpost::test {

/// The value, or a std::runtime_error that says what failed and why.
template <class T>
T must(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  return *std::move(result);
}

inline void must(const Status& status, const char* what) {
  if (!status) throw std::runtime_error(std::string(what) + ": " + status.error().message());
}

}  // namespace fieldpost::test
