// Fuzz targets: what the libFuzzer programs and the replay of their corpora share.
//
// A program holds the targets of one part of the tree; FIELDPOST_FUZZ_TARGET names the one that runs.
//
// Thread rule: one thread.
// Invariants:
//   1. A target is a pure function of its input: what it keeps from run to run (stores, registries) is
//      made anew or cannot be told from new.
//   2. Every input has its own allocation of exactly its size, so that a read past its end is seen.
//   3. What does not hold aborts, with the sentence that says what should have held.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace fieldpost::fuzz {

struct Target {
  std::string name;
  std::function<void(BytesView input)> run;
  /// Inputs to begin with, from production encoders and fixed seeds.
  std::function<std::vector<Bytes>()> seeds;
  /// Longest input worth trying, in bytes.
  std::size_t bytes_max = 512;
  /// No single allocation may be larger: what an input claims must not be believed.
  std::size_t allocation_mb_max = 8;
  /// So many inputs beside each one of the fuzzer's, made from it by one small damage each: a decoder that
  /// answers within a microsecond would wait for its fuzzer most of the time.
  std::size_t derived = 0;
};

/// The input, then those derived from it.
void run(const Target& target, BytesView input);

/// The targets of this program; each part defines it once.
std::vector<Target> targets();

/// Ends the program when a property does not hold. `should` says what should have held.
inline void require(bool holds, const char* should) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", should);
  std::abort();
}

/// An error is typed and says what is wrong in a short sentence without control characters.
void require_plain(const Error& error);
/// A decoder's error is one of malformed, too_large and unsupported.
void require_refusal(const Error& error);

/// Takes an input apart: numbers first, whatever is left last. Zeros once nothing is left.
class Input {
 public:
  explicit Input(BytesView bytes) : rest_(bytes) {}
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | byte();
    return value;
  }
  /// Below `bound`, which is above 0.
  std::size_t below(std::size_t bound) {
    return static_cast<std::size_t>(number(bound <= 256 ? 1 : 4) % bound);
  }
  BytesView take(std::size_t size) {
    const BytesView taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  BytesView rest() { return take(rest_.size()); }
  bool empty() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  BytesView rest_;
};

inline Bytes bytes_of(std::string_view text) { return to_bytes(as_bytes(text)); }

}  // namespace fieldpost::fuzz
