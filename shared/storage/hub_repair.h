// Damaged values of a hub's store: found while reading through, rebuilt from the log where it says what they
// said, set aside, told.
//
// Thread rule: free functions; the codec belongs to the calling thread. What takes a KvWrite runs inside an
// update, on the writer's thread.
// Invariants:
//   1. A record is what its changes give: a damaged one is rebuilt from the log, to the same bytes.
//   2. One whose log is damaged, too, is not rebuilt from what is left of it: a state with less in it than
//      was acknowledged must not pass for the record.
//   3. The bytes found in a damaged value's place are kept in the damaged table before anything takes
//      their place. A damaged log entry stays where it is.
#pragma once

#include "storage/hub_store.h"
#include "storage/hub_values.h"
#include "storage/kv.h"

namespace fieldpost::storage {

/// What the changes as received give, those set aside (quarantined, refused) left out.
/// Errors: `corrupt` when one of them cannot be read, `not_found` when there are none.
Result<model::Record> replay_record(const KvRead& read, ValueCodec& codec, const RecordId& id);

/// The record as it is stored in `value` or, if that is damaged, as its log gives it.
/// Errors: `corrupt` when neither can be read.
Result<StoredRecord> sound_record(const KvRead& read, ValueCodec& codec, const RecordId& id,
                                  BytesView value);

/// The same for the writer, who will write it anew: what was there is kept, and noted as mended.
Result<StoredRecord> mend_record(KvWrite& write, ValueCodec& codec, const RecordId& id,
                                 BytesView value, std::optional<Instant> now);

/// Where the feed of `unit` has the record: its stored value's own word for it, if the feed agrees, else what the
/// feed says.
Result<std::uint64_t> feed_place(const KvRead& read, const RecordId& record,
                                 const std::string& unit, BytesView value);

/// What was kept of a damaged value goes.
Status forget_damage(KvWrite& write, HubDamage::Kind kind, BytesView key);

/// Mends what a page of scrubbing found damaged, and notes what cannot be mended.
Result<RepairReport> repair_values(KvWrite& write, ValueCodec& codec,
                                   const std::vector<StoredPlace>& places, Instant now);

Result<ScrubPage> scrub_values(const KvRead& read, ValueCodec& codec, const StoredPlace& from,
                               std::size_t bytes_max);

Result<std::vector<HubDamage>> read_damages(const KvRead& read);

}  // namespace fieldpost::storage
