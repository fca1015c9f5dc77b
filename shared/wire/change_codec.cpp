// Changes: an openly framed record id, counter and prev around a body, so that a change whose body
// cannot be decoded still has its place in the chain and behind its record.
#include <algorithm>

#include "base/limits.h"
#include "wire/body.h"
#include "wire/codec.h"
#include "wire/value_codec.h"

namespace fieldpost::wire {
namespace {

// What repeats from one change of a session to the next stands first and together: it compresses to
// one match. What is random (salt) stands last, next to the random record id of the next frame.
// NOLINTBEGIN(readability-identifier-naming): read as the constants they are
enum Key : int {
  kType = 1,
  kUnit = 2,
  kAuthor = 3,
  kSchemaVersion = 4,
  kWelcome = 5,
  kTimes = 6,
  kContext = 7,
  kEdits = 8,
  kSeals = 9,
  kReason = 10,
  kOrigin = 11,
  kSalt = 12,
};
// NOLINTEND(readability-identifier-naming)

/// boot, wall − monotonic, [hub time, hub time − its monotonic,] wall − time of the record id; the
/// differences are modulo 2^64 and constant, or nearly so, while a device runs.
void put_times(Writer& out, const model::ChangeTimes& times, const RecordId& record) {
  out.array(times.hub ? 5 : 3);
  out.unsigned_integer(times.boot);
  out.integer(wrapped_difference(times.wall.ms, static_cast<std::int64_t>(times.monotonic_ms)));
  if (times.hub) {
    out.integer(times.hub->at.ms);
    out.integer(
        wrapped_difference(times.hub->at.ms, static_cast<std::int64_t>(times.hub->monotonic_ms)));
  }
  out.integer(wrapped_difference(times.wall.ms, record_time_ms(record)));
}

void get_times(Reader& in, model::ChangeTimes& times, const RecordId& record) {
  const auto size = in.array(5);
  if (size != 3 && size != 5) in.fail(Errc::malformed, "times are a list of 3 or 5");
  times.boot = in.unsigned_integer();
  const auto wall_minus_monotonic = in.integer();
  if (size == 5) {
    auto& hub = times.hub.emplace();
    hub.at.ms = in.integer();
    hub.monotonic_ms = static_cast<std::uint64_t>(wrapped_difference(hub.at.ms, in.integer()));
  }
  times.wall.ms = wrapped_sum(in.integer(), record_time_ms(record));
  times.monotonic_ms =
      static_cast<std::uint64_t>(wrapped_difference(times.wall.ms, wall_minus_monotonic));
}

void put_body(Writer& out, const model::Change& change) {
  const auto opened_at = out.open_map();
  std::size_t entries = 0;
  const auto key = [&](Key k) {
    out.unsigned_integer(static_cast<std::uint64_t>(k));
    ++entries;
  };
  key(kType), out.text(change.type);
  key(kUnit), out.text(change.unit);
  key(kAuthor), out.text(change.author);
  key(kSchemaVersion), out.unsigned_integer(change.schema_version);
  if (change.welcome != 0) key(kWelcome), out.unsigned_integer(change.welcome);
  key(kTimes), put_times(out, change.times, change.record);
  if (!change.context.empty()) key(kContext), put_vector(out, change.context);
  if (!change.edits.empty()) key(kEdits), put_fields(out, change.edits, change.seals);
  if (!change.seals.empty()) key(kSeals), put_seals(out, change.seals);
  if (!std::holds_alternative<model::Null>(change.reason)) {
    key(kReason), put_value(out, change.reason, change.seals);
  }
  if (change.origin) key(kOrigin), put_origin(out, *change.origin);
  key(kSalt), out.blob(change.salt.view());
  out.close_map(opened_at, entries);
}

/// The entry's value, if it is there; it must not be empty.
template <class T, class Get>
void optional_part(BodyReader& body, Key key, std::string_view name, T& part, Get get) {
  if (!body.has(key)) return;
  get(part);
  body.refuse_default(part.empty());
  body.done(name);
}

void get_body(Reader& in, model::Change& change) {
  constexpr TextBound kName{1, limits::kNameBytesMax};
  std::vector<SealUse> uses;
  BodyReader body(in);
  body.text(kType, "type", change.type, kName);
  body.text(kUnit, "unit", change.unit, kName);
  body.text(kAuthor, "author", change.author, kName);
  body.number(kSchemaVersion, "schema_version", change.schema_version);
  body.nonzero(kWelcome, "welcome", change.welcome);
  if (body.require(kTimes, "times")) {
    get_times(in, change.times, change.record);
    body.done("times");
  }
  optional_part(body, kContext, "context", change.context,
                [&](auto& part) { get_vector(in, part); });
  optional_part(body, kEdits, "edits", change.edits,
                [&](auto& part) { get_fields(in, part, uses); });
  optional_part(body, kSeals, "seals", change.seals, [&](auto& part) { get_seals(in, part); });
  if (body.has(kReason)) {
    std::optional<std::uint64_t> seal_index;
    get_value(in, change.reason, seal_index);
    if (seal_index && in.ok())
      uses.push_back({&std::get<model::Sealed>(change.reason), *seal_index});
    body.refuse_default(std::holds_alternative<model::Null>(change.reason));
    body.done("reason");
  }
  if (body.has(kOrigin)) {
    get_origin(in, change.origin.emplace());
    body.done("origin");
  }
  body.id(kSalt, "salt", change.salt);
  body.finish();
  resolve_seals(in, uses, change.seals);
  in.finish();
}

struct FrameView {
  RecordId record;
  Sequence counter;
  Sequence prev;
  BytesView body;
};

Result<FrameView> read_frame(BytesView frame) {
  Reader in(frame);
  FrameView view;
  in.array_of(4);
  const auto id = in.blob_of(RecordId::kSize);
  if (in.ok()) std::copy(id.begin(), id.end(), view.record.bytes.begin());
  view.counter.value = in.unsigned_integer();
  view.prev.value = in.unsigned_integer();
  if (in.ok() && view.counter.value == 0) in.fail(Errc::malformed, "counter is zero");
  if (in.ok() && !(view.prev < view.counter))
    in.fail(Errc::malformed, "prev is not below the counter");
  view.body = in.blob(limits::kChangeBytesMax);
  in.finish();
  if (!in.ok()) return in.error();
  return view;
}

/// What the model does not ask, because only the wire needs it.
Status check_actors(const model::VersionVector& vv) {
  if (!vv.empty() && vv.entries().front().actor.value == 0)
    return fail(Errc::malformed, "actor 0 in a vector");
  return {};
}

}  // namespace

Result<Bytes> encode_change(const model::Change& change) {
  FP_CHECK_OK(model::check_change(change));
  FP_CHECK_OK(check_actors(change.context));
  if (change.origin &&
      (change.origin->dot.actor.value == 0 || change.origin->dot.counter.value == 0)) {
    return fail(Errc::malformed, "origin names no change");
  }
  Writer body(1024);
  put_body(body, change);
  if (body.size() > limits::kChangeBytesMax) {
    return fail(Errc::too_large, "the change has " + std::to_string(body.size()) +
                                     " bytes; at most " + std::to_string(limits::kChangeBytesMax));
  }
  constexpr std::size_t kFrameOverhead = 40;
  Writer frame(body.size() + kFrameOverhead);
  frame.array(4);
  frame.blob(change.record.view());
  frame.unsigned_integer(change.dot.counter.value);
  frame.unsigned_integer(change.prev.value);
  frame.blob(body.view());
  return std::move(frame).take();
}

Result<FramedChange> decode_change_frame(BytesView frame) {
  FP_TRY(const auto view, read_frame(frame));
  return FramedChange{view.record, view.counter, view.prev, to_bytes(view.body)};
}

Result<model::Change> decode_change(ActorId actor, BytesView frame) {
  FP_TRY(const auto view, read_frame(frame));
  model::Change change;
  change.record = view.record;
  change.dot = {actor, view.counter};
  change.prev = view.prev;
  Reader in(view.body);
  get_body(in, change);
  if (!in.ok()) return in.error();
  FP_CHECK_OK(model::check_change(change));
  return change;
}

}  // namespace fieldpost::wire
