// What people wrote, kept apart from everything under test: the measure of what the hub must have in the end.
//
// It knows nothing of dots, vectors, chains or cursors. Each value that somebody enters is a word of its own, and
// with it the words that stood in the field when the form was opened, and those that stood there before them.
//
// Thread rule: one thread.
// Invariants:
//   1. A word's `seen` is closed: what a seen word had seen is in it.
//   2. Of a field, those words must remain that are merged and that no merged word has seen.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model/record.h"

namespace fieldpost::sim {

using WordId = std::uint32_t;

struct Word {
  RecordId record;
  std::string path;
  std::string unit;
  std::vector<WordId> seen;  ///< sorted
  std::size_t maker = 0;     ///< index of the tablet; the hub's operator is ~0
  bool acked = false;  ///< the hub said that it has it, and has not been put back behind that since
  bool rejected = false;  ///< the operator would not have it
};

class Ledger {
 public:
  static constexpr std::size_t kOperator = ~std::size_t{0};

  /// The next word; `visible` are those that its author saw in the field.
  WordId next(const RecordId& record, std::string path, std::string unit, std::size_t maker,
              const std::vector<WordId>& visible);
  /// Takes back the newest word: it was never stored.
  void take_back() { words_.pop_back(); }

  static std::string text(WordId id) { return "w" + std::to_string(id) + "."; }
  /// The word that a text begins with, if it is one of this ledger.
  std::optional<WordId> word_in(std::string_view text) const;
  std::optional<WordId> word_in(const model::Value& value) const;
  /// The words in a field of a record as it is stored somewhere.
  std::vector<WordId> visible(const model::Record& record, std::string_view path) const;

  Word& at(WordId id) { return words_[id]; }
  const Word& at(WordId id) const { return words_[id]; }
  std::size_t size() const { return words_.size(); }

  /// Invariant 2, for the words of one field of one record. Sorted.
  std::vector<WordId> remaining(const std::vector<WordId>& merged) const;

  std::vector<bool> acked() const;
  /// As it was when the hub's disk was copied.
  void forget_acked_since(const std::vector<bool>& then);

 private:
  std::vector<Word> words_;
};

}  // namespace fieldpost::sim
