#include "sync/hub_session.h"

#include <algorithm>

#include "base/limits.h"
#include "base/planted.h"

namespace fieldpost::sync {

namespace {

/// Exceptions in one frame: well inside kFrameBytesMax even when nothing compresses.
constexpr std::size_t kExceptionBytes = 128 * 1024;
/// Unconfirmed exceptions repeated on one connection.
constexpr std::size_t kRepeatedMax = 65'536;

/// Cuts a list into parts that fit a frame; at least one, perhaps empty.
std::vector<std::vector<wire::ChangeException>> in_frames(std::vector<wire::ChangeException> all) {
  std::vector<std::vector<wire::ChangeException>> parts(1);
  std::size_t bytes = 0;
  for (wire::ChangeException& e : all) {
    constexpr std::size_t kFixedParts = 64;
    const std::size_t size = kFixedParts + e.rule.size() + e.path.size() + e.detail.size();
    if (!parts.back().empty() &&
        (bytes + size > kExceptionBytes || parts.back().size() == limits::kExceptionsMax)) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += size;
    parts.back().push_back(std::move(e));
  }
  return parts;
}

}  // namespace

HubSession::HubSession(const HubContext& context, wire::Compressor& compressor,
                       const wire::ChannelBinding& binding, const RandomSource& random)
    : context_(context),
      compressor_(compressor),
      binding_(binding),
      nonce_(random_id<Nonce>(random)) {}

void HubSession::send(const wire::Message& message, HubOutput& out) {
  out.frames.push_back(compressor_.encode_frame(wire::encode_message(message)));
}

void HubSession::refuse(wire::ErrorCode code, std::string text, HubOutput& out) {
  if (closed_) return;
  closed_ = true;
  const std::uint32_t retry_after_ms = code == wire::ErrorCode::busy ? limits::kBusyRetryMs : 0;
  send(wire::ErrorMessage{code, text, retry_after_ms}, out);
  out.close = fail(Errc::closed, std::move(text));
  out.refused = true;
}

HubOutput HubSession::stop_with(wire::ErrorCode code, std::string text) {
  HubOutput out;
  refuse(code, std::move(text), out);
  return out;
}

HubOutput HubSession::on_connected() {
  HubOutput out;
  // All compartments of a hub share key and epoch in what the agent sees: the first one speaks.
  challenge_ = {wire::kProtocolVersion, nonce_, here().identity.hub, here().identity.epoch};
  send(challenge_, out);
  return out;
}

HubOutput HubSession::on_frame(Instant now, BytesView frame) {
  HubOutput out;
  if (closed_) return out;
  auto message = compressor_.decode_frame(frame);
  if (!message) {
    refuse(wire::ErrorCode::malformed, message.error().message(), out);
    return out;
  }
  auto decoded = wire::decode_message(*message);
  if (!decoded) {
    refuse(wire::ErrorCode::malformed, decoded.error().message(), out);
    return out;
  }
  if (greeted() == std::holds_alternative<wire::Hello>(decoded->message)) {
    refuse(wire::ErrorCode::out_of_order,
           greeted() ? "a second hello" : "the first message must be a hello", out);
    return out;
  }
  std::visit(
      [&](auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, wire::Hello>) {
          on_hello(now, *decoded, out);
        } else if constexpr (std::is_same_v<M, wire::Push>) {
          on_push(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::Got>) {
          on_got(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::Confirm>) {
          // A device speaks for its own chains only.
          std::erase_if(m.items, [&](const auto& item) { return !chains_.contains(item.actor); });
          out.confirmed = std::move(m.items);
        } else if constexpr (std::is_same_v<M, wire::StatusReport>) {
          on_status(now, m.status, out);
        } else if constexpr (std::is_same_v<M, wire::Ping>) {
          send(wire::Pong{m.token, now}, out);
        } else if constexpr (std::is_same_v<M, wire::Bye>) {
          closed_ = true;
          out.close = fail(Errc::closed, "the agent said good-bye");
        } else if constexpr (std::is_same_v<M, wire::ErrorMessage>) {
          closed_ = true;
          out.close = fail(Errc::closed, "the tablet ended it: " + m.text);
          out.refused = true;
        } else if constexpr (std::is_same_v<M, wire::Pong>) {
          // Life sign.
        } else if constexpr (std::is_same_v<M, wire::HashQuery>) {
          on_hash_query(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::Recovered>) {
          on_recovered(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::StateChunk>) {
          on_state_chunk(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::Gap>) {
          on_gap(now, m, out);
        } else if constexpr (std::is_same_v<M, wire::AttachOffer> ||
                             std::is_same_v<M, wire::AttachOffset> ||
                             std::is_same_v<M, wire::AttachChunk> ||
                             std::is_same_v<M, wire::AttachFetch>) {
          refuse(wire::ErrorCode::unsupported_version, "this hub does not handle that message yet",
                 out);
        } else {
          static_assert(std::is_same_v<M, wire::Challenge> || std::is_same_v<M, wire::Welcome> ||
                        std::is_same_v<M, wire::Ack> || std::is_same_v<M, wire::Rewind> ||
                        std::is_same_v<M, wire::Deliver> || std::is_same_v<M, wire::Recover> ||
                        std::is_same_v<M, wire::HashReply>);
          refuse(wire::ErrorCode::out_of_order, "a message that only hubs send", out);
        }
      },
      decoded->message);
  return out;
}

bool HubSession::find_device(const DeviceId& id, HubOutput& out) {
  for (std::size_t i = 0; i < context_.compartments.size(); ++i) {
    auto found = context_.compartments[i].reader->device(id);
    if (!found) {
      refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
      return false;
    }
    if (!*found) continue;
    if ((*found)->standing != storage::DeviceStanding::active) break;
    compartment_ = i;
    device_ = std::move(**found);
    device_->forks = {};  // from here on what this session sees
    return true;
  }
  // One answer for unknown and for revoked until the restricted session exists.
  refuse(wire::ErrorCode::unknown_device, "this device is not enrolled at this hub, or no longer",
         out);
  return false;
}

void HubSession::on_hello(Instant now, const wire::Decoded& decoded, HubOutput& out) {
  const auto& hello = std::get<wire::Hello>(decoded.message);
  // The signature first: without it the sender learns nothing about which devices exist.
  if (!wire::verify_hello(decoded, challenge_, binding_)) {
    return refuse(wire::ErrorCode::bad_signature,
                  "the hello is not signed by its device for this connection", out);
  }
  if (!find_device(hello.device, out)) return;
  wire::Welcome welcome;
  // Grows with each welcome without a write before it: the clock, or one more than the last.
  welcome.id = std::max<std::uint64_t>(
      device_->last_welcome + 1, static_cast<std::uint64_t>(std::max<std::int64_t>(0, now.ms)));
  welcome.hub_time = now;
  welcome.start = here().identity.start;
  welcome.window_pushes = limits::kWindowPushes;
  welcome.window_bytes = limits::kWindowBytes;
  welcome.compartment = here().name;
  // The feeds' ends before the verdicts: no state is sent that shows more than the verdicts acknowledge.
  auto opened = open_feeds(hello, out.rolled_back);
  if (!opened)
    return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
  if (out.rolled_back) {
    return refuse(
        wire::ErrorCode::busy,
        "the hub found that its data is older than what tablets were told; it starts anew", out);
  }
  if (hello.welcome_id > device_->last_welcome)
    device_->note_lost({device_->last_welcome, welcome.id});
  std::vector<ActorId> actors;
  for (const wire::ActorHead& claimed : hello.actors) {
    auto answer = verdict(now, claimed, &claimed == &hello.actors.back());
    if (!answer)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    if (answer->kind != wire::VerdictKind::foreign) actors.push_back(claimed.actor);
    welcome.verdicts.push_back(*answer);
  }
  if (auto noted = note_announced(hello); !noted)
    return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
  auto repeated = here().reader->unconfirmed(actors, kRepeatedMax);
  if (!repeated)
    return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
  // What this copy of the tablet has not heard, another may have confirmed.
  for (const model::Dot& from : hello.unsettled) {
    const auto chain = chains_.find(from.actor);
    if (chain == chains_.end() || chain->second.told < from.counter) continue;
    auto all = here().reader->exceptions(from.actor, from.counter, chain->second.told);
    if (!all)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    std::erase_if(*repeated, [&](const auto& e) {
      return e.actor == from.actor && e.counter >= from.counter;
    });
    repeated->insert(repeated->end(), all->begin(), all->end());
  }
  // A batch may have been committed since the verdicts were made: its acknowledgement tells of it.
  std::erase_if(*repeated, [&](const auto& e) { return e.counter > chains_[e.actor].told; });
  auto parts = in_frames(std::move(*repeated));
  welcome.exceptions = std::move(parts.front());
  for (const std::string& unit : granted_) welcome.grants.push_back({unit});
  out.frames.push_back(compressor_.encode_frame(
      wire::encode_welcome(welcome, challenge_, hello, binding_, context_.key)));
  for (std::size_t i = 1; i < parts.size(); ++i) repeat(welcome, parts[i], out);
  device_->last_welcome = welcome.id;
  on_status(now, hello.status, out);
  const bool recovering = std::any_of(feeds_.begin(), feeds_.end(),
                                      [](const auto& feed) { return feed.second.recovering; });
  if (recovering) leave_when_full(false, out);
  recover_next(out);
  for (auto& [unit, feed] : feeds_) pump(unit, feed, out);
}

void HubSession::repeat(const wire::Welcome& welcome,
                        const std::vector<wire::ChangeException>& exceptions, HubOutput& out) {
  for (const wire::Verdict& verdict : welcome.verdicts) {
    std::vector<wire::ChangeException> own;
    for (const wire::ChangeException& e : exceptions) {
      if (e.actor == verdict.actor) own.push_back(e);
    }
    if (!own.empty()) send(wire::Ack{verdict.actor, verdict.head, std::move(own)}, out);
  }
}

void HubSession::on_status(Instant now, const wire::AgentStatus& status, HubOutput& out) {
  device_->last_contact = now;
  device_->status = status;
  device_->status_at = now;
  none_waits_ = status.waiting == 0;
  if (complete()) device_->last_complete = now;
  tell_contact(out);
  recover_further(out);
}

bool HubSession::complete() const {
  // A page that only says how far the feed is, after own changes, needs no answer.
  return none_waits_ && std::all_of(feeds_.begin(), feeds_.end(), [](const auto& f) {
           return f.second.sent >= f.second.known_end && f.second.got >= f.second.news;
         });
}

// ---- changes coming in ----

Status HubSession::rewind_to_durable(ActorId actor, Chain& chain, HubOutput& out) {
  FP_TRY(const auto durable, here().reader->actor(actor));
  const Sequence head = durable ? durable->head : Sequence{};
  rewind(actor, chain, head,
         durable ? durable->hash : wire::chain_start(here().identity.hub, device_->id, actor), out);
  return {};
}

void HubSession::rewind(ActorId actor, Chain& chain, Sequence head, const Hash& hash,
                        HubOutput& out) {
  chain.next = head.next();
  chain.hash = hash;
  chain.stale = chain.at_writer;
  chain.rewound = true;
  send(wire::Rewind{actor, head, hash}, out);
}

Result<std::size_t> HubSession::known_prefix(const wire::Push& push, Chain& chain, HubOutput& out) {
  if (push.first == chain.next) return std::size_t{0};
  if (push.first > chain.next) {
    if (!chain.rewound) FP_CHECK_OK(rewind_to_durable(push.actor, chain, out));
    return push.changes.size();  // in flight since before the rewind
  }
  // Sent again after a lost acknowledgement: what is durable must be the same bytes.
  const Sequence before{push.first.value - 1};
  FP_TRY(const auto durable, here().reader->actor(push.actor));
  FP_TRY(const auto hash, hash_of(push.actor, before));
  if (!hash && durable && before <= durable->head) {
    return fail(Errc::chain_broken,
                "a part of this chain was given up as lost; connect again to hear where it ends");
  }
  if (!hash)
    return push.changes.size();  // still at the writer: its acknowledgement will cover this
  Hash running = *hash;
  Sequence at = before;
  std::size_t count = 0;
  while (count < push.changes.size() && at.next() < chain.next) {
    running = wire::chain_next(running, push.changes[count++]);
    at = at.next();
  }
  if (at.next() == chain.next && running != chain.hash) {
    return fail(Errc::chain_broken, "this actor's history differs from the hub's");
  }
  const bool nothing_new = count == push.changes.size();
  if (!nothing_new || chain.at_writer > 0) {
    chain.resent_from = std::min(chain.resent_from.value_or(push.first), push.first);
  } else {
    const Sequence head{chain.next.value - 1};
    FP_TRY(auto exceptions, here().reader->exceptions(push.actor, push.first, head));
    acknowledge(push.actor, head, std::move(exceptions), out);
  }
  return count;
}

Result<storage::IncomingChange> HubSession::examine(ActorId actor, Sequence counter,
                                                    Bytes frame) const {
  FP_TRY(const wire::FramedChange framed, wire::decode_change_frame(frame));
  if (framed.counter != counter)
    return fail(Errc::malformed, "a change out of its place in the chain");
  storage::IncomingChange incoming;
  incoming.record = framed.record;
  incoming.counter = framed.counter;
  incoming.prev = framed.prev;
  auto change = wire::decode_change(actor, frame);
  if (!change) {
    incoming.quarantine = wire::ChangeException{
        actor,         counter, framed.record,        wire::ExceptionKind::quarantined,
        "undecodable", "",      change.error().detail};
  } else {
    incoming.quarantine = context_.check(*change);
    const auto& foreign = here().foreign_types;
    if (std::find(foreign.begin(), foreign.end(), change->type) != foreign.end() &&
        !planted(Bug::compartment_not_checked)) {
      // Refused, not quarantined: no ruling may let it in.
      incoming.quarantine =
          wire::ChangeException{actor,
                                counter,
                                framed.record,
                                wire::ExceptionKind::unauthorised,
                                "compartment",
                                "",
                                "a device of this compartment writes no " + change->type};
    }
    incoming.change = std::move(*change);
  }
  incoming.frame = std::move(frame);
  return incoming;
}

void HubSession::on_push(Instant now, wire::Push& push, HubOutput& out) {
  const auto it = chains_.find(push.actor);
  if (it == chains_.end()) {
    return refuse(wire::ErrorCode::not_granted, "a push for a chain that the hello did not name",
                  out);
  }
  Chain& chain = it->second;
  none_waits_ = false;
  if (chain.forked) return;  // sent before the verdict arrived; the tablet writes it anew
  if (at_writer_ >= 2 * limits::kWindowPushes) {
    return refuse(wire::ErrorCode::busy, "more pushes than the window allows", out);
  }
  const Sequence last{push.first.value + push.changes.size() - 1};
  if (!wire::verify_head(device_->id, push.actor, last, push.head, push.signature) &&
      !planted(Bug::signature_not_checked)) {
    return refuse(wire::ErrorCode::bad_signature, "a push whose signature does not verify", out);
  }
  auto known = known_prefix(push, chain, out);
  if (!known) return refuse(wire::ErrorCode::chain_broken, known.error().message(), out);
  if (*known == push.changes.size()) return;
  storage::IncomingBatch batch;
  batch.device = device_->id;
  batch.actor = push.actor;
  batch.first = chain.next;
  batch.previous = chain.hash;
  batch.signature = push.signature;
  batch.received = now;
  batch.granted = granted_;
  batch.former = device_->former;
  batch.born = born(push.actor);
  batch.lost = device_->lost;
  Hash running = chain.hash;
  for (std::size_t i = *known; i < push.changes.size(); ++i) {
    running = wire::chain_next(running, push.changes[i]);
    auto change = examine(push.actor, Sequence{push.first.value + i}, std::move(push.changes[i]));
    if (!change) return refuse(wire::ErrorCode::malformed, change.error().message(), out);
    batch.changes.push_back(std::move(*change));
  }
  if (running != push.head) {
    return refuse(wire::ErrorCode::chain_broken, "a push whose changes do not give its head", out);
  }
  batch.head = running;
  const auto rewritten = std::count_if(batch.changes.begin(), batch.changes.end(),
                                       [](const auto& c) { return c.change && c.change->origin; });
  if (rewritten > 0) {
    device_->forks.rewritten += static_cast<std::uint64_t>(rewritten);
    tell_contact(out);
  }
  here().reader->prepare(batch);
  chain.next = last.next();
  chain.hash = running;
  chain.rewound = false;
  ++chain.at_writer;
  ++at_writer_;
  if (planted(Bug::ack_before_commit)) acknowledge(push.actor, last, {}, out);
  out.batches.push_back(std::move(batch));
}

void HubSession::acknowledge(ActorId actor, Sequence head,
                             std::vector<wire::ChangeException> exceptions, HubOutput& out) {
  Sequence& told = chains_[actor].told;
  told = std::max(told, head);
  auto parts = in_frames(std::move(exceptions));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    // A part covers what stands before the next one's first exception.
    const Sequence covered =
        i + 1 < parts.size() ? Sequence{parts[i + 1].front().counter.value - 1} : head;
    send(wire::Ack{actor, covered, std::move(parts[i])}, out);
  }
}

void HubSession::applied(const storage::BatchResult& result, Chain& chain, HubOutput& out) {
  if (result.head >= chain.next) {  // came before a rewind, and continues the chain after all
    chain.next = result.head.next();
    chain.hash = result.hash;
  }
  auto exceptions = result.exceptions;
  if (chain.resent_from) {
    auto all = here().reader->exceptions(result.actor, *chain.resent_from, result.head);
    if (!all)
      return refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
    exceptions = std::move(*all);
    chain.resent_from.reset();
  }
  const Sequence head =
      planted(Bug::ack_covers_queue) ? Sequence{chain.next.value - 1} : result.head;
  acknowledge(result.actor, head, std::move(exceptions), out);
  note_touched(result.touched);
}

HubOutput HubSession::on_applied(Instant, const storage::BatchResult& result) {
  HubOutput out;
  --at_writer_;
  Chain& chain = chains_[result.actor];
  --chain.at_writer;
  if (closed_) return out;
  const bool stale = chain.stale > 0;
  if (stale) --chain.stale;
  switch (result.kind) {
    case storage::BatchResult::Kind::applied:
      applied(result, chain, out);
      break;
    case storage::BatchResult::Kind::rewind:
      if (!stale) rewind(result.actor, chain, result.head, result.hash, out);
      break;
    case storage::BatchResult::Kind::foreign:
      refuse(wire::ErrorCode::not_granted, "this chain belongs to another device", out);
      break;
    case storage::BatchResult::Kind::revoked:
      refuse(wire::ErrorCode::revoked, "this device was revoked", out);
      break;
  }
  // No feed moved by this result, so nobody else will ask what waited for the writer.
  if (at_writer_ == 0 && result.touched.empty()) {
    for (auto& [unit, feed] : feeds_) pump(unit, feed, out);
  }
  return out;
}

HubOutput HubSession::on_outcomes(const std::vector<model::Dot>& changes) {
  HubOutput out;
  for (const model::Dot& dot : changes) {
    const auto chain = chains_.find(dot.actor);
    if (closed_ || chain == chains_.end() || dot.counter > chain->second.told) continue;
    // As it stands now: what was merged meanwhile is no exception any more, and its delivery says so.
    auto now = here().reader->exceptions(dot.actor, dot.counter, dot.counter);
    if (!now) {
      refuse(wire::ErrorCode::internal, "the hub cannot read its store; try later", out);
      break;
    }
    if (!now->empty()) send(wire::Ack{dot.actor, dot.counter, std::move(*now)}, out);
  }
  return out;
}

// ---- states going out ----

void HubSession::note_touched(const std::vector<storage::Touched>& touched) {
  for (const storage::Touched& t : touched) {
    const auto it = feeds_.find(t.unit);
    if (it == feeds_.end() || !t.direct) continue;
    Feed& feed = it->second;
    const bool had = planted(Bug::others_edit_hidden) || t.position_before == 0 ||
                     t.position_before <= feed.got || feed.own.contains(t.position_before);
    if (!had) continue;
    feed.own.erase(t.position_before);
    feed.own.insert(t.position_after);
  }
}

HubOutput HubSession::on_feed_moved(const std::string& unit, std::uint64_t end) {
  HubOutput out;
  const auto it = feeds_.find(unit);
  if (closed_ || it == feeds_.end()) return out;
  it->second.known_end = std::max(it->second.known_end, end);
  pump(unit, it->second, out);
  return out;
}

}  // namespace fieldpost::sync
