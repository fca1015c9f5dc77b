#include "sync/agent_session.h"

#include <algorithm>

#include "base/limits.h"
#include "base/planted.h"
#include "base/text.h"

namespace fieldpost::sync {

namespace {

wire::ErrorCode wire_code(const Error& error) {
  if (error.is(Errc::chain_broken)) return wire::ErrorCode::chain_broken;
  if (error.is(Errc::bad_signature)) return wire::ErrorCode::bad_signature;
  if (error.is(Errc::unauthorised)) return wire::ErrorCode::not_granted;
  if (error.is(Errc::malformed)) return wire::ErrorCode::malformed;
  if (error.is(Errc::too_large)) return wire::ErrorCode::too_large;
  return wire::ErrorCode::internal;
}

/// As long as an error's text may be, cut between characters.
std::string reason_text(std::string_view detail) {
  const std::string_view cut = detail.substr(0, limits::kReasonBytesMax);
  return std::string(cut.substr(0, first_invalid_utf8(cut)));
}

/// Of each chain the first change of which this store does not know what became of it, or knows that it is not
/// merged: another copy of this tablet may have confirmed the hub's word on it.
Result<std::vector<model::Dot>> unsettled_changes(const storage::AgentStore& store) {
  std::map<ActorId, Sequence> first;
  const auto note = [&](ActorId actor, Sequence counter) {
    const auto [at, added] = first.emplace(actor, counter);
    if (!added) at->second = std::min(at->second, counter);
  };
  for (const storage::OwnActor& own : store.state().actors) {
    if (own.acked < own.head) note(own.actor, own.acked.next());
  }
  FP_TRY(const auto exceptions, store.exceptions());
  for (const wire::ChangeException& e : exceptions) {
    if (store.state().find(e.actor) != nullptr) note(e.actor, e.counter);
  }
  std::vector<model::Dot> dots;
  dots.reserve(first.size());
  for (const auto& [actor, counter] : first) dots.push_back({actor, counter});
  return dots;
}

}  // namespace

AgentSession::AgentSession(const AgentIdentity& identity, storage::AgentStore& store,
                           wire::Compressor& compressor, const wire::ChannelBinding& binding,
                           RandomSource random, LinkEstimate& link)
    : identity_(identity),
      store_(store),
      compressor_(compressor),
      binding_(binding),
      random_(std::move(random)),
      link_(link),
      window_pushes_(limits::kWindowPushes),
      window_bytes_(limits::kWindowBytes) {}

void AgentSession::send_bytes(BytesView message, AgentOutput& out) {
  out.frames.push_back(compressor_.encode_frame(message));
}

void AgentSession::send(const wire::Message& message, AgentOutput& out) {
  send_bytes(wire::encode_message(message), out);
}

void AgentSession::stop(Error error, AgentOutput& out) {
  if (phase_ == Phase::closed) return;
  // The hub's operator sees why, not only that this tablet went away. A hub not yet known to be the right
  // one hears nothing.
  if (!error.is(Errc::closed) && phase_ != Phase::connecting)
    send(wire::ErrorMessage{wire_code(error), reason_text(error.detail), 0}, out);
  out.for_good = error.is(Errc::chain_broken);
  leave(std::move(error), out);
}

void AgentSession::leave(Error error, AgentOutput& out) {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  out.close = std::move(error);
  out.changed = true;
}

void AgentSession::stop_for_good(Error error, AgentOutput& out) {
  stop(std::move(error), out);
  out.for_good = true;
}

void AgentSession::refused(const wire::ErrorMessage& message, AgentOutput& out) {
  const auto code = [&] {
    switch (message.code) {
      case wire::ErrorCode::unsupported_version:
        return Errc::unsupported;
      case wire::ErrorCode::unknown_device:
      case wire::ErrorCode::revoked:
      case wire::ErrorCode::not_granted:
        return Errc::unauthorised;
      case wire::ErrorCode::bad_signature:
        return Errc::bad_signature;
      case wire::ErrorCode::chain_broken:  // the next welcome's verdict says where to go on
      case wire::ErrorCode::malformed:
      case wire::ErrorCode::too_large:
      case wire::ErrorCode::out_of_order:
      case wire::ErrorCode::busy:
      case wire::ErrorCode::internal:
      case wire::ErrorCode::shutting_down:
      case wire::ErrorCode::clock:
        break;
    }
    return Errc::closed;
  }();
  Error error = fail(code, "the hub says: " + message.text);
  leave(std::move(error), out);
  out.for_good = code != Errc::closed;
  if (!out.for_good) out.retry_after_ms = message.retry_after_ms;
}

void AgentSession::on_closed() {
  link_.connection_lost(now_ms_, in_flight_bytes_);
  phase_ = Phase::closed;
}

AgentOutput AgentSession::on_frame(const TimeReading& now, const DeviceFacts& facts,
                                   BytesView frame) {
  AgentOutput out;
  if (phase_ == Phase::closed) return out;
  facts_ = facts;
  now_ms_ = now.monotonic_ms;
  auto message = compressor_.decode_frame(frame);
  if (!message) {
    stop(std::move(message).error(), out);
    return out;
  }
  auto decoded = wire::decode_message(*message);
  if (!decoded) {
    stop(std::move(decoded).error(), out);
    return out;
  }
  handle(now, *decoded, out);
  return out;
}

void AgentSession::handle(const TimeReading& now, wire::Decoded& decoded, AgentOutput& out) {
  const bool challenge = std::holds_alternative<wire::Challenge>(decoded.message);
  const bool welcome = std::holds_alternative<wire::Welcome>(decoded.message);
  const bool closing = std::holds_alternative<wire::ErrorMessage>(decoded.message) ||
                       std::holds_alternative<wire::Bye>(decoded.message);
  const bool expected =
      closing || (phase_ == Phase::connecting && challenge) ||
      (phase_ == Phase::greeting && welcome) ||
      ((phase_ == Phase::live || phase_ == Phase::repairing) && !challenge && !welcome);
  if (!expected) {
    return stop(
        fail(Errc::malformed, "the hub spoke out of turn; trying again with a new connection"),
        out);
  }
  // While the histories are being compared, what the hub says of records waits: it comes again later.
  if (phase_ == Phase::repairing && !closing) {
    if (const auto* reply = std::get_if<wire::HashReply>(&decoded.message)) on_hashes(*reply, out);
    return;
  }
  std::visit(
      [&](auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, wire::Challenge>) {
          on_challenge(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::Welcome>) {
          on_welcome(now, decoded, out);
        } else if constexpr (std::is_same_v<M, wire::Ack>) {
          on_ack(m, out);
          note_sync(now, out);
        } else if constexpr (std::is_same_v<M, wire::Rewind>) {
          on_rewind(m, out);
        } else if constexpr (std::is_same_v<M, wire::Deliver>) {
          on_deliver(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::StateChunk>) {
          on_chunk(m, out);
        } else if constexpr (std::is_same_v<M, wire::Recover>) {
          on_recover(m, out);
        } else if constexpr (std::is_same_v<M, wire::Ping>) {
          send(wire::Pong{m.token, std::nullopt}, out);
        } else if constexpr (std::is_same_v<M, wire::Bye>) {
          stop(fail(Errc::closed, "the hub closed the connection: " + m.reason), out);
        } else if constexpr (std::is_same_v<M, wire::ErrorMessage>) {
          refused(m, out);
        } else if constexpr (std::is_same_v<M, wire::Pong> || std::is_same_v<M, wire::HashReply> ||
                             std::is_same_v<M, wire::AttachOffer> ||
                             std::is_same_v<M, wire::AttachOffset> ||
                             std::is_same_v<M, wire::AttachChunk> ||
                             std::is_same_v<M, wire::AttachFetch> || std::is_same_v<M, wire::Gap> ||
                             std::is_same_v<M, wire::HashQuery>) {
          // Defined in v1, not asked for by this version: nothing to do.
        } else {
          static_assert(std::is_same_v<M, wire::Hello> || std::is_same_v<M, wire::Push> ||
                        std::is_same_v<M, wire::Confirm> || std::is_same_v<M, wire::Got> ||
                        std::is_same_v<M, wire::StatusReport> ||
                        std::is_same_v<M, wire::Recovered>);
          stop(fail(Errc::malformed, "the hub sent a message that only agents send"), out);
        }
      },
      decoded.message);
}

wire::AgentStatus AgentSession::status(const TimeReading& now) const {
  wire::AgentStatus status;
  status.waiting = store_.state().waiting;
  status.storage_free_bytes = facts_.storage_free_bytes;
  status.battery_percent = facts_.battery_percent;
  status.wall = now.wall;
  if (anchor_ && anchor_->boot == now.boot) status.estimated_now = hub_now(now);
  status.app_version = identity_.app_version;
  status.alarm = facts_.alarm;
  return status;
}

void AgentSession::on_challenge(const TimeReading& now, const wire::Challenge& challenge,
                                AgentOutput& out) {
  if (challenge.version != wire::kProtocolVersion) {
    return stop_for_good(
        fail(Errc::unsupported, "the hub speaks protocol version " +
                                    std::to_string(challenge.version) + "; update this tablet"),
        out);
  }
  if (challenge.hub != identity_.hub) {
    return stop_for_good(fail(Errc::unauthorised,
                              "this is not the hub this tablet was enrolled with; "
                              "nothing was sent. Ask the hub's operator"),
                         out);
  }
  challenge_ = challenge;
  // What is damaged is asked for again by the cursors that hello names. A full store says so elsewhere.
  if (const auto settled = store_.settle_damage(now.wall);
      !settled && !settled.error().is(Errc::store_full))
    return stop(settled.error(), out);
  refetches_ = store_.refetches();
  if (auto begun = begin_epoch(challenge); !begun) return stop(std::move(begun).error(), out);
  link_.connected(now.monotonic_ms);
  const storage::AgentState& state = store_.state();
  hello_.device = identity_.device;
  hello_.agent_nonce = random_id<Nonce>(random_);
  name_chains();
  auto unsettled = unsettled_changes(store_);
  if (!unsettled) return stop(std::move(unsettled).error(), out);
  hello_.unsettled = *std::move(unsettled);
  hello_.cursors = state.cursors;
  hello_.again = state.again;
  hello_.schema_digest = identity_.schema_digest;
  hello_.welcome_id = state.welcome_id;
  hello_.status = status(now);
  send_bytes(wire::encode_hello(hello_, challenge_, binding_, identity_.key), out);
  phase_ = Phase::greeting;
  hello_ms_ = now.monotonic_ms;
  fill_window(out);
}

void AgentSession::confirm(const std::vector<wire::ChangeException>& exceptions, AgentOutput& out) {
  if (exceptions.empty()) return;
  wire::Confirm message;
  for (const wire::ChangeException& e : exceptions)
    message.items.push_back({e.actor, e.counter, e.kind});
  send(message, out);
}

void AgentSession::settle(ActorId actor, Sequence head) {
  while (!in_flight_.empty() && in_flight_.front().actor == actor &&
         in_flight_.front().last <= head) {
    const InFlight& done = in_flight_.front();
    in_flight_bytes_ -= done.bytes;
    link_.acknowledged(done.sent, now_ms_, done.bytes);
    in_flight_.pop_front();
  }
}

void AgentSession::on_ack(const wire::Ack& ack, AgentOutput& out) {
  swept_ = false;
  for (const wire::ChangeException& e : ack.exceptions) answered_.insert({e.actor, e.counter});
  const storage::OwnActor* own = store_.state().find(ack.actor);
  if (own != nullptr && own->closed && own->acked == own->head)
    return hear_of_closed(*own, ack.exceptions, out);
  if (own != nullptr && own->closed && ack.head > hub_may_have_[ack.actor]) {
    return stop(
        fail(Errc::closed, "another copy of this tablet sends the same again; connecting again"),
        out);
  }
  if (own == nullptr || ack.head > std::max(own->acked, hub_may_have_[ack.actor])) {
    return stop(fail(Errc::chain_broken, "the hub acknowledged changes that were never sent to it"),
                out);
  }
  for (const wire::ChangeException& exception : ack.exceptions) {
    if (auto sound = check_exception(exception, ack.actor, ack.head); !sound)
      return stop(std::move(sound).error(), out);
  }
  progressed_ = progressed_ || ack.head > own->acked;
  if (auto stored = store_.acknowledge(ack.actor, ack.head, ack.exceptions); !stored) {
    return stop(std::move(stored).error(), out);
  }
  if (auto written = write_again_what_may_stand(ack.exceptions); !written)
    return stop(std::move(written).error(), out);
  settle(ack.actor, ack.head);
  out.changed = true;
  confirm(ack.exceptions, out);
  fill_window(out);
}

void AgentSession::on_rewind(const wire::Rewind& rewind, AgentOutput& out) {
  const storage::OwnActor* own = store_.state().find(rewind.actor);
  if (own != nullptr && rewind.head > own->head) {
    return stop(fail(Errc::closed,
                     "the hub has more of this tablet than it wrote here; "
                     "connecting again to go on apart from it"),
                out);
  }
  if (own == nullptr || rewind.head < own->acked) {
    return stop(fail(Errc::chain_broken,
                     "the hub stands elsewhere on this tablet's chain than it had said"),
                out);
  }
  // Below what is still kept here there is nothing to compare.
  if (rewind.head.value > 0 && rewind.head >= own->purged_to) {
    const auto mine = store_.chain_hash(rewind.actor, rewind.head);
    if (!mine) return stop(mine.error(), out);
    if (!*mine || **mine != rewind.hash) {
      return stop(fail(Errc::closed,
                       "another tablet writes under this tablet's identity (a copy is alive); "
                       "connecting again to go on apart from it"),
                  out);
    }
  }
  in_flight_.clear();
  in_flight_bytes_ = 0;
  // From the last acknowledged change, not from the hub's head: what the hub has beyond it came over an
  // earlier connection, and its acknowledgement, with the exceptions, is still to be had.
  pushed_to_.reset();
  Sequence& may_have = hub_may_have_[rewind.actor];
  may_have = std::max(may_have, rewind.head);
  fill_window(out);
}

Status AgentSession::check_own_dots(const model::Record& record) {
  for (const storage::OwnActor& own : store_.state().actors) {
    // Above a closed chain's end stands what another copy of this tablet wrote.
    const Sequence claimed = record.vv[own.actor];
    if (own.closed || claimed <= own.acked) continue;
    const model::Dot dot{own.actor, claimed};
    // Met before, and the verdict since knows nothing of it: it is not on the hub's chain. Somebody's copy
    // claims it, and this chain ends, so that it can claim nothing more.
    if (store_.state().claimed == dot) {
      search_.add_found({own.actor, own.acked, false});
      continue;
    }
    FP_CHECK_OK(store_.note_claim(dot));
    return fail(Errc::closed,
                "the hub has more of this tablet than it acknowledged here; connecting again");
  }
  return {};
}

Status AgentSession::check_type(const std::string& type) const {
  const auto& foreign = identity_.foreign_types;
  if (std::find(foreign.begin(), foreign.end(), type) == foreign.end()) return {};
  return fail(Errc::unauthorised, "the hub delivered a " + type +
                                      ", which this tablet may not see; it was not taken in");
}

void AgentSession::on_deliver(const TimeReading& now, const wire::Deliver& deliver,
                              AgentOutput& out) {
  const auto granted = caught_up_.find(deliver.unit);
  if (granted == caught_up_.end()) {
    return stop(
        fail(Errc::unauthorised, "the hub delivered records of a unit this tablet was not granted"),
        out);
  }
  // Its cursor would stand for records that were lost since.
  if (must_fetch_again(now, out)) return;
  std::vector<model::Record> states;
  states.reserve(deliver.states.size());
  const auto take = [&](BytesView bytes, const RecordId* expected) -> Status {
    FP_TRY(model::Record record, wire::decode_record(bytes));
    if (record.unit != deliver.unit)
      return fail(Errc::malformed, "a record of another unit was delivered");
    if (expected != nullptr && record.id != *expected)
      return fail(Errc::malformed, "a large record was delivered under another's id");
    FP_CHECK_OK(check_type(record.type));
    FP_CHECK_OK(check_own_dots(record));
    states.push_back(std::move(record));
    return {};
  };
  for (const Bytes& bytes : deliver.states) {
    if (auto taken = take(bytes, nullptr); !taken) return stop(std::move(taken).error(), out);
  }
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    if (it->first.first != deliver.unit) {
      ++it;
      continue;
    }
    if (it->second.bytes.size() != it->second.total ||
        wire::state_digest(it->second.bytes) != it->second.digest) {
      return stop(fail(Errc::malformed, "a large record arrived incomplete; connecting again"),
                  out);
    }
    if (auto taken = take(it->second.bytes, &it->first.second); !taken)
      return stop(std::move(taken).error(), out);
    it = chunks_.erase(it);
  }
  if (search_.started()) {
    told_.emplace(standing());
    phase_ = Phase::repairing;
    return go_on_apart(out);
  }
  const auto& cursors = store_.state().cursors;
  const auto& again = store_.state().again;
  const bool from_start = std::find(again.begin(), again.end(), deliver.unit) != again.end();
  const bool moved =
      from_start || std::none_of(cursors.begin(), cursors.end(), [&](const wire::UnitCursor& c) {
        return c.unit == deliver.unit && c.cursor == deliver.cursor;
      });
  if (moved || !states.empty() || !deliver.erased.empty()) {
    if (auto stored = store_.integrate(deliver.unit, deliver.cursor, states, deliver.erased);
        !stored) {
      return stop(std::move(stored).error(), out);
    }
    progressed_ = progressed_ || !states.empty() || !deliver.erased.empty();
    out.changed = true;
  }
  send(wire::Got{deliver.unit, deliver.cursor}, out);
  granted->second = deliver.caught_up;
  note_sync(now, out);
}

void AgentSession::on_chunk(const wire::StateChunk& chunk, AgentOutput& out) {
  if (!caught_up_.contains(chunk.unit)) {
    return stop(
        fail(Errc::unauthorised, "the hub delivered records of a unit this tablet was not granted"),
        out);
  }
  Chunks& whole = chunks_[{chunk.unit, chunk.record}];
  const bool first = whole.bytes.empty() && chunk.offset == 0;
  if (first) {
    whole.digest = chunk.digest;
    whole.total = chunk.total_bytes;
  }
  const bool fits = chunk.offset == whole.bytes.size() && chunk.digest == whole.digest &&
                    chunk.total_bytes == whole.total && whole.total <= limits::kRecordBytesMax &&
                    whole.bytes.size() + chunk.bytes.size() <= whole.total && chunks_.size() <= 16;
  if (!fits)
    return stop(fail(Errc::malformed, "a large record arrived out of order; connecting again"),
                out);
  whole.bytes.insert(whole.bytes.end(), chunk.bytes.begin(), chunk.bytes.end());
}

bool AgentSession::push_some(const storage::OwnActor& own, AgentOutput& out) {
  Sequence next = own.acked.next();
  if (pushed_to_ && pushed_to_->actor == own.actor)
    next = std::max(next, pushed_to_->counter.next());
  if (next > own.head) return false;
  if (next <= own.purged_to) return send_gap(own, next, out);
  auto page = store_.chain_page(own.actor, next, std::min(link_.push_bytes, frame_fits_bytes_),
                                limits::kPushChangesMax);
  if (!page && page.error().is(Errc::corrupt)) {
    // Sent up to here. What stands behind it waits; what others wrote still comes.
    unreadable_ = page.error();
    out.changed = true;
    return false;
  }
  if (!page || page->empty() || page->front().counter != next) {
    stop(page ? fail(Errc::corrupt,
                     "own change " + std::to_string(next.value) + " is missing from the store")
              : std::move(page).error(),
         out);
    return false;
  }
  wire::Push push;
  push.actor = own.actor;
  push.first = next;
  for (storage::ChainEntry& entry : *page) push.changes.push_back(std::move(entry.frame));
  Sequence last;
  Bytes frame;
  for (;;) {
    const storage::ChainEntry& end = (*page)[push.changes.size() - 1];
    last = end.counter;
    push.head = end.hash;
    push.signature = wire::sign_head(identity_.key, identity_.device, own.actor, last, push.head);
    frame = compressor_.encode_frame(wire::encode_message(push));
    if (frame.size() <= limits::kFrameBytesMax || push.changes.size() == 1) break;
    // Sealed values do not compress: remember what fits, and cut the push there.
    push.changes.resize(push.changes.size() / 2);
    frame_fits_bytes_ = 0;
    for (const Bytes& change : push.changes) frame_fits_bytes_ += change.size();
  }
  std::size_t change_bytes = 0;
  for (const Bytes& change : push.changes) change_bytes += change.size();
  in_flight_.push_back(
      {own.actor, last, frame.size(), link_.sent(now_ms_, frame.size(), change_bytes)});
  in_flight_bytes_ += frame.size();
  out.frames.push_back(std::move(frame));
  pushed_to_ = model::Dot{own.actor, last};
  Sequence& may_have = hub_may_have_[own.actor];
  may_have = std::max(may_have, last);
  return true;
}

void AgentSession::fill_window(AgentOutput& out) {
  if (phase_ != Phase::greeting && phase_ != Phase::live) return;
  const auto& actors = store_.state().actors;
  const auto open = std::count_if(actors.begin(), actors.end(), [](const storage::OwnActor& own) {
    return !own.closed || own.acked < own.head;
  });
  // Before the verdict one push only: it may turn out that the hub has it, or another history. None when
  // something is known to have happened to either store: what is on its way could not be written anew.
  if (phase_ == Phase::greeting && (open > 1 || new_epoch_)) return;
  const std::size_t pushes = phase_ == Phase::greeting ? 1 : window_pushes_;
  for (const storage::OwnActor& own : actors) {
    if (own.acked == own.head) continue;
    if (own.forked) return;
    const auto room = [&] {
      return planted(Bug::window_unlimited) ||
             (in_flight_.size() < pushes &&
              in_flight_bytes_ < std::min<std::size_t>(window_bytes_, link_.flight_bytes()));
    };
    while (room() && push_some(own, out)) {
    }
    return;  // a later chain waits until this one is acknowledged
  }
}

AgentOutput AgentSession::on_local_change(const TimeReading& now) {
  AgentOutput out;
  if (phase_ == Phase::live && !must_fetch_again(now, out)) {
    now_ms_ = now.monotonic_ms;
    synced_noted_ = false;
    fill_window(out);
    note_sync(now, out);
  }
  return out;
}

AgentOutput AgentSession::on_tick(const TimeReading& now, const DeviceFacts& facts) {
  AgentOutput out;
  facts_ = facts;
  if (phase_ == Phase::live && !must_fetch_again(now, out))
    send(wire::StatusReport{status(now)}, out);
  return out;
}

bool AgentSession::must_fetch_again(const TimeReading& now, AgentOutput& out) {
  if (const auto settled = store_.settle_damage(now.wall);
      !settled && !settled.error().is(Errc::store_full)) {
    stop(settled.error(), out);
    return true;
  }
  if (store_.refetches() == refetches_) return false;
  stop(
      fail(Errc::closed,
           "a record was damaged on this tablet's disk; connecting again to fetch it from the hub"),
      out);
  return true;
}

std::optional<Error> AgentSession::blocked() const {
  const bool caught_up = std::all_of(caught_up_.begin(), caught_up_.end(),
                                     [](const auto& unit) { return unit.second; });
  if (phase_ != Phase::live || !unreadable_ || !in_flight_.empty() || !caught_up)
    return std::nullopt;
  return unreadable_;
}

bool AgentSession::in_sync() const {
  const bool waiting = store_.state().waiting != 0 && !planted(Bug::in_sync_while_waiting);
  if (phase_ != Phase::live || waiting) return false;
  return std::all_of(caught_up_.begin(), caught_up_.end(),
                     [](const auto& unit) { return unit.second; });
}

Instant AgentSession::hub_now(const TimeReading& now) const {
  return Instant{anchor_->time.at.ms +
                 static_cast<std::int64_t>(now.monotonic_ms - anchor_->time.monotonic_ms)};
}

}  // namespace fieldpost::sync
