// The waits between two attempts: bounds, growth, jitter, and what a hub asks for.
#include "sync/backoff.h"

#include <set>

#include "tests/support/catch.h"

using namespace fieldpost;
using sync::Backoff;

namespace {

/// Randomness that always says the same number.
RandomSource always(std::uint64_t value) {
  return [value](std::span<std::uint8_t> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(i < 8 ? value >> (8 * i) : 0);
  };
}

RandomSource counting(std::uint64_t& next) {
  return [&next](std::span<std::uint8_t> bytes) {
    const std::uint64_t value = next++;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<std::uint8_t>(i < 8 ? value >> (8 * i) : 0);
  };
}

}  // namespace

TEST_CASE("a wait lies between half the ceiling and the ceiling, which doubles up to two minutes") {
  for (const std::uint64_t value : {0ULL, 1ULL, 499ULL, 500ULL, 501ULL, 12'345'678ULL, ~0ULL}) {
    Backoff backoff;
    std::uint32_t ceiling = Backoff::kFirstMs;
    for (int attempt = 0; attempt < 40; ++attempt) {
      const std::uint32_t wait_ms = backoff.next_ms(always(value));
      CHECK(wait_ms >= ceiling / 2);
      CHECK(wait_ms <= ceiling);
      ceiling = std::min(Backoff::kMaxMs, ceiling * 2);
    }
    CHECK(ceiling == Backoff::kMaxMs);
  }
}

TEST_CASE("both ends of the range are drawn, and tablets that fail together return apart") {
  CHECK(Backoff().next_ms(always(0)) == 500);
  CHECK(Backoff().next_ms(always(500)) == 1'000);
  CHECK(Backoff().next_ms(always(501)) == 500);
  std::uint64_t next = 0;
  const RandomSource random = counting(next);
  std::set<std::uint32_t> waits;
  for (int tablet = 0; tablet < 501; ++tablet) waits.insert(Backoff().next_ms(random));
  CHECK(waits.size() == 501);  // each of 500 … 1,000 ms once
}

TEST_CASE("only success brings the first wait back") {
  Backoff backoff;
  for (int attempt = 0; attempt < 10; ++attempt) backoff.next_ms(always(0));
  CHECK(backoff.next_ms(always(0)) == Backoff::kMaxMs / 2);
  CHECK(backoff.next_ms(always(0)) == Backoff::kMaxMs / 2);
  backoff.succeeded();
  CHECK(backoff.next_ms(always(0)) == Backoff::kFirstMs / 2);
  CHECK(backoff.next_ms(always(0)) == Backoff::kFirstMs);
}

TEST_CASE("what a busy hub asks for is waited, with jitter, and never for a day") {
  CHECK(Backoff().next_ms(always(0), 5'000) == 5'000);
  CHECK(Backoff().next_ms(always(2'500), 5'000) == 7'500);
  CHECK(Backoff().next_ms(always(2'501), 5'000) == 5'000);
  CHECK(Backoff().next_ms(always(0), 1) == 500);  // less than its own wait: its own
  CHECK(Backoff().next_ms(always(0), 0xFFFF'FFFF) == limits::kRetryAfterMaxMs);
  Backoff tired;
  for (int attempt = 0; attempt < 10; ++attempt) tired.next_ms(always(0));
  CHECK(tired.next_ms(always(0), 5'000) == Backoff::kMaxMs / 2);
  Backoff asked;
  asked.next_ms(always(0), 5'000);
  CHECK(asked.next_ms(always(0)) == Backoff::kFirstMs);  // and it counts as a failure
}
