// The hub's tables: keys and small values, in one place.
//
// Thread rule: free functions and plain values.
// Invariants: keys order as their parts; see the table below. Values of records and log go through the
// codec (compressed, with a keyed checksum); the others are packed as they are.
//
//   table         key                              value
//   meta          name                             see kv_hub_store.cpp
//   records       record id                        position (its head) ‖ canonical state (codec)
//   log           actor ‖ counter                  received ‖ frame, or what is left of an erased one (codec)
//   feed          unit ‖ 0 ‖ position              record id
//   feed_ends     unit [‖ 0 ‖ position]            position ‖ mark [the mark there]   (hub_feed.h)
//   actors        actor                            device ‖ head ‖ h(head)
//   batches       actor ‖ last counter             h ‖ signature ‖ received
//   by_record     record id ‖ actor ‖ counter      empty
//   held          record id ‖ actor ‖ counter      since
//   exceptions    actor ‖ counter                  confirmed ‖ received ‖ device ‖ exception
//   conflicts     record id                        empty
//   units         code                             pack_unit
//   devices       device id                        pack_device
//   invitations   hash of the code                 pack_invitation
//   starts        start id                         its number   (hub_starts.h)
//   meta          "staged_bytes" ‖ device          bytes of its staged states       (hub_staging.h)
//   staged        record id ‖ device ‖ 8 of digest received ‖ canonical state   (codec)
//   recovered     record id ‖ number               pack_recovered               (codec)
//   backed_up     actor                            counter: what every restorable backup holds of it
//   damaged       kind ‖ key of the value          see hub_repair.cpp
//   gaps          actor ‖ from                     to ‖ h(to) ‖ signature ‖ received   (hub_gaps.h)
//   erased        record id                        pack_erased                  (codec; hub_erase.h)
//   holds         hold id                          pack_hold                    (codec; hub_holds.h)
//   ledger        number                           kind ‖ entry                 (codec; hub_ledger.h)
#pragma once

#include "storage/hub_store.h"
#include "storage/kv.h"
#include "storage/pack.h"

namespace fieldpost::storage::hub_tables {

inline constexpr TableId kMeta = 0;
inline constexpr TableId kRecords = 1;
inline constexpr TableId kLog = 2;
inline constexpr TableId kFeed = 3;
inline constexpr TableId kFeedEnds = 4;
inline constexpr TableId kActors = 5;
inline constexpr TableId kBatches = 6;
inline constexpr TableId kByRecord = 7;
inline constexpr TableId kHeld = 8;
inline constexpr TableId kExceptions = 9;
inline constexpr TableId kConflicts = 10;
inline constexpr TableId kUnits = 11;
inline constexpr TableId kDevices = 12;
inline constexpr TableId kInvitations = 13;
inline constexpr TableId kStarts = 14;
inline constexpr TableId kStaged = 15;
inline constexpr TableId kRecovered = 16;
inline constexpr TableId kBackedUp = 17;
inline constexpr TableId kDamaged = 18;
inline constexpr TableId kGaps = 19;
inline constexpr TableId kErased = 20;
inline constexpr TableId kHolds = 21;
inline constexpr TableId kLedger = 22;
inline constexpr TableId kTableCount = 23;

// Keys of the table `meta`.
inline constexpr std::string_view kMetaEpoch = "epoch";
inline constexpr std::string_view kMetaCleanStop = "clean_stop";
inline constexpr std::string_view kMetaRestoredAt = "restored_at";
inline constexpr std::string_view kMetaLedgerRead = "ledger_read";

Bytes dot_key(ActorId actor, Sequence counter);
Bytes record_dot_key(const RecordId& id, ActorId actor, Sequence counter);
Bytes feed_prefix(std::string_view unit);
Bytes feed_key(std::string_view unit, std::uint64_t position);

Bytes pack_actor(const ActorHeadState& actor);
Result<ActorHeadState> unpack_actor(BytesView bytes);

struct StoredBatch {
  Hash hash;
  crypto::Signature signature;
  Instant received;
};
Bytes pack_batch(const StoredBatch& batch);
Result<StoredBatch> unpack_batch(BytesView bytes);

struct StoredException {
  bool confirmed = false;
  Instant received;
  DeviceId device;
  wire::ChangeException exception;
};
Bytes pack_stored_exception(const StoredException& stored);
Result<StoredException> unpack_stored_exception(BytesView bytes);

Bytes pack_backed_up(Sequence counter);
Result<Sequence> unpack_backed_up(BytesView bytes);

Bytes pack_unit(const Unit& unit);
Result<Unit> unpack_unit(BytesView bytes);
Bytes pack_device(const Device& device);
Result<Device> unpack_device(BytesView bytes);
Bytes pack_invitation(const Invitation& invitation);
Result<Invitation> unpack_invitation(const Hash& code_hash, BytesView bytes);

}  // namespace fieldpost::storage::hub_tables
