// Every bound of protocol version 1 and every queue cap, with its reason.
//
// Thread rule: constants.
// Invariants: the relations between them are static_assert'ed below.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fieldpost::limits {

// ---- wire v1: these are part of the protocol and never change within it ----

/// One WebSocket message as sent. Small enough for 2G, large enough to compress well.
inline constexpr std::size_t kFrameBytesMax = 256 * 1024;
/// One message after decompression; read from the zstd frame header before allocation.
inline constexpr std::size_t kMessageBytesMax = 1024 * 1024;
/// One change's body: a stop with twenty persons is under 16 KiB.
inline constexpr std::size_t kChangeBytesMax = 64 * 1024;
/// One record's canonical state; larger than a frame, so it travels in chunks.
inline constexpr std::size_t kRecordBytesMax = 4 * 1024 * 1024;
/// Bytes of one chunk of a large state.
inline constexpr std::size_t kChunkBytesMax = 128 * 1024;
/// Changes in one push.
inline constexpr std::size_t kPushChangesMax = 4096;
/// States in one deliver.
inline constexpr std::size_t kDeliverStatesMax = 4096;
/// Nesting of msgpack containers: message, map, list, change part, list is 5; room for later.
inline constexpr std::size_t kNestingMax = 8;
/// Edits in one change and fields of one dot group.
inline constexpr std::size_t kEditsMax = 1024;
/// Bytes of a path such as "drug_items/k3x9d2m1/net_mg".
inline constexpr std::size_t kPathBytesMax = 128;
/// Bytes of one text value.
inline constexpr std::size_t kTextBytesMax = 16 * 1024;
/// Members of one list value.
inline constexpr std::size_t kListItemsMax = 256;
/// Bytes of type, unit, author and other short names.
inline constexpr std::size_t kNameBytesMax = 64;
/// Bytes of a tablet's alarm in its status.
inline constexpr std::size_t kAlarmBytesMax = 512;
/// Entries of a version vector that a receiver takes; writers of one record, not devices.
inline constexpr std::size_t kVectorEntriesMax = 1024;
/// Entries from which an alarm is raised.
inline constexpr std::size_t kVectorEntriesAlarm = 32;
/// Dot groups of one record.
inline constexpr std::size_t kGroupsMax = 4096;
/// Seals of one change or dot group (a hub's change may copy several earlier values).
inline constexpr std::size_t kSealsMax = 8;
/// Key boxes of one seal: authority keys and the unit's own versioned keys.
inline constexpr std::size_t kBoxesMax = 8;
/// Bytes of one sealed value.
inline constexpr std::size_t kCiphertextBytesMax = 20 * 1024;
/// Actors named in one hello.
inline constexpr std::size_t kHelloActorsMax = 256;
/// Units a device may be granted.
inline constexpr std::size_t kGrantsMax = 256;
/// Exceptions in one ack or welcome.
inline constexpr std::size_t kExceptionsMax = 4096;
/// Bytes of a reason or an error text.
inline constexpr std::size_t kReasonBytesMax = 2048;
/// Bytes of an opaque cursor.
inline constexpr std::size_t kCursorBytesMax = 64;
/// Orders in one welcome, and bytes of one order's body.
inline constexpr std::size_t kOrdersMax = 64;
inline constexpr std::size_t kOrderBytesMax = 4096;
/// Schema updates in one welcome, and bytes of one schema's JSON text.
inline constexpr std::size_t kSchemasMax = 64;
inline constexpr std::size_t kSchemaBytesMax = 128 * 1024;
/// Counters asked for in one hash query: a search in 256 steps per round trip ends in four.
inline constexpr std::size_t kHashQueryMax = 256;
/// Changes that a hub looks at for the hash queries of one session. A search looks at each at most twice, and no
/// device's chains have a million.
inline constexpr std::size_t kHashStepsMax = std::size_t{1} << 21;
/// Records in one question or answer about what a restored hub lost.
inline constexpr std::size_t kRecoverMax = 4096;
/// Bytes of one attachment.
inline constexpr std::uint64_t kAttachmentBytesMax = 256 * 1024 * 1024;

// ---- flow control ----

/// Pushes an agent may have unacknowledged; granted in `welcome`.
inline constexpr std::uint32_t kWindowPushes = 16;
/// Frame bytes an agent may have unacknowledged: 100 ms at 200 Mbit/s.
inline constexpr std::uint32_t kWindowBytes = 2 * 1024 * 1024;
/// Delivers a hub sends ahead of `got`.
inline constexpr std::uint32_t kDeliverWindow = 8;
/// Frame bytes that may be among them before the last of them: what a peer that does not read costs.
inline constexpr std::size_t kDeliverWindowBytes = 1536 * 1024;
/// Uncompressed bytes an agent aims at for one push on a good link.
inline constexpr std::size_t kPushTargetBytes = 512 * 1024;
/// Uncompressed bytes of the first deliver of a connection: 5 kB on the wire pass the poorest link in a second.
inline constexpr std::size_t kDeliverFirstBytes = 16 * 1024;
/// Uncompressed bytes a hub aims at for one deliver.
inline constexpr std::size_t kDeliverTargetBytes = 512 * 1024;

/// Bytes of one device's copies of what a hub lost that wait there for an operator, as stored: more than a full tablet
/// of 100,000 records holds. Above it the tablet keeps the rest and is asked again when something was decided.
inline constexpr std::uint64_t kStagedBytesOfDeviceMax = std::uint64_t{256} << 20;
/// So much of it must be free again before the tablet is asked for all it holds: that question costs megabytes.
inline constexpr std::uint64_t kStagedRoomMin = kStagedBytesOfDeviceMax / 16;
/// What waits for a hub's writer, of all sessions together: a second of a fleet at full speed.
inline constexpr std::size_t kMailboxBytesMax = 64 * 1024 * 1024;

/// What a hub that is busy asks its tablets to wait: its mailbox is written within a second or two.
inline constexpr std::uint32_t kBusyRetryMs = 5'000;
/// The longest wait that an agent lets a hub ask for: a wrong figure must not silence a tablet for a day.
inline constexpr std::uint32_t kRetryAfterMaxMs = 15 * 60 * 1000;

static_assert(kChunkBytesMax < kFrameBytesMax);
static_assert(kFrameBytesMax < kMessageBytesMax);
static_assert(kChangeBytesMax < kFrameBytesMax, "any single change fits a frame uncompressed");
static_assert(kPushTargetBytes + kChangeBytesMax < kMessageBytesMax);
static_assert(kTextBytesMax < kCiphertextBytesMax, "a sealed text fits after padding");
static_assert(kCiphertextBytesMax < kChangeBytesMax);
static_assert(kVectorEntriesAlarm < kVectorEntriesMax);
static_assert(kRecordBytesMax < kStagedRoomMin, "any single state fits when there is room");
static_assert(kRecordBytesMax < kMailboxBytesMax);
static_assert(kBusyRetryMs < kRetryAfterMaxMs);

}  // namespace fieldpost::limits
