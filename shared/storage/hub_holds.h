// Legal holds in the hub's tables, and what they keep.
//
// Thread rule: free functions inside a view or update of the engine; writing ones on the writer thread.
// Invariants:
//   1. A hold is never removed: lifting it adds who, when and why.
//   2. A hold that cannot be read, or a record on hold that cannot, is an error and not a hold less: nothing may
//      be erased then.
#pragma once

#include "storage/kv.h"
#include "storage/retention.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// All, lifted ones too, by id.
Result<std::vector<LegalHold>> read_holds(const KvRead& read, ValueCodec& codec);
/// Errors: `not_found` when the record is not here, `conflict` when it was erased, `already_exists` for the id.
Status add_hold(KvWrite& write, ValueCodec& codec, const LegalHold& hold);
/// Errors: `not_found`, `conflict` when it is lifted already.
Result<LegalHold> lift_hold(KvWrite& write, ValueCodec& codec, const HoldId& id,
                            const LegalHold::Lift& lift);
/// Takes in what another copy of the list says: a hold not known here, or that one was lifted. True when new.
Result<bool> merge_hold(KvWrite& write, ValueCodec& codec, const LegalHold& hold);

/// Every record that a hold keeps now: those on hold and, through `references`, all they lead to.
/// Errors: `corrupt` when a hold or a record that one keeps cannot be read.
Result<KeptByHold> kept_by_holds(const KvRead& read, ValueCodec& codec,
                                 const References& references);

Bytes pack_hold(const LegalHold& hold);
Result<LegalHold> unpack_hold(BytesView bytes);

}  // namespace fieldpost::storage
