// Record states: whole, canonical, strict. Dot groups name their actor by its index in the vector and
// their counter by its distance from the vector's: both are 0 for most records.
#include <algorithm>

#include "base/limits.h"
#include "wire/body.h"
#include "wire/codec.h"
#include "wire/value_codec.h"

namespace fieldpost::wire {

template <>
struct EnumRange<model::ClockKind> {
  static constexpr std::uint64_t kLeast = 0;
  static constexpr std::uint64_t kMost = 2;
};

namespace {

/// author, numbers, one path and one value: no group is shorter.
constexpr std::size_t kGroupBytesMin = 16;

// NOLINTBEGIN(readability-identifier-naming): read as the constants they are
enum Key : int {
  kId = 1,
  kType = 2,
  kUnit = 3,
  kVector = 4,
  kGroups = 5,
};
enum GroupKey : int {
  kAuthor = 1,
  kSchemaVersion = 2,
  kClock = 3,
  kActorIndex = 4,
  kBehind = 5,
  kTime = 6,
  kFields = 7,
  kSeals = 8,
  kOrigin = 9,
};
// NOLINTEND(readability-identifier-naming)

std::size_t index_of(ActorId actor, const model::VersionVector& vv) {
  const auto entries = vv.entries();
  std::size_t index = 0;
  while (index < entries.size() && entries[index].actor < actor) ++index;
  return index;
}

void put_group(Writer& out, const model::DotGroup& group, const model::Record& record) {
  const auto opened_at = out.open_map();
  std::size_t entries = 0;
  const auto key = [&](GroupKey k) {
    out.unsigned_integer(static_cast<std::uint64_t>(k));
    ++entries;
  };
  const auto index = index_of(group.dot.actor, record.vv);
  const auto behind = record.vv.entries()[index].counter.value - group.dot.counter.value;
  key(kAuthor), out.text(group.meta.author);
  key(kSchemaVersion), out.unsigned_integer(group.meta.schema_version);
  key(kClock), out.unsigned_integer(static_cast<std::uint64_t>(group.meta.time.clock));
  key(kActorIndex), out.unsigned_integer(index);
  key(kBehind), out.unsigned_integer(behind);
  key(kTime), out.integer(wrapped_difference(group.meta.time.at.ms, record_time_ms(record.id)));
  key(kFields), put_fields(out, group.fields, group.seals);
  if (!group.seals.empty()) key(kSeals), put_seals(out, group.seals);
  if (group.meta.origin) key(kOrigin), put_origin(out, *group.meta.origin);
  out.close_map(opened_at, entries);
}

void get_dot(BodyReader& body, model::Dot& dot, const model::VersionVector& vv) {
  auto& in = body.in();
  std::uint64_t index = 0;
  std::uint64_t behind = 0;
  body.number(kActorIndex, "actor", index);
  body.number(kBehind, "behind", behind);
  if (!in.ok()) return;
  if (index >= vv.size()) return in.fail(Errc::malformed, "an actor index without an actor");
  const auto& entry = vv.entries()[index];
  if (behind >= entry.counter.value) return in.fail(Errc::malformed, "a counter below 1");
  dot = {entry.actor, Sequence{entry.counter.value - behind}};
}

void get_group(Reader& in, model::DotGroup& group, const model::Record& record) {
  std::vector<SealUse> uses;
  BodyReader body(in, true);
  body.text(kAuthor, "author", group.meta.author, {1, limits::kNameBytesMax});
  body.number(kSchemaVersion, "schema_version", group.meta.schema_version);
  body.number(kClock, "clock", group.meta.time.clock);
  get_dot(body, group.dot, record.vv);
  std::int64_t since_record = 0;
  if (body.require(kTime, "time")) {
    since_record = in.integer();
    body.done("time");
  }
  group.meta.time.at.ms = wrapped_sum(since_record, record_time_ms(record.id));
  if (body.require(kFields, "fields")) {
    get_fields(in, group.fields, uses);
    body.done("fields");
  }
  if (body.has(kSeals)) {
    get_seals(in, group.seals);
    body.refuse_default(group.seals.empty());
    body.done("seals");
  }
  if (body.has(kOrigin)) {
    get_origin(in, group.meta.origin.emplace());
    body.done("origin");
  }
  body.finish();
  resolve_seals(in, uses, group.seals);
}

void get_record(Reader& in, model::Record& record) {
  constexpr TextBound kName{1, limits::kNameBytesMax};
  BodyReader body(in, true);
  body.id(kId, "id", record.id);
  body.text(kType, "type", record.type, kName);
  body.text(kUnit, "unit", record.unit, kName);
  if (body.has(kVector)) {
    get_vector(in, record.vv);
    body.refuse_default(record.vv.empty());
    body.done("vector");
  }
  if (body.has(kGroups)) {
    const auto count = in.array(limits::kGroupsMax);
    body.refuse_default(count == 0);
    record.groups.reserve(std::min(count, in.left() / kGroupBytesMin));
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
      get_group(in, record.groups.emplace_back(), record);
      in.within(i);
    }
    body.done("groups");
  }
  body.finish();
  in.finish();
}

}  // namespace

Result<Bytes> encode_record(const model::Record& record) {
  FP_CHECK_OK(model::check_record(record));
  if (!record.vv.empty() && record.vv.entries().front().actor.value == 0) {
    return fail(Errc::malformed, "actor 0 in a vector");
  }
  Writer out(1024);
  const auto opened_at = out.open_map();
  std::size_t entries = 0;
  const auto key = [&](Key k) {
    out.unsigned_integer(static_cast<std::uint64_t>(k));
    ++entries;
  };
  key(kId), out.blob(record.id.view());
  key(kType), out.text(record.type);
  key(kUnit), out.text(record.unit);
  if (!record.vv.empty()) key(kVector), put_vector(out, record.vv);
  if (!record.groups.empty()) {
    key(kGroups), out.array(record.groups.size());
    for (const auto& group : record.groups) put_group(out, group, record);
  }
  out.close_map(opened_at, entries);
  if (out.size() > limits::kRecordBytesMax) {
    return fail(Errc::too_large, "the record has " + std::to_string(out.size()) +
                                     " bytes; at most " + std::to_string(limits::kRecordBytesMax));
  }
  return std::move(out).take();
}

Result<model::Record> decode_record(BytesView bytes) {
  if (bytes.size() > limits::kRecordBytesMax) {
    return fail(Errc::too_large,
                "a record state over " + std::to_string(limits::kRecordBytesMax) + " bytes");
  }
  Reader in(bytes);
  model::Record record;
  get_record(in, record);
  if (!in.ok()) return in.error();
  FP_CHECK_OK(model::check_record(record));
  return record;
}

}  // namespace fieldpost::wire
