// What a backup knows of a hub store's entries: which are heads, whether one decodes, and what of the store's own
// names a restored copy must not keep.
//
// Thread rule: free functions; the codec belongs to the calling thread.
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

/// That the entry can be read by this program under the store's key. Errors: `corrupt`, naming table and key.
Status check_hub_entry(ValueCodec& codec, TableId table, BytesView key, BytesView value);

/// The actor's head, when the entry is one.
Result<std::optional<std::pair<ActorId, Sequence>>> head_in(TableId table, BytesView key,
                                                            BytesView value);

/// Makes a loaded copy a new life of the hub's data: a fresh epoch, no mark of a clean stop, and from when it is.
/// Both stores of a hub get the same epoch.
Status mark_restored(Kv& kv, const Epoch& fresh_epoch, Instant backup_time);
/// From when the backup is that this store was restored from, if it was.
Result<std::optional<Instant>> restored_at(const Kv& kv);

}  // namespace fieldpost::storage
