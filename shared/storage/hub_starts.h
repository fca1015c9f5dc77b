// The lives and starts of a hub's data, so that a hub that was put back or rolled back notices it.
//
// An epoch is one life of the data: it goes on only over a clean stop. A start is one opening for service;
// of each the feed positions that it gave out are remembered. A position that no remembered start gave out is
// of a future that this data has lost.
//
// Thread rule: free functions inside a view or update of the engine.
// Invariants:
//   1. A restored or rolled-back store never opens with the epoch it had: its clean mark is gone with the
//      first commit after the stop it stood for.
//   2. Of a start that was doubted nothing is remembered: none of its positions counts.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"

namespace fieldpost::storage {

/// Starts remembered; a tablet that slept through more is sent everything again.
inline constexpr std::uint64_t kStartsKept = 1024;

/// The epoch that goes on, if the last start stopped cleanly; nothing otherwise.
Result<std::optional<Epoch>> read_clean_epoch(const KvRead& read);
Result<std::optional<Epoch>> read_epoch(const KvRead& read);

/// Opens the store for service: the last start ends where the feeds are now, this one begins.
Status begin_start(KvWrite& write, const HubIdentity& identity);
Status mark_clean_stop(KvWrite& write, const StartId& start);
/// What the running start gave out may be of two pasts: nothing of it counts any more.
Status mark_doubt(KvWrite& write);

/// Up to which position `start` gave out this unit's feed; nothing when it is not remembered. `current` is
/// the start that is open now.
Result<std::optional<std::uint64_t>> read_start_end(const KvRead& read, const StartId& start,
                                                    const StartId& current,
                                                    const std::string& unit);

}  // namespace fieldpost::storage
