// How values stand in a store: compressed, then sealed (a tablet) or checksummed (a hub).
//
// Thread rule: one object per thread.
// Invariants:
//   1. A stored value decodes only under the table and key it was encoded for, and with the same key;
//      anything else is `corrupt`, naming table and key, never wrong bytes.
//   2. The first byte says format version and form, and is authenticated with the rest, as is the head.
//   3. Nonces are random: 24 bytes, so that 2^64 values may share one key.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/random_source.h"
#include "crypto/crypto.h"
#include "storage/kv.h"
#include "storage/packed_value.h"
#include "wire/frame.h"

namespace fieldpost::storage {

/// No value is larger before compression; encode aborts above it (records and changes are checked
/// against the far smaller limits of base/limits.h before they come here).
inline constexpr std::size_t kValueBytesMax = std::size_t{64} << 20;

class ValueCodec {
 public:
  virtual ~ValueCodec() = default;
  /// The expensive half of encoding: needs neither key nor place, so another thread may do it ahead.
  virtual PackedValue pack(BytesView plain) = 0;
  virtual PackedValue pack_raw(BytesView plain) = 0;  ///< the same, never compressed
  /// The other half. `head`: a few bytes that stand before the value in clear, as safe as the value.
  /// `stored` is replaced: a writer hands the same buffer in again and again.
  virtual void place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
                     Bytes& stored) = 0;
  /// What stands behind a head of `head_bytes`; with none, the whole value. The head itself is at
  /// `stored[kHeadAt]`. Errors: `corrupt`; `unsupported` when it was compressed with a dictionary this
  /// program lacks.
  virtual Result<Bytes> decode(TableId table, BytesView key, BytesView stored,
                               std::size_t head_bytes) = 0;

  /// The part of a stored value that differs where the value, its head or its place does.
  virtual BytesView essence(BytesView stored) const { return stored; }

  Bytes encode(TableId table, BytesView key, BytesView plain) {
    Bytes stored;
    place(table, key, {}, pack(plain), stored);
    return stored;
  }
  /// For what is mostly hashes and is written with every commit: not worth compressing.
  Bytes encode_raw(TableId table, BytesView key, BytesView plain) {
    Bytes stored;
    place(table, key, {}, pack_raw(plain), stored);
    return stored;
  }
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored) {
    return decode(table, key, stored, 0);
  }
  static constexpr std::size_t kHeadAt = 1;  ///< after the form
};

/// For a tablet: form ‖ head ‖ nonce (24) ‖ XChaCha20-Poly1305 of the value, whose associated data are
/// "fieldpost.v1.value" ‖ 0x00 ‖ table ‖ form ‖ head ‖ key.
class SealingCodec final : public ValueCodec {
 public:
  SealingCodec(const crypto::SymmetricKey& key, std::shared_ptr<const wire::Dictionary> dictionary,
               RandomSource random);
  PackedValue pack(BytesView plain) override;
  PackedValue pack_raw(BytesView plain) override;
  void place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
             Bytes& stored) override;
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored,
                       std::size_t head_bytes) override;
  using ValueCodec::decode;

 private:
  BytesView associated(TableId table, std::uint8_t form, BytesView head, BytesView key);

  crypto::SymmetricKey key_;
  wire::Compressor compressor_;
  RandomSource random_;
  Bytes associated_;  ///< reused from call to call
};

/// For a hub: form ‖ head ‖ value ‖ checksum (16), the checksum being the first 16 bytes of keyed
/// BLAKE2b-256 over "fieldpost.v1.stored" ‖ 0x00 ‖ table ‖ size of key (2, little-endian) ‖ key ‖ head ‖ d,
/// where d is hash("fieldpost.v1.stored-value", form ‖ value): the long part is made with the packing, ahead
/// of the one writer. It finds bit rot and misplaced values; the key is not meant as a secret from the hub.
class ChecksumCodec final : public ValueCodec {
 public:
  ChecksumCodec(const crypto::SymmetricKey& key,
                std::shared_ptr<const wire::Dictionary> dictionary);
  PackedValue pack(BytesView plain) override;
  PackedValue pack_raw(BytesView plain) override;
  void place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
             Bytes& stored) override;
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored,
                       std::size_t head_bytes) override;
  using ValueCodec::decode;
  BytesView essence(BytesView stored) const override;  ///< the checksum

 private:
  Hash checksum(TableId table, BytesView key, BytesView head, const Hash& digest) const;

  crypto::SymmetricKey key_;
  wire::Compressor compressor_;
};

/// For tests: a zero for the form, then the bytes as they are.
class PlainCodec final : public ValueCodec {
 public:
  PackedValue pack(BytesView plain) override { return {0, to_bytes(plain), {}}; }
  PackedValue pack_raw(BytesView plain) override { return pack(plain); }
  void place(TableId table, BytesView key, BytesView head, const PackedValue& packed,
             Bytes& stored) override;
  Result<Bytes> decode(TableId table, BytesView key, BytesView stored,
                       std::size_t head_bytes) override;
  using ValueCodec::decode;
};

}  // namespace fieldpost::storage
