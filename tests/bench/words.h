// Word lists that the workload draws from: one for measuring, another for training the dictionary, so that
// what is measured was never seen by what compresses it.
//
// Thread rule: constants.
// Invariants:
//   1. No name, note or remark stands in both lists.
#pragma once

#include <span>

namespace fieldpost::bench {

/// A name in Khmer letters and as it is written in Latin ones.
struct Name {
  const char* km;
  const char* latin;
};

struct Words {
  std::span<const Name> families;
  std::span<const Name> given;
  std::span<const char* const> grounds;  ///< first halves of a reason to search
  std::span<const char* const> remarks;  ///< second halves
  std::span<const char* const> colours;
  std::span<const char* const> packagings;
  std::span<const char* const> logos;
  std::span<const char* const> substances;
  std::span<const char* const> places;  ///< commune codes
};

const Words& measuring_words();
const Words& training_words();

}  // namespace fieldpost::bench
