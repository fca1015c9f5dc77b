// Memory that runs out at a chosen allocation: operator new is replaced in the program that links memory.cpp.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>

namespace fieldpost::crash {

/// Allocations from now on are counted from 1, and the one of this number fails; 0: none does.
void fail_allocation(std::uint64_t number);
/// How many there were since.
std::uint64_t allocations();
/// Pieces of memory taken and not given back.
std::int64_t live_allocations();

}  // namespace fieldpost::crash
