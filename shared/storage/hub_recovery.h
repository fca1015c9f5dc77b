// What a restored or rolled-back hub has lost and tablets still hold: kept, decided on, joined.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. A staged state is kept (hub_staging.h) until somebody decides; a refused one is kept for good.
//      Staging takes a place in the unit's feed, without an entry: a store put back to before it is told from
//      this one by the tablet's next cursor.
//   2. Nothing that this store was told otherwise is overwritten: values under a dot whose signed change says
//      something else come in as the hub's own change beside it.
//   3. What was joined is remembered, so that `verify` can tell it from what authors signed.
#pragma once

#include "storage/hub_apply.h"

namespace fieldpost::storage {

/// The rule under which a signed change is set aside that says otherwise than what had been recovered.
inline constexpr const char* kDiffersRule = "recovered_differs";

/// On whose chain the hub's own changes go.
struct OwnChain {
  HubId hub;
  ActorId actor;
  const HubStore::SignHead& sign;
};

/// Whether `state` says something that the store lacks. Errors: the store's.
Result<bool> store_lacks(const KvRead& read, ValueCodec& codec, const model::Record& state);
Status recover_record(KvWrite& write, HubApply& run, ValueCodec& codec,
                      const HubStore::RecoveryInput& input, const OwnChain& chain);

/// Whether a change that the record knows already, by recovery, says otherwise than what was recovered, or was
/// never part of it.
Result<bool> differs_from_recovered(const KvRead& read, ValueCodec& codec,
                                    const model::Record& record, const model::Change& change);
/// An operator's ruling on such a change: accepted, its values come in beside the recovered ones; rejected,
/// they stay in the log.
Status settle_differing(KvWrite& write, HubApply& run, ValueCodec& codec,
                        const model::Change& change, const HubStore::RulingInput& input,
                        const OwnChain& chain);

/// Whether a change (actor ‖ counter) was refused: never applied, whatever comes.
Result<bool> was_refused(const KvRead& read, BytesView dot);
/// Refused changes that the author of `change` had seen, on its own tablet, count as known from here on, without
/// what they said; but only if then nothing else of its context is missing. True when the vector moved.
Result<bool> pass_over_refused(const KvRead& read, model::Record& record,
                               const model::Change& change);

Result<StagedState> unpack_staged(ValueCodec& codec, BytesView key, BytesView value);
Result<std::vector<RecoveredEntry>> read_recovered(const KvRead& read, ValueCodec& codec,
                                                   const RecordId& id);

}  // namespace fieldpost::storage
