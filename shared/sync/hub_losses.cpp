// What this hub has lost and a tablet still holds: found by the tablet's cursor, asked for, handed to the writer.
//
// A cursor is epoch ‖ start ‖ position ‖ end ‖ mark ‖ the first 16 bytes of keyed BLAKE2b over unit and those: nobody
// but the hub makes one. End and mark are those of the feed when the cursor was made; the position lies before it.
// They tell of which past of the data the cursor is: one that this data never gave out proves a lost past.
#include <algorithm>

#include "base/limits.h"
#include "base/planted.h"
#include "storage/pack.h"
#include "sync/hub_session.h"

namespace fieldpost::sync {

namespace {

constexpr std::size_t kCursorTagBytes = 16;
/// States in one question: a page of answers, even where they are large.
constexpr std::size_t kAskedMax = 256;
/// Records wanted of one tablet; none holds so many.
constexpr std::size_t kWantedMax = 1'000'000;
/// Of the desk, that must be free before a tablet is asked again.
constexpr std::uint64_t kRoomPart = limits::kStagedBytesOfDeviceMax / limits::kStagedRoomMin;
constexpr const char* kDeskFull =
    "more of what the hub lost waits on this tablet than the hub keeps undecided for one: decide "
    "on "
    "what `fieldpost-hub recovery` lists; then the hub asks for the rest";
constexpr const char* kUnreadable = "the hub cannot read its store; try later";

Bytes sign_cursor(const crypto::SigningKey& hub, const std::string& unit, Bytes place) {
  const Hash secret = crypto::hash("fieldpost.v1.cursor-key", {hub.secret.view()});
  crypto::SymmetricKey key;
  key.bytes = secret.bytes;
  const Hash tag = crypto::keyed_hash(key, {place, as_bytes(unit)});
  place.insert(place.end(), tag.bytes.begin(), tag.bytes.begin() + kCursorTagBytes);
  return place;
}

Bytes place_of(const Epoch& epoch, const StartId& start, std::uint64_t position,
               const storage::FeedEnd& end) {
  return storage::Packer().id(epoch).id(start).u64(position).u64(end.position).u64(end.mark).take();
}

std::uint64_t short_digest(const model::Record& record) {
  const auto canonical = wire::encode_record(record);
  if (!canonical) return 0;
  return storage::Unpacker(wire::state_digest(*canonical).view()).u64();
}

}  // namespace

Result<Bytes> HubSession::cursor(const std::string& unit, std::uint64_t position) const {
  FP_TRY(const storage::FeedEnd end, here().reader->marked_feed_end(unit));
  return sign_cursor(context_.key, unit,
                     place_of(here().identity.epoch, here().identity.start, position, end));
}

Result<HubSession::Place> HubSession::read_cursor(const std::string& unit, BytesView bytes) const {
  Place place;
  storage::Unpacker in(bytes);
  const auto epoch = in.id<Epoch>();
  const auto start = in.id<StartId>();
  const std::uint64_t position = in.u64();
  storage::FeedEnd end;
  end.position = in.u64();
  end.mark = in.u64();
  const BytesView tag = in.raw(kCursorTagBytes);
  const Bytes again = sign_cursor(context_.key, unit, place_of(epoch, start, position, end));
  // Not of this hub's making: sending everything again is always safe.
  if (!in.finish("cursor") || !std::equal(tag.begin(), tag.end(), again.end() - kCursorTagBytes))
    return place;
  FP_TRY(const storage::FeedPast past, here().reader->feed_past(start, unit, end));
  place.lost = past != storage::FeedPast::ours;
  place.rolled_back = past == storage::FeedPast::another && epoch == here().identity.epoch;
  if (!place.lost) place.position = position;
  return place;
}

Status HubSession::open_feeds(const wire::Hello& hello, bool& rolled_back) {
  granted_ = {device_->unit};
  if (planted(Bug::old_unit_delivered)) {
    for (const storage::FormerGrant& former : device_->former) granted_.push_back(former.unit);
    std::sort(granted_.begin(), granted_.end());
    granted_.erase(std::unique(granted_.begin(), granted_.end()), granted_.end());
  }
  for (const std::string& unit : granted_) {
    Feed feed;
    FP_TRY(feed.known_end, here().reader->feed_end(unit));
    const auto known = std::find_if(hello.cursors.begin(), hello.cursors.end(),
                                    [&](const wire::UnitCursor& c) { return c.unit == unit; });
    Place place;
    if (known != hello.cursors.end()) {
      FP_TRY(place, read_cursor(unit, known->cursor));
    }
    rolled_back = rolled_back || place.rolled_back;
    // Without a cursor, a welcome that this data knows nothing of says the same.
    const bool from_a_lost_past =
        place.lost || (place.position == 0 && hello.welcome_id > device_->last_welcome);
    feed.recovering = from_a_lost_past && !planted(Bug::recovery_not_asked);
    if (std::binary_search(hello.again.begin(), hello.again.end(), unit)) place.position = 0;
    if (planted(Bug::cursor_off_by_one)) ++place.position;
    feed.sent = std::min(place.position, feed.known_end);
    feed.got = feed.sent;
    feeds_[unit] = std::move(feed);
  }
  for (const wire::UnitCursor& known : hello.cursors) {
    if (feeds_.contains(known.unit)) continue;
    FP_TRY(const Place place, read_cursor(known.unit, known.cursor));
    if (!place.lost) continue;
    rolled_back = rolled_back || place.rolled_back;
    Feed& feed = feeds_[known.unit];
    feed.recovering = feed.withdrawn = true;
  }
  return {};
}

bool HubSession::withdrawn_waits() const {
  return std::any_of(feeds_.begin(), feeds_.end(),
                     [](const auto& feed) { return feed.second.withdrawn; });
}

Result<bool> HubSession::desk_has_room() const {
  const std::uint64_t max = context_.staged_bytes_max;
  const std::uint64_t taken = max - max / kRoomPart;
  FP_TRY(const std::uint64_t bytes, here().reader->staged_bytes(device_->id, taken));
  return bytes <= taken;
}

void HubSession::leave_when_full(bool full, HubOutput& out) {
  const auto room = full ? Result<bool>(false) : desk_has_room();
  if (!room) return refuse(wire::ErrorCode::internal, kUnreadable, out);
  if (*room) return;
  for (auto& [unit, feed] : feeds_) feed.desk_full |= std::exchange(feed.recovering, false);
  device_->last_error = kDeskFull;
  device_->last_error_at = device_->last_contact;
  tell_contact(out);
}

void HubSession::recover_further(HubOutput& out) {
  const bool waits = std::any_of(feeds_.begin(), feeds_.end(),
                                 [](const auto& feed) { return feed.second.desk_full; });
  if (closed_ || recovery_ || !waits) return;
  const auto room = desk_has_room();
  if (!room) return refuse(wire::ErrorCode::internal, kUnreadable, out);
  if (!*room) return;
  for (auto& [unit, feed] : feeds_) feed.recovering |= std::exchange(feed.desk_full, false);
  recover_next(out);
}

void HubSession::recover_next(HubOutput& out) {
  if (closed_ || recovery_) return;
  const auto next = std::find_if(feeds_.begin(), feeds_.end(),
                                 [](const auto& feed) { return feed.second.recovering; });
  if (next == feeds_.end()) return;
  recovery_ = Recovery{};
  recovery_->unit = next->first;
  send(wire::Recover{next->first, {}}, out);
}

Result<bool> HubSession::wanted(const wire::RecordSummary& summary) const {
  // It is here already, and waits for the operator.
  FP_TRY(const bool staged, here().reader->is_staged(summary.record, device_->id, summary.digest));
  if (staged) return false;
  auto found = here().reader->record(summary.record);
  // Damaged beyond repair here: that is told and mended elsewhere, and must not keep the rest away.
  if (!found && found.error().is(Errc::corrupt)) return false;
  FP_TRY(const auto record, std::move(found));
  FP_TRY(const auto erased, here().reader->erased(summary.record));
  if (erased) return false;  // on purpose: the tablet will hear of it
  if (!record || !record->vv.covers(summary.vv)) return true;
  // What is older here or there cannot be compared by a digest: the state itself will tell.
  return !(record->vv == summary.vv) || short_digest(*record) != summary.digest;
}

Status HubSession::take_recovered(Instant now, BytesView bytes, HubOutput& out) {
  FP_TRY(model::Record state, wire::decode_record(bytes));
  const auto& foreign = here().foreign_types;
  auto& asked = recovery_->asked;
  const auto place = std::lower_bound(asked.begin(), asked.end(), state.id);
  if (place == asked.end() || *place != state.id || state.unit != recovery_->unit ||
      std::find(foreign.begin(), foreign.end(), state.type) != foreign.end())
    return fail(Errc::malformed, "a state that nobody asked for");
  asked.erase(place);  // one answer each: a tablet cannot fill the disk with versions of one record
  if (recovery_->desk_full) return {};
  out.staged.push_back({device_->id, now, std::move(state)});
  out.staged_bytes += bytes.size();
  return {};
}

void HubSession::on_state_chunk(Instant now, wire::StateChunk& chunk, HubOutput& out) {
  if (!recovery_ || !recovery_->summarised || recovery_->answered || chunk.unit != recovery_->unit)
    return refuse(wire::ErrorCode::out_of_order, "a part of a state that nobody asked for", out);
  auto& large = recovery_->large;
  if (!large) {
    large = chunk;
    large->bytes.clear();
  }
  const bool fits = chunk.record == large->record && chunk.digest == large->digest &&
                    chunk.total_bytes == large->total_bytes && chunk.offset == large->bytes.size();
  if (!fits) return refuse(wire::ErrorCode::out_of_order, "a part of a state out of order", out);
  large->bytes.insert(large->bytes.end(), chunk.bytes.begin(), chunk.bytes.end());
  if (large->bytes.size() < large->total_bytes) return;
  const wire::StateChunk whole = *std::exchange(large, std::nullopt);
  const Status taken = wire::state_digest(whole.bytes) == whole.digest
                           ? take_recovered(now, whole.bytes, out)
                           : fail(Errc::malformed, "a large state arrived damaged");
  if (!taken) return refuse(wire::ErrorCode::malformed, taken.error().message(), out);
  if (!out.staged.empty()) ++recovery_->at_writer;
}

void HubSession::on_recovered(Instant now, const wire::Recovered& answer, HubOutput& out) {
  if (!recovery_ || answer.unit != recovery_->unit || recovery_->answered ||
      (recovery_->summarised ? !answer.summaries.empty() : !answer.states.empty()))
    return refuse(wire::ErrorCode::out_of_order, "an answer that nobody asked for", out);
  for (const wire::RecordSummary& summary : answer.summaries) {
    // Over all pages, so that each record is asked for once.
    if (summary.record <= recovery_->summarised_to)
      return refuse(wire::ErrorCode::malformed, "summaries out of order", out);
    recovery_->summarised_to = summary.record;
    const auto want = wanted(summary);
    if (!want) return refuse(wire::ErrorCode::internal, kUnreadable, out);
    if (*want) recovery_->wanted.push_back(summary.record);
  }
  if (recovery_->wanted.size() > kWantedMax)
    return refuse(wire::ErrorCode::too_large, "more records than a tablet can hold", out);
  for (const Bytes& state : answer.states) {
    if (const Status taken = take_recovered(now, state, out); !taken)
      return refuse(wire::ErrorCode::malformed, taken.error().message(), out);
  }
  if (!out.staged.empty()) ++recovery_->at_writer;
  if (!answer.last) return;
  recovery_->summarised = true;
  recovery_->answered = true;
  if (recovery_->at_writer == 0) ask_for_states(out);
}

HubOutput HubSession::on_staged(const Result<storage::HubStore::Staging>& staged) {
  HubOutput out;
  if (closed_ || !recovery_) return out;
  if (!staged) {
    refuse(wire::ErrorCode::busy,
           "the hub could not store this now; nothing is lost, it will be asked for again", out);
    return out;
  }
  Feed& feed = feeds_.at(recovery_->unit);
  feed.known_end = std::max(feed.known_end, staged->end);
  recovery_->desk_full = recovery_->desk_full || staged->full;
  --recovery_->at_writer;
  if (recovery_->answered && recovery_->at_writer == 0) ask_for_states(out);
  return out;
}

void HubSession::ask_for_states(HubOutput& out) {
  if (recovery_->desk_full) {
    recovery_.reset();
    return leave_when_full(true, out);
  }
  auto& wanted = recovery_->wanted;
  recovery_->asked.clear();
  while (!wanted.empty() && recovery_->asked.size() < kAskedMax) {
    recovery_->asked.push_back(wanted.front());
    wanted.pop_front();
  }
  std::sort(recovery_->asked.begin(), recovery_->asked.end());
  if (!recovery_->asked.empty()) {
    recovery_->answered = false;
    return send(wire::Recover{recovery_->unit, recovery_->asked}, out);
  }
  const std::string unit = recovery_->unit;
  recovery_.reset();
  Feed& feed = feeds_.at(unit);
  feed.recovering = false;
  if (feed.withdrawn) feeds_.erase(unit);
  recover_next(out);
  for (auto& [open, waiting] : feeds_) pump(open, waiting, out);
}

}  // namespace fieldpost::sync
