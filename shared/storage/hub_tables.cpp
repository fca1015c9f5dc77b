#include "storage/hub_tables.h"

#include "storage/agent_state_codec.h"
#include "wire/codec.h"

namespace fieldpost::storage::hub_tables {

namespace {

void pack_time(Packer& out, const std::optional<Instant>& time) {
  out.u8(time ? 1 : 0).i64(time.value_or(Instant{}).ms);
}

std::optional<Instant> unpack_time(Unpacker& in) {
  const bool present = in.u8() != 0;
  const Instant time{in.i64()};
  return present ? std::optional<Instant>(time) : std::nullopt;
}

}  // namespace

Bytes dot_key(ActorId actor, Sequence counter) { return Packer().actor(actor).seq(counter).take(); }

Bytes record_dot_key(const RecordId& id, ActorId actor, Sequence counter) {
  return Packer().id(id).actor(actor).seq(counter).take();
}

Bytes feed_prefix(std::string_view unit) { return Packer().raw(as_bytes(unit)).u8(0).take(); }

Bytes feed_key(std::string_view unit, std::uint64_t position) {
  return Packer().raw(as_bytes(unit)).u8(0).u64(position).take();
}

Bytes pack_actor(const ActorHeadState& actor) {
  return Packer()
      .id(actor.device)
      .seq(actor.head)
      .id(actor.hash)
      .u64(actor.welcome)
      .u64(actor.born)
      .take();
}

Result<ActorHeadState> unpack_actor(BytesView bytes) {
  Unpacker in(bytes);
  ActorHeadState actor;
  actor.device = in.id<DeviceId>();
  actor.head = in.seq();
  actor.hash = in.id<Hash>();
  // Written by earlier versions without them.
  if (in.left() > 0) actor.welcome = in.u64();
  if (in.left() > 0) actor.born = in.u64();
  FP_CHECK_OK(in.finish("actor"));
  return actor;
}

Bytes pack_batch(const StoredBatch& batch) {
  return Packer().id(batch.hash).id(batch.signature).i64(batch.received.ms).take();
}

Result<StoredBatch> unpack_batch(BytesView bytes) {
  Unpacker in(bytes);
  StoredBatch batch;
  batch.hash = in.id<Hash>();
  batch.signature = in.id<crypto::Signature>();
  batch.received = Instant{in.i64()};
  FP_CHECK_OK(in.finish("batch"));
  return batch;
}

Bytes pack_stored_exception(const StoredException& stored) {
  return Packer()
      .u8(stored.confirmed ? 1 : 0)
      .i64(stored.received.ms)
      .id(stored.device)
      .raw(pack_exception(stored.exception))
      .take();
}

Result<StoredException> unpack_stored_exception(BytesView bytes) {
  Unpacker in(bytes);
  StoredException stored;
  stored.confirmed = in.u8() != 0;
  stored.received = Instant{in.i64()};
  stored.device = in.id<DeviceId>();
  FP_TRY(stored.exception, unpack_exception(in.rest()));
  FP_CHECK_OK(in.finish("exception"));
  return stored;
}

Bytes pack_backed_up(Sequence counter) { return Packer().seq(counter).take(); }

Result<Sequence> unpack_backed_up(BytesView bytes) {
  Unpacker in(bytes);
  const Sequence counter = in.seq();
  FP_CHECK_OK(in.finish("backed-up watermark"));
  return counter;
}

Bytes pack_unit(const Unit& unit) {
  return Packer().text(unit.code).text(unit.name).text(unit.compartment).take();
}

Result<Unit> unpack_unit(BytesView bytes) {
  Unpacker in(bytes);
  Unit unit;
  unit.code = in.text();
  unit.name = in.text();
  unit.compartment = in.text();
  FP_CHECK_OK(in.finish("unit"));
  return unit;
}

Bytes pack_device(const Device& d) {
  Packer out;
  out.u8(2).id(d.id).text(d.name).text(d.unit).u8(static_cast<std::uint8_t>(d.standing));
  out.i64(d.enrolled.ms).u64(d.last_welcome);
  pack_time(out, d.last_contact);
  pack_time(out, d.last_complete);
  pack_time(out, d.status_at);
  out.text(d.last_error);
  pack_time(out, d.last_error_at);
  // The status is kept in its wire form: one encoding of it is enough.
  out.blob(d.status ? wire::encode_message(wire::StatusReport{*d.status}) : Bytes{});
  out.u64(d.forks.times).i64(d.forks.last.ms).seq(d.forks.hub_head).seq(d.forks.device_head);
  out.u64(d.forks.rewritten).u64(d.former.size());
  for (const FormerGrant& former : d.former) out.text(former.unit).u64(former.until_welcome);
  out.u64(d.said_welcome).u64(d.announced.size());
  for (const AnnouncedChain& chain : d.announced) out.actor(chain.actor).u64(chain.welcome);
  out.u64(d.lost.size());
  for (const LostWelcomes& lost : d.lost) out.u64(lost.above).u64(lost.below);
  return out.take();
}

Result<Device> unpack_device(BytesView bytes) {
  Unpacker in(bytes);
  const std::uint8_t format = in.u8();
  if (format != 1 && format != 2)
    return fail(Errc::unsupported, "device entry of an unknown format");
  Device d;
  d.id = in.id<DeviceId>();
  d.name = in.text();
  d.unit = in.text();
  const std::uint8_t standing = in.u8();
  if (standing > static_cast<std::uint8_t>(DeviceStanding::revoked))
    return fail(Errc::corrupt, "device entry of an unknown standing");
  d.standing = static_cast<DeviceStanding>(standing);
  d.enrolled = Instant{in.i64()};
  d.last_welcome = in.u64();
  d.last_contact = unpack_time(in);
  d.last_complete = unpack_time(in);
  d.status_at = unpack_time(in);
  d.last_error = in.text();
  d.last_error_at = unpack_time(in);
  const BytesView status = in.blob();
  if (!status.empty()) {
    FP_TRY(const wire::Decoded decoded, wire::decode_message(status));
    if (const auto* report = std::get_if<wire::StatusReport>(&decoded.message))
      d.status = report->status;
  }
  d.forks.times = in.u64();
  d.forks.last = Instant{in.i64()};
  d.forks.hub_head = in.seq();
  d.forks.device_head = in.seq();
  d.forks.rewritten = in.u64();
  for (std::uint64_t n = format < 2 ? 0 : in.u64(); n > 0 && !in.failed(); --n) {
    FormerGrant former;
    former.unit = in.text();
    former.until_welcome = in.u64();
    d.former.push_back(std::move(former));
  }
  if (format >= 2) d.said_welcome = in.u64();
  for (std::uint64_t n = format < 2 ? 0 : in.u64(); n > 0 && !in.failed(); --n) {
    AnnouncedChain chain;
    chain.actor = in.actor();
    chain.welcome = in.u64();
    d.announced.push_back(chain);
  }
  for (std::uint64_t n = format < 2 ? 0 : in.u64(); n > 0 && !in.failed(); --n) {
    LostWelcomes lost;
    lost.above = in.u64();
    lost.below = in.u64();
    d.lost.push_back(lost);
  }
  FP_CHECK_OK(in.finish("device"));
  return d;
}

Bytes pack_invitation(const Invitation& invitation) {
  return Packer()
      .text(invitation.device_name)
      .text(invitation.unit)
      .i64(invitation.expires.ms)
      .id(invitation.used_by)
      .take();
}

Result<Invitation> unpack_invitation(const Hash& code_hash, BytesView bytes) {
  Unpacker in(bytes);
  Invitation invitation;
  invitation.code_hash = code_hash;
  invitation.device_name = in.text();
  invitation.unit = in.text();
  invitation.expires = Instant{in.i64()};
  invitation.used_by = in.id<DeviceId>();
  FP_CHECK_OK(in.finish("invitation"));
  return invitation;
}

}  // namespace fieldpost::storage::hub_tables
