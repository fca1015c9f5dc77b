#include "storage/hub_values.h"

#include "storage/hub_tables.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

constexpr std::size_t kPositionBytes = 8;
/// The byte that msgpack never uses.
constexpr std::uint8_t kErasedMark = 0xc1;

}  // namespace

void place_stored_record(ValueCodec& codec, const RecordId& id, const PackedValue& canonical,
                         std::uint64_t position, Bytes& stored) {
  codec.place(kRecords, id.view(), Packer().u64(position).bytes(), canonical, stored);
}

Result<Bytes> encode_stored_record(ValueCodec& codec, const model::Record& record,
                                   std::uint64_t position) {
  FP_TRY(const Bytes canonical, wire::encode_record(record));
  Bytes stored;
  place_stored_record(codec, record.id, codec.pack(canonical), position, stored);
  return stored;
}

Result<StoredRecord> decode_stored_record(ValueCodec& codec, const RecordId& id, BytesView value) {
  FP_TRY(const Bytes canonical, stored_state(codec, id, value));
  StoredRecord stored;
  stored.position = Unpacker(value.subspan(ValueCodec::kHeadAt, kPositionBytes)).u64();
  stored.bytes = canonical.size();
  FP_TRY(stored.record, wire::decode_record(canonical));
  return stored;
}

Result<Bytes> stored_state(ValueCodec& codec, const RecordId& id, BytesView value) {
  return codec.decode(kRecords, id.view(), value, kPositionBytes);
}

Bytes encode_log_entry(ValueCodec& codec, BytesView key, Instant received, BytesView frame) {
  return codec.encode(kLog, key, Packer().i64(received.ms).raw(frame).take());
}

Hash chain_next(const Hash& previous, const LogEntry& entry) {
  return entry.erased ? wire::chain_next_hashed(previous, entry.erased->hash)
                      : wire::chain_next(previous, entry.frame);
}

Bytes encode_erased_entry(ValueCodec& codec, BytesView key, Instant received,
                          const ErasedChange& erased) {
  return codec.encode(
      kLog, key,
      Packer().i64(received.ms).u8(kErasedMark).id(erased.hash).i64(erased.at.ms).take());
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
  const BytesView frame = in.rest();
  if (!frame.empty() && frame[0] == kErasedMark) {
    Unpacker left(frame.subspan(1));
    ErasedChange erased;
    erased.hash = left.id<Hash>();
    erased.at = Instant{left.i64()};
    FP_CHECK_OK(left.finish("erased log entry"));
    entry.erased = erased;
    return entry;
  }
  entry.frame = to_bytes(frame);
  if (in.failed()) return fail(Errc::corrupt, "log entry " + to_hex(key) + " is cut short");
  return entry;
}

}  // namespace fieldpost::storage
