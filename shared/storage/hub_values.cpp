#include "storage/hub_values.h"

#include "storage/hub_tables.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

Result<Bytes> encode_stored_record(ValueCodec& codec, const model::Record& record,
                                   std::uint64_t position) {
  FP_TRY(const Bytes canonical, wire::encode_record(record));
  return codec.encode(kRecords, record.id.view(), Packer().u64(position).raw(canonical).bytes());
}

Result<StoredRecord> decode_stored_record(ValueCodec& codec, const RecordId& id, BytesView value) {
  FP_TRY(const Bytes plain, codec.decode(kRecords, id.view(), value));
  Unpacker in(plain);
  StoredRecord stored;
  stored.position = in.u64();
  FP_TRY(stored.record, wire::decode_record(in.rest()));
  return stored;
}

Result<Bytes> stored_state(ValueCodec& codec, const RecordId& id, BytesView value) {
  FP_TRY(Bytes plain, codec.decode(kRecords, id.view(), value));
  if (plain.size() < 8) return fail(Errc::corrupt, "record " + to_text(id) + " is cut short");
  plain.erase(plain.begin(), plain.begin() + 8);
  return plain;
}

Result<LogEntry> decode_log_entry(ValueCodec& codec, BytesView key, BytesView value) {
  FP_TRY(const Bytes plain, codec.decode(kLog, key, value));
  Unpacker dot(key);
  LogEntry entry;
  entry.actor = dot.actor();
  entry.counter = dot.seq();
  FP_CHECK_OK(dot.finish("log key"));
  Unpacker in(plain);
  entry.received = Instant{in.i64()};
  entry.frame = to_bytes(in.rest());
  if (in.failed()) return fail(Errc::corrupt, "log entry " + to_hex(key) + " is cut short");
  return entry;
}

}  // namespace fieldpost::storage
