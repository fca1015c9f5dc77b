// The subset of regular expressions that schemas/README.md allows, as a small matcher of our own:
// std::regex is slow, recurses once a character and throws.
//
// Thread rule: immutable after compile; matching is pure.
// Invariants:
//   1. Both ends are anchored; only ASCII classes and literals, groups, '|' in groups, '?' and {m,n}.
//   2. Matching neither allocates nor throws, and does at most kStepsMax steps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fieldpost::schema {

class Pattern {
 public:
  /// Errors: `unsupported`, with what in the pattern is outside the subset.
  static Result<Pattern> compile(std::string_view source);
  bool matches(std::string_view text) const;
  /// The length of what matches, in bytes, when a pattern without groups has only one.
  std::optional<std::size_t> fixed_length() const;
  const std::string& source() const { return source_; }

 private:
  friend class PatternCompiler;
  enum class Op : std::uint8_t { run, split, jump, match };
  struct Instruction {
    Op op = Op::match;
    std::uint16_t set = 0;   ///< of run
    std::uint16_t low = 1;   ///< of run: how many; of split: the preferred target
    std::uint16_t high = 1;  ///< of run: at most; of split: the other target; of jump: the target
  };
  using Set = std::array<bool, 128>;

  bool run(std::size_t pc, std::size_t at, std::string_view text, std::uint32_t& steps) const;

  std::string source_;
  std::vector<Set> sets_;
  std::vector<Instruction> program_;
};

}  // namespace fieldpost::schema
