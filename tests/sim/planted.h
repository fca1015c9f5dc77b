// Runs the simulator against each planted mistake (base/planted.h) until one of its checks sees it.
#pragma once

#include <string>

#include "tests/sim/options.h"

namespace fieldpost::sim {

/// Each mistake on seeds from `options.seed` on, at most `seeds` of them, `jobs` mistakes at a time. `only`: one
/// mistake by its name; all when empty. Prints a line for each. Returns 0 when every one was caught, 1 when not,
/// 2 when this build has none or there is none of that name.
int run_planted(const Options& options, std::uint64_t seeds, std::size_t jobs,
                const std::string& only);

}  // namespace fieldpost::sim
