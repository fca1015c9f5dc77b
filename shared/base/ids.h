// The strong types that name things: records, actors, counters, devices, hubs, instants.
//
// Thread rule: plain values.
// Invariants:
//   1. Two different kinds of number never convert into each other.
//   2. Ordering is the ordering of the bytes or numbers; it is what canonical encodings sort by.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fieldpost {

/// N bytes that name something.
template <std::size_t N, class Tag>
struct ByteId {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> bytes{};

  friend auto operator<=>(const ByteId&, const ByteId&) = default;

  BytesView view() const { return bytes; }
  std::string hex() const { return to_hex(bytes); }
  bool is_zero() const { return *this == ByteId{}; }

  /// Errors: `malformed` when the size differs from N.
  static Result<ByteId> from(BytesView view) {
    if (view.size() != N) {
      return fail(Errc::malformed,
                  "expected " + std::to_string(N) + " bytes, found " + std::to_string(view.size()));
    }
    ByteId id;
    std::memcpy(id.bytes.data(), view.data(), N);
    return id;
  }
};

using RecordId = ByteId<16, struct RecordIdTag>;        ///< UUIDv7, RFC 9562
using Hash = ByteId<32, struct HashTag>;                ///< BLAKE2b-256
using DeviceId = ByteId<32, struct DeviceIdTag>;        ///< the device's Ed25519 public key
using HubId = ByteId<32, struct HubIdTag>;              ///< the hub's Ed25519 public key
using Epoch = ByteId<16, struct EpochTag>;              ///< random; one life of the hub's data
using StartId = ByteId<8, struct StartIdTag>;           ///< random; one start of the hub
using Nonce = ByteId<32, struct NonceTag>;              ///< random; one connection
using SealId = ByteId<16, struct SealIdTag>;            ///< random; one seal
using KeyId = ByteId<8, struct KeyIdTag>;               ///< first bytes of the hash of a public key
using Salt = ByteId<16, struct SaltTag>;                ///< random; in every change
using Fingerprint = ByteId<32, struct FingerprintTag>;  ///< SHA-256 of a certificate (DER)

/// A random 64-bit id for one life of one store. Never 0.
struct ActorId {
  std::uint64_t value = 0;
  friend auto operator<=>(const ActorId&, const ActorId&) = default;
  std::string hex() const;  ///< 16 lower-case digits
};

/// The other way. Errors: `malformed`.
Result<ActorId> actor_from_text(std::string_view hex);

/// A counter of one actor: 1, 2, 3 … without gaps. 0 means "none".
struct Sequence {
  std::uint64_t value = 0;
  friend auto operator<=>(const Sequence&, const Sequence&) = default;
  Sequence next() const { return {value + 1}; }
};

/// Milliseconds since 1970-01-01T00:00:00Z, by whatever clock the context names.
struct Instant {
  std::int64_t ms = 0;
  friend auto operator<=>(const Instant&, const Instant&) = default;
};

/// 36-character text form, lower case. Source: RFC 9562 section 4.
std::string to_text(const RecordId& id);
/// Errors: `malformed`, with what is wrong.
Result<RecordId> record_id_from_text(std::string_view text);

/// A UUIDv7 from a time and 10 random bytes. Source: RFC 9562 section 5.7.
RecordId make_record_id(Instant now, const std::array<std::uint8_t, 10>& random);

/// RFC 3339, UTC, milliseconds: "2026-03-01T07:15:00.000Z". Total: any int64 gives a text.
std::string to_text(Instant instant);
/// Accepts "Z" or "+07:00", seconds and fraction optional.
/// Errors: `malformed`, naming the part that is wrong (month 13, 30 February …).
Result<Instant> instant_from_text(std::string_view text);

struct ByteIdHash {
  template <std::size_t N, class Tag>
  std::size_t operator()(const ByteId<N, Tag>& id) const {
    return std::hash<std::string_view>{}(as_text(id.view()));
  }
};

}  // namespace fieldpost
