// Who may write what: by the grants of now, and by those that a device could still believe in.
#include <algorithm>

#include "base/planted.h"
#include "storage/hub_apply.h"

namespace fieldpost::storage {

HubApply::Authority HubApply::may_write(const IncomingBatch& batch, const std::string& unit,
                                        std::uint64_t named) const {
  if (std::binary_search(batch.granted.begin(), batch.granted.end(), unit) ||
      planted(Bug::unit_not_checked))
    return Authority::granted;
  // Of a past that this hub has lost: it cannot know what that welcome granted.
  for (const LostWelcomes& lost : batch.lost) {
    if (named > lost.above && named < lost.below)
      return planted(Bug::lost_welcome_refused) ? Authority::none : Authority::doubtful;
  }
  if (planted(Bug::former_grant_ignored)) return Authority::none;
  const auto held_at = [&](std::uint64_t welcome) {
    return std::any_of(batch.former.begin(), batch.former.end(), [&](const FormerGrant& former) {
      return former.unit == unit && former.until_welcome >= welcome;
    });
  };
  if (held_at(std::max(welcome_, born_))) return Authority::granted;
  // A chain that began after its device knew, and names what came before: honest only of another copy of it.
  return held_at(welcome_) ? Authority::doubtful : Authority::none;
}

}  // namespace fieldpost::storage
