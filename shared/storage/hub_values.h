// The two large values of the hub's tables: record states and log entries.
//
// Thread rule: free functions; the codec belongs to the calling thread.
#pragma once

#include "storage/hub_store.h"
#include "storage/value_codec.h"

namespace fieldpost::storage {

struct StoredRecord {
  std::uint64_t position = 0;
  model::Record record;
  std::size_t bytes = 0;  ///< of its canonical state
};

/// A stored state is its position, in clear so that `place` can add it last, and the canonical bytes.
void place_stored_record(ValueCodec& codec, const RecordId& id, const PackedValue& canonical,
                         std::uint64_t position, Bytes& stored);
Result<Bytes> encode_stored_record(ValueCodec& codec, const model::Record& record,
                                   std::uint64_t position);
Result<StoredRecord> decode_stored_record(ValueCodec& codec, const RecordId& id, BytesView value);
/// Only the canonical state, for a feed that hands it on as it is.
Result<Bytes> stored_state(ValueCodec& codec, const RecordId& id, BytesView value);
/// `key` is actor ‖ counter.
Bytes encode_log_entry(ValueCodec& codec, BytesView key, Instant received, BytesView frame);
/// What is left of a change whose record was erased: 0xc1, with which no frame begins, in the frame's place.
Bytes encode_erased_entry(ValueCodec& codec, BytesView key, Instant received,
                          const ErasedChange& erased);
/// h(n) from h(n − 1), whether the change is there or only its hash.
Hash chain_next(const Hash& previous, const LogEntry& entry);
Result<LogEntry> decode_log_entry(ValueCodec& codec, BytesView key, BytesView value);

}  // namespace fieldpost::storage
