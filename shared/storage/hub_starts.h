// The lives and starts of a hub's data, so that a hub that was put back or rolled back notices it.
//
// An epoch is one life of the data: it goes on only over a clean stop. A start is one opening for service. What
// names a start that is not remembered is of a future that this data has lost. Of two pasts that one start went
// through, because it was put back while it ran, the marks of the feeds tell (hub_feed.h).
//
// Thread rule: free functions inside a view or update of the engine.
// Invariants:
//   1. A restored or rolled-back store never opens with the epoch it had: its clean mark is gone with the
//      first commit after the stop it stood for.
//   2. A start that was doubted does not stop cleanly.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"

namespace fieldpost::storage {

/// Starts remembered; a tablet that slept through more is sent everything again.
inline constexpr std::uint64_t kStartsKept = 1024;

/// The epoch that goes on, if the last start stopped cleanly; nothing otherwise.
Result<std::optional<Epoch>> read_clean_epoch(const KvRead& read);
Result<std::optional<Epoch>> read_epoch(const KvRead& read);

/// Opens the store for service: a start begins.
Status begin_start(KvWrite& write, const HubIdentity& identity);
Status mark_clean_stop(KvWrite& write, const StartId& start);
/// What the running start gave out may be of two pasts: the next one begins another epoch.
Status mark_doubt(KvWrite& write);

/// Whether `start` is one of this data's, as far as they are remembered. `current` is the one that is open now.
Result<bool> knows_start(const KvRead& read, const StartId& start, const StartId& current);

}  // namespace fieldpost::storage
