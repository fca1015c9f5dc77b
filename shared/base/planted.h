// Mistakes that can be built in on purpose, one at a time, to prove that the simulator's checkers see them
// (docs/testing.md). Only a build with FIELDPOST_PLANTED has them; in every other `planted` is the constant false
// and the compiler leaves nothing of it.
//
// Thread rule: set before anything else runs.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fieldpost {

enum class Bug : std::uint8_t {
#define FIELDPOST_BUG(name, what) name,
#include "base/planted_bugs.h"
#undef FIELDPOST_BUG
  none
};

struct BugWords {
  std::string_view name;
  std::string_view what;  ///< the mistake, in a few words
};

/// By `Bug`, without `none`.
inline constexpr std::array kBugWords = {
#define FIELDPOST_BUG(name, what) BugWords{#name, what},
#include "base/planted_bugs.h"
#undef FIELDPOST_BUG
};

#ifdef FIELDPOST_PLANTED
inline Bug planted_bug = Bug::none;
inline bool planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace fieldpost
