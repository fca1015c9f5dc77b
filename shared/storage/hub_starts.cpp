#include "storage/hub_starts.h"

#include "base/planted.h"
#include "storage/hub_tables.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

constexpr std::string_view kDoubtKey = "doubted";
constexpr std::string_view kStartKey = "start";
constexpr std::string_view kStartCountKey = "start_count";

Bytes end_key(const StartId& start, std::string_view unit) {
  return Packer().id(start).raw(as_bytes(unit)).take();
}

Status close_start(KvWrite& write, const StartId& start) {
  std::vector<std::pair<Bytes, std::uint64_t>> ends;
  FP_CHECK_OK(write.scan(kFeedEnds, {}, {}, [&](BytesView unit, BytesView end) -> Result<Step> {
    ends.emplace_back(end_key(start, as_text(unit)), Unpacker(end).u64());
    return Step::more;
  }));
  for (const auto& [key, end] : ends)
    FP_CHECK_OK(write.put(kStarts, key, Packer().u64(end).bytes()));
  return {};
}

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
  FP_TRY(const auto last, write.get(kMeta, as_bytes(kStartKey)));
  FP_TRY(const auto doubted, write.get(kMeta, as_bytes(kDoubtKey)));
  const bool in_doubt = doubted.has_value();
  if (last) {
    FP_TRY(const StartId before, StartId::from(*last));
    FP_CHECK_OK(in_doubt ? forget_start(write, before) : close_start(write, before));
  }
  std::uint64_t number = 1;
  FP_TRY(const auto count, write.get(kMeta, as_bytes(kStartCountKey)));
  if (count) number = Unpacker(*count).u64() + 1;
  if (number > kStartsKept) FP_CHECK_OK(forget_old_starts(write, number - kStartsKept));
  FP_CHECK_OK(write.put(kMeta, as_bytes(kStartCountKey), Packer().u64(number).bytes()));
  FP_CHECK_OK(write.put(kMeta, as_bytes(kStartKey), identity.start.view()));
  FP_CHECK_OK(write.put(kMeta, as_bytes(kMetaEpoch), identity.epoch.view()));
  FP_CHECK_OK(write.erase(kMeta, as_bytes(kMetaCleanStop)));
  FP_CHECK_OK(write.erase(kMeta, as_bytes(kDoubtKey)));
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

Result<std::optional<std::uint64_t>> read_start_end(const KvRead& read, const StartId& start,
                                                    const StartId& current,
                                                    const std::string& unit) {
  std::optional<std::uint64_t> end;
  if (planted(Bug::lost_past_unnoticed)) return ~std::uint64_t{0};
  if (start != current) {
    FP_TRY(const auto known, read.get(kStarts, start.view()));
    if (!known) return end;
  }
  end = 0;
  FP_TRY(const auto value, start == current ? read.get(kFeedEnds, as_bytes(unit))
                                            : read.get(kStarts, end_key(start, unit)));
  if (value) end = Unpacker(*value).u64();
  return end;
}

}  // namespace fieldpost::storage
