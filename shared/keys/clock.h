// The clocks, for the programs' roots to inject. Nothing below this row reads one.
//
// Thread rule: safe from any thread.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"

namespace fieldpost::keys {

/// The wall clock, whatever it is set to.
Instant system_now();
/// Milliseconds since boot, time asleep included (CLOCK_BOOTTIME). Never runs backwards.
std::uint64_t monotonic_ms();
/// A number that differs from boot to boot, never 0: a hash of the kernel's boot id.
/// Errors: `io` when the kernel does not say.
Result<std::uint64_t> boot_id();

}  // namespace fieldpost::keys
