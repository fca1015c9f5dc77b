#include "agent/store/making_room.h"

namespace fieldpost::agent {

namespace {

constexpr std::int64_t kDayMs = 24 * 60 * 60 * 1000;

}  // namespace

Result<std::uint64_t> MakingRoom::pass(storage::AgentStore& store, Instant hub_now,
                                       std::uint64_t monotonic_ms) {
  if (monotonic_ms < next_ms_) return std::uint64_t{0};
  // Also after a failure: whatever is wrong is not mended by trying every minute.
  next_ms_ = monotonic_ms + static_cast<std::uint64_t>(kDayMs);
  FP_TRY(const auto done, store.purge(Instant{hub_now.ms - keep_days_ * kDayMs}, kPassEntries));
  if (done.more) next_ms_ = monotonic_ms;
  return done.entries;
}

std::uint64_t removed_entries(const storage::AgentState& state) {
  std::uint64_t removed = 0;
  for (const storage::OwnActor& own : state.actors) removed += own.purged_to.value;
  return removed;
}

}  // namespace fieldpost::agent
