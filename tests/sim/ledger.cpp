#include "tests/sim/ledger.h"

#include <algorithm>
#include <charconv>

namespace fieldpost::sim {

WordId Ledger::next(const RecordId& record, std::string path, std::string unit, std::size_t maker,
                    const std::vector<WordId>& visible) {
  Word word{record, std::move(path), std::move(unit), {}, maker, false};
  for (const WordId before : visible) {
    word.seen.push_back(before);
    const auto& earlier = words_[before].seen;
    word.seen.insert(word.seen.end(), earlier.begin(), earlier.end());
  }
  std::sort(word.seen.begin(), word.seen.end());
  word.seen.erase(std::unique(word.seen.begin(), word.seen.end()), word.seen.end());
  words_.push_back(std::move(word));
  return static_cast<WordId>(words_.size() - 1);
}

std::optional<WordId> Ledger::word_in(std::string_view text) const {
  if (text.size() < 3 || text.front() != 'w') return std::nullopt;
  WordId id = 0;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), id);
  if (error != std::errc{} || end == text.data() + text.size() || *end != '.') return std::nullopt;
  return id < words_.size() ? std::optional(id) : std::nullopt;
}

std::optional<WordId> Ledger::word_in(const model::Value& value) const {
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr ? std::nullopt : word_in(std::string_view(*text));
}

std::vector<WordId> Ledger::visible(const model::Record& record, std::string_view path) const {
  std::vector<WordId> words;
  for (const model::Sibling& sibling : model::siblings(record, path)) {
    if (const auto word = word_in(*sibling.value)) words.push_back(*word);
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

std::vector<WordId> Ledger::remaining(const std::vector<WordId>& merged) const {
  std::set<WordId> left(merged.begin(), merged.end());
  for (const WordId word : merged) {
    for (const WordId seen : words_[word].seen) left.erase(seen);
  }
  return {left.begin(), left.end()};
}

std::vector<bool> Ledger::acked() const {
  std::vector<bool> all;
  all.reserve(words_.size());
  for (const Word& word : words_) all.push_back(word.acked);
  return all;
}

void Ledger::forget_acked_since(const std::vector<bool>& then) {
  for (std::size_t i = 0; i < words_.size(); ++i)
    words_[i].acked = words_[i].acked && i < then.size() && then[i];
}

}  // namespace fieldpost::sim
