// Catch2 2.13 (Debian 12) and 3 (Debian 13) behind one include.
#pragma once

#ifdef FIELDPOST_CATCH2_V3
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <string>

#include "base/result.h"

namespace Catch {

#ifdef FIELDPOST_CATCH2_V3
/// What Catch2 2 calls so: text that contains this text.
inline auto Contains(const std::string& text) { return Matchers::ContainsSubstring(text); }
#endif

/// Boost's own operator<< for results claims to print any value and then does not compile.
template <class T>
struct StringMaker<fieldpost::Result<T>> {
  static std::string convert(const fieldpost::Result<T>& result) {
    return result ? std::string("a value") : "error: " + result.error().message();
  }
};

}  // namespace Catch
