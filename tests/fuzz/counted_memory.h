// How much a piece of code allocates: the test program's operator new counts (counted_memory.cpp).
//
// Thread rule: counts what the thread that began the count allocates.
#pragma once

#include <cstddef>

namespace fieldpost::test {

struct Memory {
  std::size_t largest = 0;  ///< bytes of the largest single allocation
  std::size_t total = 0;    ///< bytes of all of them together
};

/// Counts from its making to its end; one at a time.
class CountedMemory {
 public:
  CountedMemory();
  ~CountedMemory();
  CountedMemory(const CountedMemory&) = delete;
  CountedMemory& operator=(const CountedMemory&) = delete;
  Memory so_far() const;
};

}  // namespace fieldpost::test
