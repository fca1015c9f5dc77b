#include "storage/agent_state_codec.h"

#include <algorithm>

#include "storage/pack.h"

namespace fieldpost::storage {

namespace {

constexpr std::uint8_t kVersionFirst = 1;
/// 2: units that are to be delivered again. 3: what was removed of each chain. 4: what is to be looked through
/// for units taken away; hears of erased records.
constexpr std::uint8_t kVersion = 4;
constexpr std::uint8_t kForked = 1;
constexpr std::uint8_t kClosed = 2;
constexpr std::uint8_t kOutlived = 4;

}  // namespace

void AgentState::deliver_again() {
  for (const wire::UnitCursor& cursor : cursors) again.push_back(cursor.unit);
  std::sort(again.begin(), again.end());
  again.erase(std::unique(again.begin(), again.end()), again.end());
}

const OwnActor* AgentState::find(ActorId actor) const {
  for (const OwnActor& own : actors) {
    if (own.actor == actor) return &own;
  }
  return nullptr;
}

Bytes pack_state(const StoredAgentState& stored) {
  const AgentState& s = stored.state;
  Packer out;
  out.u8(kVersion).u64(stored.records).u64(s.ref_counter).u64(s.welcome_id);
  out.u8(s.epoch ? 1 : 0).id(s.epoch.value_or(Epoch{}));
  out.u8(s.last_sync ? 1 : 0).i64(s.last_sync.value_or(Instant{}).ms);
  out.text(s.compartment).u64(s.generation).id(s.machine);
  out.u64(s.actors.size());
  for (const OwnActor& own : s.actors) {
    out.actor(own.actor).seq(own.head).id(own.hash).seq(own.acked).seq(own.backed_up);
    out.u8(static_cast<std::uint8_t>((own.forked ? kForked : 0) | (own.closed ? kClosed : 0) |
                                     (own.outlived ? kOutlived : 0)));
    out.seq(own.purged_to).id(own.purged_hash).seq(own.lost_from).seq(own.lost_to);
  }
  out.u64(s.cursors.size());
  for (const wire::UnitCursor& cursor : s.cursors) out.text(cursor.unit).blob(cursor.cursor);
  out.u64(s.again.size());
  for (const std::string& unit : s.again) out.text(unit);
  out.u64(s.grants.size());
  for (const wire::Grant& grant : s.grants) out.text(grant.unit);
  const model::Dot claimed = s.claimed.value_or(model::Dot{});
  out.actor(claimed.actor).seq(claimed.counter).u8(s.sweep ? 1 : 0).u64(s.ungranted);
  return out.take();
}

Result<StoredAgentState> unpack_state(BytesView bytes) {
  Unpacker in(bytes);
  StoredAgentState stored;
  AgentState& s = stored.state;
  const std::uint8_t version = in.u8();
  if (version < kVersionFirst || version > kVersion)
    return fail(Errc::unsupported, "agent state of an unknown format");
  stored.records = in.u64();
  s.ref_counter = in.u64();
  s.welcome_id = in.u64();
  const bool has_epoch = in.u8() != 0;
  const auto epoch = in.id<Epoch>();
  if (has_epoch) s.epoch = epoch;
  const bool has_sync = in.u8() != 0;
  const Instant sync{in.i64()};
  if (has_sync) s.last_sync = sync;
  s.compartment = in.text();
  s.generation = in.u64();
  s.machine = in.id<Hash>();
  for (std::uint64_t n = in.u64(); n > 0 && !in.failed(); --n) {
    OwnActor own;
    own.actor = in.actor();
    own.head = in.seq();
    own.hash = in.id<Hash>();
    own.acked = in.seq();
    own.backed_up = in.seq();
    const std::uint8_t standing = in.u8();
    own.forked = (standing & kForked) != 0;
    own.closed = (standing & kClosed) != 0;
    own.outlived = (standing & kOutlived) != 0;
    if (version >= 3) {
      own.purged_to = in.seq();
      own.purged_hash = in.id<Hash>();
      own.lost_from = in.seq();
      own.lost_to = in.seq();
    }
    if (own.acked > own.head || own.purged_to > own.head)
      return fail(Errc::corrupt, "agent state: a chain is acknowledged beyond its end");
    s.waiting += own.head.value - own.acked.value;
    s.actors.push_back(own);
  }
  for (std::uint64_t n = in.u64(); n > 0 && !in.failed(); --n) {
    wire::UnitCursor cursor;
    cursor.unit = in.text();
    cursor.cursor = to_bytes(in.blob());
    s.cursors.push_back(std::move(cursor));
  }
  // A store of format 2 says nothing of it.
  for (std::uint64_t n = version < 2 ? 0 : in.u64(); n > 0 && !in.failed(); --n)
    s.again.push_back(in.text());
  for (std::uint64_t n = in.u64(); n > 0 && !in.failed(); --n) s.grants.push_back({in.text()});
  if (version >= 4) {
    const ActorId actor = in.actor();
    const Sequence counter = in.seq();
    if (counter.value > 0) s.claimed = model::Dot{actor, counter};
    s.sweep = in.u8() != 0;
    s.ungranted = in.u64();
  } else {
    s.sweep = true;  // nobody has looked
  }
  FP_CHECK_OK(in.finish("agent state"));
  // It passed over what the hub erased.
  if (version < 4) s.deliver_again();
  return stored;
}

Bytes pack_exception(const wire::ChangeException& e) {
  Packer out;
  out.actor(e.actor).seq(e.counter).id(e.record).u8(static_cast<std::uint8_t>(e.kind));
  out.text(e.rule).text(e.path).text(e.detail);
  return out.take();
}

Result<wire::ChangeException> unpack_exception(BytesView bytes) {
  Unpacker in(bytes);
  wire::ChangeException e;
  e.actor = in.actor();
  e.counter = in.seq();
  e.record = in.id<RecordId>();
  const std::uint8_t kind = in.u8();
  if (kind > static_cast<std::uint8_t>(wire::ExceptionKind::unauthorised))
    return fail(Errc::corrupt, "exception of an unknown kind");
  e.kind = static_cast<wire::ExceptionKind>(kind);
  e.rule = in.text();
  e.path = in.text();
  e.detail = in.text();
  FP_CHECK_OK(in.finish("exception"));
  return e;
}

}  // namespace fieldpost::storage
