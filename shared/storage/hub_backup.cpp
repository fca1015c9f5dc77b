#include "storage/hub_backup.h"

#include "storage/hub_tables.h"
#include "storage/hub_values.h"

namespace fieldpost::storage {

using namespace hub_tables;

Status check_hub_entry(ValueCodec& codec, TableId table, BytesView key, BytesView value) {
  switch (table) {
    case kRecords: {
      FP_TRY(const RecordId id, RecordId::from(key));
      FP_CHECK_OK(decode_stored_record(codec, id, value));
      return {};
    }
    case kLog:
      FP_CHECK_OK(decode_log_entry(codec, key, value));
      return {};
    case kActors:
      FP_CHECK_OK(unpack_actor(value));
      return {};
    case kBatches:
      FP_CHECK_OK(unpack_batch(value));
      return {};
    case kExceptions:
      FP_CHECK_OK(unpack_stored_exception(value));
      return {};
    case kUnits:
      FP_CHECK_OK(unpack_unit(value));
      return {};
    case kDevices:
      FP_CHECK_OK(unpack_device(value));
      return {};
    default:
      return {};
  }
}

Result<std::optional<std::pair<ActorId, Sequence>>> head_in(TableId table, BytesView key,
                                                            BytesView value) {
  std::optional<std::pair<ActorId, Sequence>> found;
  if (table != kActors) return found;
  Unpacker name(key);
  const ActorId actor = name.actor();
  FP_CHECK_OK(name.finish("actor's key"));
  FP_TRY(const ActorHeadState state, unpack_actor(value));
  found.emplace(actor, state.head);
  return found;
}

Status mark_restored(Kv& kv, const Epoch& fresh_epoch, Instant backup_time) {
  return kv.update([&](KvWrite& write) -> Status {
    FP_CHECK_OK(write.erase(kMeta, as_bytes(kMetaCleanStop)));
    FP_CHECK_OK(write.put(kMeta, as_bytes(kMetaEpoch), fresh_epoch.view()));
    return write.put(kMeta, as_bytes(kMetaRestoredAt), Packer().i64(backup_time.ms).bytes());
  });
}

Result<std::optional<Instant>> restored_at(const Kv& kv) {
  std::optional<Instant> found;
  FP_CHECK_OK(kv.view([&](const KvRead& read) -> Status {
    FP_TRY(const auto value, read.get(kMeta, as_bytes(kMetaRestoredAt)));
    if (!value) return {};
    Unpacker in(*value);
    found = Instant{in.i64()};
    return in.finish("restored_at");
  }));
  return found;
}

}  // namespace fieldpost::storage
