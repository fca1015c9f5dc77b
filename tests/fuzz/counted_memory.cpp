#include "tests/fuzz/counted_memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local bool counting = false;
thread_local fieldpost::test::Memory counted;

void* allocate(std::size_t size) {
  if (counting) {
    counted.largest = std::max(counted.largest, size);
    counted.total += size;
  }
  void* memory = std::malloc(std::max<std::size_t>(size, 1));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace fieldpost::test {

CountedMemory::CountedMemory() {
  counted = {};
  counting = true;
}
CountedMemory::~CountedMemory() { counting = false; }
Memory CountedMemory::so_far() const { return counted; }

}  // namespace fieldpost::test
