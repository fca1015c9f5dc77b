// What one run of the simulator is: a seed, a size, and which faults may happen.
//
// Thread rule: plain values.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fieldpost::sim {

enum class Fault : std::uint8_t {
  slow_link,           ///< a few hundred bytes a second
  cut,                 ///< at any byte
  half_open,           ///< one side goes on as if the other were there
  late_arrival,        ///< what was sent before a cut arrives beside, or after, the next connection
  long_offline,        ///< days without a network
  tablet_crash,        ///< between two commits
  tablet_sync_failed,  ///< the commit is not there, and the process ends
  tablet_reply_lost,   ///< the commit is there, and the process ends before it knows
  tablet_full,         ///< no room for a while
  tablet_rot,          ///< a stored value is no longer what was written
  tablet_put_back,     ///< its disk as it was days ago
  tablet_tail_lost,    ///< its disk as it was before the last acknowledgements
  tablet_cloned,       ///< both go on
  tablet_clock,        ///< 1970, years ahead, steps back
  tablet_destroyed,    ///< with all that it had not sent
  hub_crash,           ///< between two commits
  hub_sync_failed,     ///< as with the tablet
  hub_reply_lost,      ///< as with the tablet
  hub_full,            ///< no room for a while
  hub_rot,             ///< a stored record is no longer what was written
  hub_restored,        ///< from a backup
  hub_restored_twice,  ///< from the same one
  hub_rolled_back,     ///< under the running process, which notices later
  device_moved,        ///< to another unit, while it works
  newer_forms,         ///< a part of the fleet uses forms that the hub learns of later
  hostile_device,      ///< enrolled, with its key, and speaking as it likes
};
inline constexpr std::size_t kFaults = 26;
inline constexpr std::array<std::string_view, kFaults> kFaultNames = {
    "slow_link",          "cut",
    "half_open",          "late_arrival",
    "long_offline",       "tablet_crash",
    "tablet_sync_failed", "tablet_reply_lost",
    "tablet_full",        "tablet_rot",
    "tablet_put_back",    "tablet_tail_lost",
    "tablet_cloned",      "tablet_clock",
    "tablet_destroyed",   "hub_crash",
    "hub_sync_failed",    "hub_reply_lost",
    "hub_full",           "hub_rot",
    "hub_restored",       "hub_restored_twice",
    "hub_rolled_back",    "device_moved",
    "newer_forms",        "hostile_device"};
inline std::string_view name(Fault fault) { return kFaultNames[static_cast<std::size_t>(fault)]; }
Result<Fault> fault_named(std::string_view name);

struct Options {
  std::uint64_t seed = 1;
  std::size_t tablets = 12;
  std::size_t days = 6;
  /// Days of faults beyond which everything is healed at once; for shrinking.
  std::uint64_t steps_max = ~std::uint64_t{0};
  std::bitset<kFaults> without;
  std::size_t changes_a_day = 24;
  std::size_t sessions_a_day = 6;

  bool allows(Fault fault) const { return !without[static_cast<std::size_t>(fault)]; }
  /// Half of the seeds leave some faults out by themselves: what two faults do together, a third may hide.
  std::bitset<kFaults> left_out_by_seed() const;
  /// The arguments that give this run again.
  std::string words() const;
};

/// Everything that was counted, by name; faults under "fault.".
using Counters = std::map<std::string, std::uint64_t, std::less<>>;

struct Outcome {
  Options options;
  std::optional<std::string> violation;
  std::uint64_t trace = 0;  ///< hash of every event, frame and commit, in order
  std::uint64_t steps = 0;
  Counters counters;
  std::vector<std::string> last_lines;  ///< what happened before the end
};

/// Runs one seed. Nothing of the process but the planted bug, if any, enters into it.
Outcome simulate(const Options& options);

/// The smallest run found that still breaks a rule: fewer faults, tablets, days and steps.
/// `tried` is told of each attempt.
Outcome shrink(Outcome failing, const std::function<void(const Outcome&)>& tried);

}  // namespace fieldpost::sim
