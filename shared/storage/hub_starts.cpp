#include "storage/hub_starts.h"

#include "base/planted.h"
#include "storage/hub_feed.h"
#include "storage/hub_tables.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

constexpr std::string_view kDoubtKey = "doubted";
constexpr std::string_view kStartCountKey = "start_count";

/// And the ends of feeds that programs before this one noted with it.
Status forget_start(KvWrite& write, const StartId& start) {
  std::vector<Bytes> keys;
  FP_CHECK_OK(write.scan(kStarts, start.view(), {}, [&](BytesView key, BytesView) -> Result<Step> {
    keys.push_back(to_bytes(key));
    return Step::more;
  }));
  for (const Bytes& key : keys) FP_CHECK_OK(write.erase(kStarts, key));
  return {};
}

/// Forgets the starts numbered up to `last`.
Status forget_old_starts(KvWrite& write, std::uint64_t last) {
  std::vector<StartId> old;
  FP_CHECK_OK(write.scan(kStarts, {}, {}, [&](BytesView key, BytesView value) -> Result<Step> {
    if (key.size() != StartId::kSize || Unpacker(value).u64() > last) return Step::more;
    FP_TRY(const StartId start, StartId::from(key));
    old.push_back(start);
    return Step::more;
  }));
  for (const StartId& start : old) FP_CHECK_OK(forget_start(write, start));
  return {};
}

}  // namespace

Result<std::optional<Epoch>> read_epoch(const KvRead& read) {
  FP_TRY(const auto value, read.get(kMeta, as_bytes(kMetaEpoch)));
  if (!value) return std::optional<Epoch>{};
  FP_TRY(const Epoch epoch, Epoch::from(*value));
  return std::optional<Epoch>(epoch);
}

Result<std::optional<Epoch>> read_clean_epoch(const KvRead& read) {
  FP_TRY(const auto clean, read.get(kMeta, as_bytes(kMetaCleanStop)));
  if (!clean && !planted(Bug::epoch_kept)) return std::optional<Epoch>{};
  return read_epoch(read);
}

Status begin_start(KvWrite& write, const HubIdentity& identity) {
  std::uint64_t number = 1;
  FP_TRY(const auto count, write.get(kMeta, as_bytes(kStartCountKey)));
  if (count) number = Unpacker(*count).u64() + 1;
  if (number > kStartsKept) FP_CHECK_OK(forget_old_starts(write, number - kStartsKept));
  FP_CHECK_OK(write.put(kMeta, as_bytes(kStartCountKey), Packer().u64(number).bytes()));
  FP_CHECK_OK(write.put(kMeta, as_bytes(kMetaEpoch), identity.epoch.view()));
  FP_CHECK_OK(write.erase(kMeta, as_bytes(kMetaCleanStop)));
  FP_CHECK_OK(write.erase(kMeta, as_bytes(kDoubtKey)));
  FP_CHECK_OK(mark_old_ends(write, identity.start));
  return write.put(kStarts, identity.start.view(), Packer().u64(number).bytes());
}

Status mark_clean_stop(KvWrite& write, const StartId& start) {
  FP_TRY(const auto doubted, write.get(kMeta, as_bytes(kDoubtKey)));
  if (doubted) return {};
  return write.put(kMeta, as_bytes(kMetaCleanStop), start.view());
}

Status mark_doubt(KvWrite& write) {
  FP_CHECK_OK(write.erase(kMeta, as_bytes(kMetaCleanStop)));
  return write.put(kMeta, as_bytes(kDoubtKey), Packer().u8(1).bytes());
}

Result<bool> knows_start(const KvRead& read, const StartId& start, const StartId& current) {
  if (start == current) return true;
  FP_TRY(const auto known, read.get(kStarts, start.view()));
  return known.has_value();
}

}  // namespace fieldpost::storage
