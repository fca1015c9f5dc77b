// Where a unit's feed ends, and by which past of the data it came there.
//
// A hub that was put back goes on and gives out the same positions once more, for other things. So a position alone
// does not say what a tablet was given. A mark does: it is made of the mark before it and of all that took a place
// in the feed since. Two pasts of one store that have the same mark at a position had the same feed up to there.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. Whoever gives out a position of a feed does it here, once a commit and unit.
//   2. Each end that a commit left stays known with its mark until the feed is kPlacesMarked further on.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"

namespace fieldpost::storage {

/// Places behind the end of a feed within which marks are kept. A tablet whose cursor names an older one is asked
/// what it holds and sent its unit from the beginning.
inline constexpr std::uint64_t kPlacesMarked = 16'384;

Result<FeedEnd> read_feed_end(const KvRead& read, std::string_view unit);
/// Moves the feed's end from `from`, where it is now, to `position`. `what`: everything by which two pasts differ
/// that took places in between.
Status move_feed_end(KvWrite& write, std::string_view unit, const FeedEnd& from,
                     std::uint64_t position, BytesView what);
/// Whether a commit of this past left the feed at this end.
Result<FeedPast> read_feed_past(const KvRead& read, std::string_view unit, const FeedEnd& end);
/// Gives ends a mark that come from a program without marks: one of their own, as nobody knows their past.
Status mark_old_ends(KvWrite& write, const StartId& start);

}  // namespace fieldpost::storage
