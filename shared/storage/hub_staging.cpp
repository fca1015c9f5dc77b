#include "storage/hub_staging.h"

#include <algorithm>

#include "storage/hub_feed.h"
#include "storage/hub_recovery.h"
#include "storage/hub_tables.h"
#include "wire/codec.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

Bytes count_key(const DeviceId& device) {
  return Packer().raw(as_bytes("staged_bytes")).id(device).take();
}

DeviceId device_of(BytesView key) {
  Unpacker in(key.subspan(RecordId::kSize));
  return in.id<DeviceId>();
}

Result<std::uint64_t> counted(const KvRead& read, const DeviceId& device) {
  FP_TRY(const auto value, read.get(kMeta, count_key(device)));
  return value ? Unpacker(*value).u64() : 0;
}

Result<std::uint64_t> count_anew(const KvRead& read, const DeviceId& device) {
  std::uint64_t bytes = 0;
  FP_CHECK_OK(read.scan(kStaged, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
    if (device_of(key) == device) bytes += value.size();
    return Step::more;
  }));
  return bytes;
}

Status put_count(KvWrite& write, const DeviceId& device, std::uint64_t bytes) {
  if (bytes == 0) return write.erase(kMeta, count_key(device));
  return write.put(kMeta, count_key(device), Packer().u64(bytes).bytes());
}

}  // namespace

Bytes staged_key(const RecordId& record, const DeviceId& device, std::uint64_t digest) {
  return Packer().id(record).id(device).u64(digest).take();
}

Result<HubStore::Staging> stage_states(KvWrite& write, ValueCodec& codec,
                                       const std::vector<StagedState>& states,
                                       std::uint64_t device_bytes_max) {
  HubStore::Staging result;
  if (states.empty()) return result;
  const DeviceId device = states.front().device;
  FP_TRY(std::uint64_t bytes, counted(write, device));
  Bytes places;  // of those that are kept
  bool exact = false;
  for (const StagedState& one : states) {
    FP_TRY(const bool lacks, store_lacks(write, codec, one.state));
    if (!lacks) continue;
    FP_TRY(const Bytes canonical, wire::encode_record(one.state));
    const Bytes key =
        staged_key(one.state.id, device, Unpacker(wire::state_digest(canonical).view()).u64());
    FP_TRY(const auto there, write.get(kStaged, key));
    if (there) continue;  // in this store's feed, too, it has its place already
    const Bytes value =
        codec.encode(kStaged, key, Packer().i64(one.received.ms).raw(canonical).take());
    if (bytes + value.size() > device_bytes_max && !std::exchange(exact, true)) {
      FP_TRY(bytes, count_anew(write, device));
    }
    if (bytes + value.size() > device_bytes_max) {
      result.full = true;
      break;
    }
    FP_CHECK_OK(write.put(kStaged, key, value));
    bytes += value.size();
    places.insert(places.end(), key.begin(), key.end());
  }
  if (!places.empty() || exact) FP_CHECK_OK(put_count(write, device, bytes));
  if (places.empty()) return result;
  // The tablet's next cursor must tell a store that has this from one that was put back to before.
  const std::string& unit = states.front().state.unit;
  FP_TRY(const FeedEnd last, read_feed_end(write, unit));
  result.end = last.position + 1;
  FP_CHECK_OK(move_feed_end(write, unit, last, result.end, places));
  return result;
}

Status erase_staged(KvWrite& write, BytesView key) {
  FP_TRY(const auto value, write.get(kStaged, key));
  if (!value) return {};
  const std::uint64_t size = value->size();
  FP_TRY(const std::uint64_t bytes, counted(write, device_of(key)));
  FP_CHECK_OK(put_count(write, device_of(key), bytes - std::min(bytes, size)));
  return write.erase(kStaged, key);
}

Result<std::uint64_t> staged_bytes(const KvRead& read, const DeviceId& device,
                                   std::uint64_t at_least) {
  FP_TRY(const std::uint64_t bytes, counted(read, device));
  if (bytes < at_least) return bytes;
  return count_anew(read, device);
}

}  // namespace fieldpost::storage
