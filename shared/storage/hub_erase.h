// Erasing a record from a hub's store: its content goes, what proves the history stays.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. One record, one commit: its state, its changes in the log, what was recovered or damaged of it, its
//      exceptions. A log entry becomes receipt time and change hash, so that every chain still verifies.
//   2. The id is on the list in the same commit, with a place in its unit's feed: tablets hear of it there.
//   3. What becomes of the list and of holds is noted for the ledger beside the backups in the same commit.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// Nothing when it was not erased.
Result<std::optional<ErasedRecord>> read_erased(const KvRead& read, ValueCodec& codec,
                                                const RecordId& id);
Bytes pack_erased(const ErasedRecord& erased);
Result<ErasedRecord> unpack_erased(BytesView bytes);

/// Errors: `not_found`; the store's.
Result<RetentionFacts> retention_facts(const KvRead& read, ValueCodec& codec, const RecordId& id,
                                       const KeptByHold& kept);

/// The next `limit` records after `after`, as far as a rule is for their type.
Result<RetentionPage> retention_page(const KvRead& read, ValueCodec& codec, const RecordId& after,
                                     std::size_t limit, const RetentionRules& rules,
                                     const KeptByHold& kept);

/// Judges the record once more and erases it if it is due.
Result<Keeps> erase_if_due(KvWrite& write, ValueCodec& codec, const RecordId& id,
                           const ErasureOrder& order, const KeptByHold& kept,
                           ErasureReport& report);

/// Unconditionally; also of a record that is not here (any more), so that it cannot come. `what` says why, and what
/// is known of it otherwise; answers the list's entry. `changes`: how many in the log lost their content.
Result<ErasedRecord> erase_record(KvWrite& write, ValueCodec& codec, const ErasedRecord& what,
                                  std::uint64_t& changes);
/// Of one change in the log nothing but receipt time and hash is left. False when it cannot be read.
Result<bool> erase_log_entry(KvWrite& write, ValueCodec& codec, BytesView dot, Instant at);

}  // namespace fieldpost::storage
