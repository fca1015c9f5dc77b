// The messages of `fieldpost.v1`, one struct each. Bytes: schemas/wire-v1.md.
//
// Thread rule: plain values.
// Invariants:
//   1. A decoded message has passed every limit, order, range and UTF-8 check; it is trusted as data,
//      never as authority.
//   2. Change frames and record states inside messages are opaque byte strings here: signatures and
//      hashes are over the bytes as received.
//   3. `Message` lists everything that can arrive; std::visit over it has no default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "crypto/crypto.h"
#include "model/change.h"

namespace fieldpost::wire {

inline constexpr std::uint32_t kProtocolVersion = 1;

/// The 32 bytes of tls-exporter (RFC 9266) of the connection.
using ChannelBinding = ByteId<32, struct ChannelBindingTag>;

// ---- hub → agent, first ----
struct Challenge {
  std::uint32_t version = kProtocolVersion;
  Nonce nonce;
  HubId hub;
  Epoch epoch;
  friend bool operator==(const Challenge&, const Challenge&) = default;
};

/// Where an actor's chain stands on the sender's side.
struct ActorHead {
  ActorId actor;
  Sequence head;  ///< last counter, 0 when empty
  Hash hash;      ///< h(head); h(0) when empty
  friend bool operator==(const ActorHead&, const ActorHead&) = default;
};

struct UnitCursor {
  std::string unit;
  Bytes cursor;  ///< opaque to the agent; empty: from the beginning
  friend bool operator==(const UnitCursor&, const UnitCursor&) = default;
};

/// What an agent tells of itself; all figures as the agent believes them.
struct AgentStatus {
  std::uint64_t waiting = 0;              ///< changes without a durable acknowledgement
  std::optional<Instant> oldest_waiting;  ///< estimated time of the oldest of them
  std::uint64_t attachments_waiting = 0;
  std::uint64_t storage_free_bytes = 0;
  std::optional<std::uint32_t> battery_percent;
  Instant wall;                          ///< the device's wall clock now
  std::optional<Instant> estimated_now;  ///< its estimate of hub time
  std::string app_version;
  /// What somebody should know at once, in a sentence: room for records is short, the disk damaged
  /// something. Empty when all is well.
  std::string alarm;
  friend bool operator==(const AgentStatus&, const AgentStatus&) = default;
};

// ---- agent → hub, first; signed with the device key over
//      nonce ‖ hub ‖ epoch ‖ channel binding ‖ body bytes ----
struct Hello {
  DeviceId device;
  Nonce agent_nonce;
  std::vector<ActorHead> actors;    ///< every actor with kept changes, the current one last
  std::vector<UnitCursor> cursors;  ///< sorted by unit
  Hash schema_digest;               ///< of the schemas the agent runs
  std::uint64_t welcome_id = 0;     ///< last welcome the agent stored, 0 if none
  std::vector<model::Dot>
      unsettled;  ///< by chain, the first change not acknowledged, or with an exception: `welcome` tells what became of those after it, confirmed or not
  AgentStatus status;
  std::vector<std::string>
      again;  ///< units to be delivered from the beginning, whatever the cursor; sorted
  friend bool operator==(const Hello&, const Hello&) = default;
};

enum class VerdictKind : std::uint8_t {
  known = 0,    ///< the hub's head lies on the agent's chain
  unknown = 1,  ///< the hub never met this actor (head 0)
  forked = 2,   ///< a differing hash at the hub's head, or the hub is ahead
  foreign = 3,  ///< bound to another device key
};

struct Verdict {
  ActorId actor;
  VerdictKind kind = VerdictKind::unknown;
  Sequence head;       ///< the hub's durable head
  Hash hash;           ///< h(head) at the hub
  Sequence backed_up;  ///< watermark of the oldest restorable backup
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

enum class ExceptionKind : std::uint8_t {
  quarantined = 0,   ///< bytes kept at the hub, not merged; an operator decides
  held = 1,          ///< waits for its predecessors
  accepted = 2,      ///< merged (plainly, or by an operator); a delivery covers it
  rejected = 3,      ///< applied and undone by the hub; a delivery covers it
  unauthorised = 4,  ///< never applied
};

/// What the hub says of one change that it acknowledges but did not (simply) merge.
struct ChangeException {
  ActorId actor;
  Sequence counter;
  RecordId record;
  ExceptionKind kind = ExceptionKind::quarantined;
  std::string rule;    ///< stable name such as "enum", "range", "type", "undecodable"
  std::string path;    ///< the field, or empty
  std::string detail;  ///< for people; never a payload
  friend bool operator==(const ChangeException&, const ChangeException&) = default;
};

struct Grant {
  std::string unit;
  friend bool operator==(const Grant&, const Grant&) = default;
};

/// A signed order for the device: kinds are defined now, used when the secrecy work lands.
struct Order {
  std::uint64_t id = 0;
  std::string kind;  ///< "lock", "wipe", "new_actor", "upload_log"
  Bytes body;
  crypto::Signature signature;
  friend bool operator==(const Order&, const Order&) = default;
};

struct SchemaUpdate {
  std::string name;  ///< "stop"
  std::uint32_t version = 0;
  Bytes body;  ///< the schema's JSON text
  friend bool operator==(const SchemaUpdate&, const SchemaUpdate&) = default;
};

// ---- hub → agent; signed with the hub key over
//      hub ‖ epoch ‖ device ‖ agent nonce ‖ channel binding ‖ body bytes ----
struct Welcome {
  std::uint64_t id = 0;  ///< grows with each welcome to this device
  Instant hub_time;
  StartId start;
  std::uint32_t window_pushes = 0;
  std::uint32_t window_bytes = 0;
  std::vector<Verdict> verdicts;            ///< one for each actor of hello, same order
  std::vector<Grant> grants;                ///< sorted by unit
  std::vector<ChangeException> exceptions;  ///< unconfirmed ones, repeated
  std::vector<Order> orders;
  std::vector<SchemaUpdate> schemas;
  std::string compartment;  ///< "enforcement" or "health"
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

struct Push {
  ActorId actor;
  Sequence first;               ///< counter of changes[0]
  std::vector<Bytes> changes;   ///< change frames, consecutive counters
  Hash head;                    ///< h(first + changes.size() − 1)
  crypto::Signature signature;  ///< over device ‖ actor ‖ n ‖ h(n)
  friend bool operator==(const Push&, const Push&) = default;
};

/// Only after the commit is on disk.
struct Ack {
  ActorId actor;
  Sequence head;
  std::vector<ChangeException> exceptions;
  friend bool operator==(const Ack&, const Ack&) = default;
};

/// The agent has stored these exceptions durably.
/// The rule of a refusal that is only for the change's predecessor: written anew without it, it may stand.
inline constexpr const char* kPredecessorRefused = "predecessor_refused";

struct Confirm {
  struct Item {
    ActorId actor;
    Sequence counter;
    ExceptionKind kind = ExceptionKind::quarantined;
    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;
  friend bool operator==(const Confirm&, const Confirm&) = default;
};

/// The push did not continue the durable head: push again from here.
struct Rewind {
  ActorId actor;
  Sequence head;
  Hash hash;
  friend bool operator==(const Rewind&, const Rewind&) = default;
};

struct Deliver {
  std::string unit;
  Bytes cursor;               ///< what to answer in `got` once these states are durable
  std::vector<Bytes> states;  ///< canonical record states
  bool caught_up = false;     ///< nothing newer in this unit at this moment
  /// Records of the unit that the hub erased (an extension: an older agent passes over it). Ascending.
  std::vector<RecordId> erased = {};
  friend bool operator==(const Deliver&, const Deliver&) = default;
};

struct Got {
  std::string unit;
  Bytes cursor;
  friend bool operator==(const Got&, const Got&) = default;
};

/// Part of one state larger than a frame. Offsets ascend without gaps; then it counts as delivered
/// in the next Deliver of that unit, whose cursor covers it.
struct StateChunk {
  std::string unit;
  RecordId record;
  Hash digest;  ///< of the whole state
  std::uint64_t total_bytes = 0;
  std::uint64_t offset = 0;
  Bytes bytes;
  friend bool operator==(const StateChunk&, const StateChunk&) = default;
};

struct StatusReport {
  AgentStatus status;
  friend bool operator==(const StatusReport&, const StatusReport&) = default;
};

struct Ping {
  std::uint64_t token = 0;
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct Pong {
  std::uint64_t token = 0;
  std::optional<Instant> hub_time;
  friend bool operator==(const Pong&, const Pong&) = default;
};

struct Bye {
  std::string reason;
  friend bool operator==(const Bye&, const Bye&) = default;
};

enum class ErrorCode : std::uint16_t {
  malformed = 1,
  too_large = 2,
  unsupported_version = 3,
  unknown_device = 4,
  bad_signature = 5,
  revoked = 6,
  chain_broken = 7,
  not_granted = 8,
  out_of_order = 9,
  busy = 10,
  internal = 11,
  shutting_down = 12,
  clock = 13,
};
struct ErrorMessage {
  ErrorCode code = ErrorCode::internal;
  std::string text;  ///< for people: what, where, what to do
  std::uint32_t retry_after_ms = 0;
  friend bool operator==(const ErrorMessage&, const ErrorMessage&) = default;
};

// ---- finding the last common point of a forked chain ----
struct HashQuery {
  ActorId actor;
  std::vector<Sequence> counters;  ///< ascending
  friend bool operator==(const HashQuery&, const HashQuery&) = default;
};
struct HashReply {
  ActorId actor;
  std::vector<ActorHead> hashes;  ///< (actor, counter, h(counter)); absent where unknown
  friend bool operator==(const HashReply&, const HashReply&) = default;
};

/// A new chain segment after something was lost for good. Signed by the device over all fields.
struct Gap {
  ActorId actor;
  Sequence from;
  Sequence to;
  Hash hash;  ///< h(to) on which the chain continues
  crypto::Signature signature;
  friend bool operator==(const Gap&, const Gap&) = default;
};

// ---- attachments: defined from the start, used when the tablet's forms land ----
struct AttachOffer {
  Hash id;  ///< hash of the ciphertext
  RecordId record;
  std::string unit;
  std::uint64_t total_bytes = 0;
  friend bool operator==(const AttachOffer&, const AttachOffer&) = default;
};
struct AttachOffset {
  Hash id;
  std::uint64_t offset = 0;  ///< bytes durable at the receiver
  bool complete = false;     ///< whole and verified
  friend bool operator==(const AttachOffset&, const AttachOffset&) = default;
};
struct AttachChunk {
  Hash id;
  std::uint64_t offset = 0;
  Bytes bytes;
  friend bool operator==(const AttachChunk&, const AttachChunk&) = default;
};
struct AttachFetch {
  Hash id;
  std::uint64_t offset = 0;
  friend bool operator==(const AttachFetch&, const AttachFetch&) = default;
};

// ---- after the hub was put back to an older state: what it lost and tablets still have ----

/// What a tablet holds of a record, without the record itself.
struct RecordSummary {
  RecordId record;
  model::VersionVector vv;
  std::uint64_t digest = 0;  ///< first 8 bytes of the state digest, big-endian
  friend bool operator==(const RecordSummary&, const RecordSummary&) = default;
};
/// The hub asks what the tablet holds of a unit as it was delivered: without records for summaries of all of
/// them, with records for their whole states.
struct Recover {
  std::string unit;
  std::vector<RecordId> records;  ///< ascending
  friend bool operator==(const Recover&, const Recover&) = default;
};
struct Recovered {
  std::string unit;
  std::vector<RecordSummary> summaries;  ///< by record, ascending
  std::vector<Bytes> states;             ///< canonical record states
  bool last = false;                     ///< the question is answered
  friend bool operator==(const Recovered&, const Recovered&) = default;
};

using Message =
    std::variant<Challenge, Hello, Welcome, Push, Ack, Confirm, Rewind, Deliver, Got, StateChunk,
                 StatusReport, Ping, Pong, Bye, ErrorMessage, HashQuery, HashReply, Gap,
                 AttachOffer, AttachOffset, AttachChunk, AttachFetch, Recover, Recovered>;

}  // namespace fieldpost::wire
