#include "tests/sim/options.h"

namespace fieldpost::sim {

namespace {

class Shrinker {
 public:
  Shrinker(Outcome failing, const std::function<void(const Outcome&)>& tried)
      : best_(std::move(failing)), tried_(tried) {}

  Outcome run() {
    faults();
    while (best_.options.days > 1 && with([](Options& o) { --o.days; })) {
    }
    for (std::size_t step = best_.options.tablets / 2; step > 0; step /= 2) {
      while (best_.options.tablets > 1 + step && with([&](Options& o) { o.tablets -= step; })) {
      }
    }
    faults();
    std::uint64_t low = 0;
    std::uint64_t high = best_.steps;
    // Not every prefix of a failing run fails: what is found is small, not smallest.
    while (low + 1 < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (with([&](Options& o) { o.steps_max = middle; }))
        high = middle;
      else
        low = middle;
    }
    faults();
    return std::move(best_);
  }

 private:
  void faults() {
    for (std::size_t fault = 0; fault < kFaults; ++fault) {
      if (!best_.options.without[fault]) with([&](Options& o) { o.without.set(fault); });
    }
  }

  template <class Change>
  bool with(const Change& change) {
    Options options = best_.options;
    change(options);
    Outcome outcome = simulate(options);
    tried_(outcome);
    if (!outcome.violation) return false;
    best_ = std::move(outcome);
    return true;
  }

  Outcome best_;
  const std::function<void(const Outcome&)>& tried_;
};

}  // namespace

Outcome shrink(Outcome failing, const std::function<void(const Outcome&)>& tried) {
  return Shrinker(std::move(failing), tried).run();
}

}  // namespace fieldpost::sim
