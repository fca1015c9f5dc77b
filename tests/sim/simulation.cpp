#include <algorithm>

#include "tests/sim/sim.h"

namespace fieldpost::sim {

namespace {

constexpr std::size_t kLinesKept = 60;

std::uint64_t spread(std::uint64_t seed, std::uint64_t stream) {
  return Dice(seed * 1'000'003 + stream).next();
}

}  // namespace

Result<Fault> fault_named(std::string_view name) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (kFaultNames[i] == name) return static_cast<Fault>(i);
  }
  std::string all;
  for (const std::string_view known : kFaultNames) all += " " + std::string(known);
  return fail(Errc::invalid_argument,
              "no fault is called " + std::string(name) + "; there are:" + all);
}

std::string Options::words() const {
  std::string words = "--start " + std::to_string(seed) + " --seeds 1 --tablets " +
                      std::to_string(tablets) + " --days " + std::to_string(days);
  if (steps_max != ~std::uint64_t{0}) words += " --steps " + std::to_string(steps_max);
  std::string left_out;
  for (std::size_t i = 0; i < kFaults; ++i) {
    if (without[i]) left_out += (left_out.empty() ? "" : ",") + std::string(kFaultNames[i]);
  }
  if (!left_out.empty()) words += " --without " + left_out;
  return words;
}

std::bitset<kFaults> Options::left_out_by_seed() const {
  std::bitset<kFaults> out;
  Dice dice(spread(seed, 4));
  if (dice.one_in(2)) return out;
  for (std::size_t i = 0; i < kFaults; ++i) out[i] = dice.one_in(3);
  return out;
}

Simulation::Simulation(const Options& options)
    : asked_(options),
      options_(options),
      world_(options.seed, SyncWorld::Stored::sealed),
      timeline_(world_.now().wall),
      people_(spread(options.seed, 1)),
      network_(spread(options.seed, 2)),
      operator_(spread(options.seed, 3)) {
  options_.without |= options.left_out_by_seed();
  for (std::size_t i = 0; i < kFaults; ++i)
    fault_dice_[i] = std::make_unique<Dice>(spread(options.seed, 100 + i));
  world_.count_traffic = false;
  world_.tap = [this](Connection& connection, bool up, BytesView frame) {
    tapped(connection, up, frame);
  };
  world_.check = [this](const model::Change& change) { return form_check(change); };
}

Outcome Simulation::run() {
  Outcome outcome;
  outcome.options = asked_;
  try {
    enrol_fleet();
    for (std::size_t day = 0; day < options_.days; ++day) {
      timeline_.after(day * kDay, [this, day] {
        plan_day(day);
        plan_faults(day);
      });
    }
    const Instant end = later(options_.days * kDay);
    while (timeline_.steps() < options_.steps_max) {
      const Instant next = timeline_.next(end);
      if (next == end) break;
      world_.pass_until(next);
      timeline_.step();
      tend();
    }
    heal();
    check_everything();
  } catch (const std::exception& broken) {
    outcome.violation = broken.what();
  }
  outcome.trace = trace_;
  outcome.steps = timeline_.steps();
  outcome.counters = counters_;
  outcome.last_lines.assign(last_lines_.begin(), last_lines_.end());
  return outcome;
}

void Simulation::happened(std::string_view what, std::uint64_t a, std::uint64_t b) {
  const auto mix = [this](std::uint64_t value) {
    for (int i = 0; i < 8; ++i)
      trace_ = (trace_ ^ ((value >> (8 * i)) & 0xff)) * 1'099'511'628'211ULL;
  };
  for (const char c : what) trace_ = (trace_ ^ static_cast<std::uint8_t>(c)) * 1'099'511'628'211ULL;
  mix(static_cast<std::uint64_t>(now().ms));
  mix(a);
  mix(b);
  last_lines_.push_back(to_text(now()) + "  " + std::string(what) + " " + std::to_string(a) + " " +
                        std::to_string(b));
  if (last_lines_.size() > kLinesKept) last_lines_.pop_front();
}

void Simulation::count(std::string_view what, std::uint64_t n) {
  const auto found = counters_.find(what);
  if (found == counters_.end())
    counters_.emplace(what, n);
  else
    found->second += n;
}

Outcome simulate(const Options& options) { return Simulation(options).run(); }

}  // namespace fieldpost::sim
