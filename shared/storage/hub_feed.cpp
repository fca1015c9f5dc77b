#include "storage/hub_feed.h"

#include "storage/hub_tables.h"

namespace fieldpost::storage {

using namespace hub_tables;

namespace {

using Step = KvRead::Step;

constexpr std::string_view kMarkTag = "fieldpost.v1.feed-mark";
constexpr std::size_t kEndBytes = 16;  ///< position ‖ mark; without marks 8

std::uint64_t first_bytes(const Hash& hash) { return Unpacker(hash.view()).u64(); }

Status put_end(KvWrite& write, std::string_view unit, const FeedEnd& end) {
  FP_CHECK_OK(write.put(kFeedEnds, feed_key(unit, end.position), Packer().u64(end.mark).bytes()));
  return write.put(kFeedEnds, as_bytes(unit), Packer().u64(end.position).u64(end.mark).bytes());
}

Status forget_old_marks(KvWrite& write, std::string_view unit, std::uint64_t end) {
  std::vector<Bytes> old;
  const Bytes prefix = feed_prefix(unit);
  FP_CHECK_OK(write.scan(kFeedEnds, prefix, {}, [&](BytesView key, BytesView) -> Result<Step> {
    if (Unpacker(key.subspan(prefix.size())).u64() + kPlacesMarked >= end) return Step::stop;
    old.push_back(to_bytes(key));
    return Step::more;
  }));
  for (const Bytes& key : old) FP_CHECK_OK(write.erase(kFeedEnds, key));
  return {};
}

}  // namespace

Result<FeedEnd> read_feed_end(const KvRead& read, std::string_view unit) {
  FeedEnd end;
  FP_TRY(const auto value, read.get(kFeedEnds, as_bytes(unit)));
  if (!value) return end;
  Unpacker in(*value);
  end.position = in.u64();
  if (in.left() > 0) end.mark = in.u64();
  FP_CHECK_OK(in.finish("end of a feed"));
  return end;
}

Status move_feed_end(KvWrite& write, std::string_view unit, const FeedEnd& from,
                     std::uint64_t position, BytesView what) {
  const Hash mark = crypto::hash(kMarkTag, {Packer().u64(from.mark).u64(position).bytes(), what});
  FP_CHECK_OK(put_end(write, unit, {position, first_bytes(mark)}));
  return forget_old_marks(write, unit, position);
}

Result<FeedPast> read_feed_past(const KvRead& read, std::string_view unit, const FeedEnd& end) {
  if (end.position == 0) return FeedPast::ours;
  FP_TRY(const auto mark, read.get(kFeedEnds, feed_key(unit, end.position)));
  if (mark) return Unpacker(*mark).u64() == end.mark ? FeedPast::ours : FeedPast::another;
  FP_TRY(const FeedEnd now, read_feed_end(read, unit));
  return end.position + kPlacesMarked < now.position ? FeedPast::forgotten : FeedPast::another;
}

Status mark_old_ends(KvWrite& write, const StartId& start) {
  Bytes from;
  for (bool more = true; more;) {
    more = false;
    std::optional<FeedEnd> old;
    std::string unit;
    FP_CHECK_OK(write.scan(kFeedEnds, {}, from, [&](BytesView key, BytesView value) {
      more = true;
      unit = as_text(key).substr(0, as_text(key).find('\0'));
      if (unit.size() == key.size() && value.size() < kEndBytes)
        old = FeedEnd{Unpacker(value).u64(), 0};
      return Result<Step>(Step::stop);
    }));
    if (old) {
      const Hash mark = crypto::hash(kMarkTag, {start.view(), as_bytes(unit)});
      FP_CHECK_OK(put_end(write, unit, {old->position, first_bytes(mark)}));
    }
    from = Packer().raw(as_bytes(unit)).u8(1).take();  // past the unit's marks
  }
  return {};
}

}  // namespace fieldpost::storage
