// Stops as a checkpoint records them, with realistic entropy: what sizes and speeds are measured with.
#pragma once

#include <random>

#include "model/change.h"

namespace fieldpost::test {

/// The n-th stop (from 1) of one tablet's day; every call draws anew.
class StopDay {
 public:
  explicit StopDay(std::uint64_t seed) : engine_(seed) {}
  model::Change next();

 private:
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  std::string pick(std::initializer_list<const char*> from) {
    return *(from.begin() + below(from.size()));
  }
  std::string digits(std::size_t count);
  std::string item_id();
  void add_person(std::vector<model::FieldValue>& edits);

  std::mt19937_64 engine_;
  std::uint64_t counter_ = 0;
  std::int64_t now_ms_ = 1772323200000;
};

}  // namespace fieldpost::test
